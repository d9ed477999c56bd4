/** What a server rendered, on its way to the page that shows it again. */
import { type Codec, givenValue, jsonCodec, type StateEntry, storedValue } from "@holdfast/core";
import { type AnyManager, MirrorPool } from "./mirror-pool.js";

/** Entries by the names of their mirrors. */
export type HandedOver = Map<string, readonly StateEntry[]>;

/**
 * The state behind one rendering on a server: `<HoldfastProvider handover={…}>` gathers it, the page receives it as text. One for each
 * request, since a manager serves many users.
 */
export interface Handover {
	/**
	 * What was rendered, as text for the page: JSON in which every `<` is escaped, so that it can stand in
	 * `<script type="application/json">`. Give it to the provider in the page as `initial`.
	 */
	toString(): string;
	/** Stops following what was rendered. Otherwise that ends by itself, 5 s later. */
	close(): void;
}

/** The implementation of {@link Handover}. */
export class GatheredHandover implements Handover {
	readonly #codec: Codec;
	#pool: MirrorPool | undefined;

	constructor(codec: Codec) {
		this.#codec = codec;
	}

	/** The mirrors of this rendering, apart from those of every other. */
	pool(manager: AnyManager): MirrorPool {
		this.#pool ??= new MirrorPool(manager, true);
		return this.#pool;
	}

	toString(): string {
		const contents = (this.#pool?.rendered() ?? []).map(([name, entries]) => [
			name,
			entries.map(({ value, ...rest }) => ({ ...rest, value: givenValue(value, this.#codec).text })),
		]);
		// HTML ends a script element at "</script" and changes how it reads at "<!--", wherever they stand
		// (https://html.spec.whatwg.org/multipage/scripting.html#restrictions-for-contents-of-script-elements).
		return JSON.stringify(contents).replaceAll("<", "\\u003c");
	}

	close(): void {
		this.#pool?.close();
	}
}

/**
 * Makes the handover of one request.
 *
 * @param options - `codec`: the manager's, if it has one of its own.
 *
 * @example
 * ```tsx
 * const handover = createHandover();
 * const html = await renderToReadableStream(<HoldfastProvider manager={manager} handover={handover}><App /></HoldfastProvider>);
 * await html.allReady;
 * response.end(`<div id="root">${await new Response(html).text()}</div><script id="state" type="application/json">${handover}</script>`);
 * ```
 */
export const createHandover = ({ codec = jsonCodec }: { readonly codec?: Codec } = {}): Handover =>
	new GatheredHandover(codec);

/** Reads what a server handed over. */
export function readHandover(text: string, codec: Codec = jsonCodec): HandedOver {
	const contents = JSON.parse(text) as [string, (StateEntry & { readonly value: string })[]][];
	return new Map(
		contents.map(([name, entries]) => [
			name,
			entries.map((entry) => ({ ...entry, value: storedValue(entry.value).data(codec) })),
		]),
	);
}
