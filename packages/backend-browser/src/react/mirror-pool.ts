/** One mirror for each scope and pattern that the components of a page read. */
import type { StateEntry, StateManager } from "@holdfast/core";
import type { HandedOver } from "./handover.js";
import { SharedMirror } from "./shared-mirror.js";

/** The scope of a hook: `shared`, or a kind and an id. */
export type ScopeRef = "shared" | readonly [kind: string, id: string];

// biome-ignore lint/suspicious/noExplicitAny: the hooks know the types
export type AnyManager = StateManager<any>;

/** A scope whose types the hooks know. */
export type AnyScope = AnyManager["shared"];

/** The scope that a reference names. */
export const scopeOf = (manager: AnyManager, ref: ScopeRef): AnyScope =>
	ref === "shared" ? manager.shared : manager.scope(...ref);

/** The mirrors of one manager, counted. */
export class MirrorPool {
	readonly #manager: AnyManager;
	readonly #isRendering: boolean;
	readonly #mirrors = new Map<string, SharedMirror>();
	#handedOver: HandedOver | undefined;

	/** @param isRendering - whether it is of one rendering on a server, which tells of one moment. */
	constructor(manager: AnyManager, isRendering = false) {
		this.#manager = manager;
		this.#isRendering = isRendering;
	}

	/** What a server rendered: shown until the store was heard. */
	take(handedOver: HandedOver): void {
		this.#handedOver ??= handedOver;
	}

	/** The mirror of a scope's pattern; opened if nobody reads it yet. */
	mirror(ref: ScopeRef, pattern: string): SharedMirror {
		const name = JSON.stringify([ref, pattern]);
		const open = this.#mirrors.get(name);
		if (open !== undefined) return open;
		const made = new SharedMirror(
			pattern,
			(initial) => scopeOf(this.#manager, ref).mirror(pattern, { initial }),
			this.#handedOver?.get(name),
			this.#isRendering,
			() => {
				// What was rendered is still to be handed over, however long the rest takes.
				if (!this.#isRendering && this.#mirrors.get(name) === made) this.#mirrors.delete(name);
				// Shown once, it grows old. A part of the page that is not there yet still meets it.
				if (made.wasRead) this.#handedOver?.delete(name);
			},
		);
		this.#mirrors.set(name, made);
		return made;
	}

	/** What was rendered of the mirrors, by the names under which another pool knows them. */
	rendered(): (readonly [name: string, entries: readonly StateEntry[]])[] {
		return [...this.#mirrors].flatMap(([name, { rendered }]) =>
			rendered ? [[name, rendered] as const] : [],
		);
	}

	/** Closes all mirrors. */
	close(): void {
		for (const mirror of [...this.#mirrors.values()]) mirror.close();
	}
}
