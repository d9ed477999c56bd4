/** A suite: cases, each of ours beside its peers'. */
import { deepStrictEqual } from "node:assert/strict";
import { measure, type Operation } from "./measure.ts";
import { head, print, type Row, save } from "./report.ts";
import { type Fill, weigh } from "./weigh.ts";

/** The same work, ours and by peers. */
export type Sides<T> = { readonly Holdfast: T } & { readonly [peer: string]: T };

/** How a case is run and judged. */
export interface CaseOptions {
	/** What the operation of an index must answer, or what `after` must read: so that no case measures nothing. */
	readonly gives: (index: number) => unknown;
	/** Reads what the operation did; without it the operation's own answer is looked at. */
	readonly after?: { readonly [side: string]: (index: number) => unknown };
	/** So many at once, in a `Promise.all`. Default 1: each is awaited before the next. */
	readonly together?: number;
	/** What the ratio to a peer must reach. Default: 1 for each peer that answers by a promise. */
	readonly bars?: { readonly [peer: string]: number };
}

/** Runs cases one by one and keeps their rows. */
export class Suite {
	readonly #name: string;
	readonly #rows: Row[] = [];

	constructor(name: string) {
		this.#name = name;
	}

	/** Measures a case; one row for each peer. */
	async compare(name: string, sides: Sides<Operation>, options: CaseOptions): Promise<void> {
		const { Holdfast: ours, ...peers } = sides;
		const isSync = new Map<string, boolean>();
		for (const [side, operation] of Object.entries(sides))
			isSync.set(side, await verify(`${name}: ${side}`, operation, options, options.after?.[side]));
		const [ops = 0, ...peerOps] = await measure([ours, ...Object.values(peers)], options.together);
		for (const [i, peer] of Object.keys(peers).entries()) {
			const sync = isSync.get(peer) === true;
			const bar = options.bars === undefined ? (sync ? undefined : 1) : options.bars[peer];
			this.#add({ case: name, unit: "ops/s", peer, ops, peerOps: peerOps[i] as number, bar, sync });
		}
	}

	/** Weighs an entry; must come before any other case, see {@link weigh}. */
	async weigh(name: string, entries: number, sides: Sides<Fill>): Promise<void> {
		const { Holdfast, ...peers } = sides;
		const [ops = 0, ...peerOps] = await weigh(entries, { Holdfast, ...peers });
		for (const [i, peer] of Object.keys(peers).entries())
			this.#add({ case: name, unit: "bytes/key", peer, ops, peerOps: peerOps[i] as number });
	}

	/** Adds what was measured otherwise, and of which less is better: the ratio must not pass the bar. */
	record(
		name: string,
		unit: Exclude<Row["unit"], "ops/s">,
		ours: number,
		peers: { readonly [peer: string]: number },
		bars: { readonly [peer: string]: number } = {},
	): void {
		for (const [peer, theirs] of Object.entries(peers))
			this.#add({ case: name, unit, peer, ops: ours, peerOps: theirs, bar: bars[peer] });
	}

	/** Times that were taken one by one, in ms: a row for each peer of the medians, and one of our slowest hundredth beside a bound. */
	latency(
		name: string,
		sides: Sides<readonly number[]>,
		{ bars, p99 }: { readonly bars: { readonly [peer: string]: number }; readonly p99: number },
	): void {
		const { Holdfast, ...peers } = sides;
		const rank = (times: readonly number[], share: number): number =>
			[...times].sort((a, b) => a - b)[Math.floor(times.length * share)] as number;
		for (const [peer, times] of Object.entries(peers))
			this.#add({
				case: `${name}, p50`,
				unit: "ms",
				peer,
				ops: rank(Holdfast, 0.5),
				peerOps: rank(times, 0.5),
				bar: bars[peer],
			});
		this.#add({
			case: `${name}, p99`,
			unit: "ms",
			peer: `${p99} ms`,
			ops: rank(Holdfast, 0.99),
			peerOps: p99,
			bar: 1,
		});
	}

	/** Adds what was measured elsewhere, in a page: operations a second by side. */
	add(
		name: string,
		figures: Readonly<Record<string, number>>,
		{ bars = {}, sync = [] }: Pick<CaseOptions, "bars"> & { readonly sync?: readonly string[] },
	): void {
		const { Holdfast: ops = 0, ...peers } = figures;
		for (const [peer, peerOps] of Object.entries(peers))
			this.#add({
				case: name,
				unit: "ops/s",
				peer,
				ops,
				peerOps,
				bar: bars[peer],
				sync: sync.includes(peer),
			});
	}

	/** Writes what was found. */
	end(): void {
		save(this.#name, this.#rows);
	}

	#add(
		found: Omit<Row, "ratio" | "bar" | "sync"> & {
			readonly bar?: number | undefined;
			readonly sync?: boolean;
		},
	) {
		const { ops, peerOps, bar, sync = false } = found;
		const row: Row = {
			case: found.case,
			unit: found.unit,
			ops: rounded(ops, found.unit),
			peer: found.peer,
			peerOps: rounded(peerOps, found.unit),
			ratio: Number((ops / peerOps).toPrecision(3)),
			...(bar === undefined ? {} : { bar }),
			...(sync ? { sync } : {}),
		};
		if (this.#rows.length === 0) console.log(head);
		this.#rows.push(row);
		console.log(print(row));
	}
}

const rounded = (figure: number, unit: Row["unit"]): number =>
	unit === "ms" || unit === "cpu %" ? Number(figure.toFixed(3)) : Math.round(figure);

/** Runs an operation twice and looks at what came of it; answers whether it answers at once. */
async function verify(
	what: string,
	operation: Operation,
	{ gives }: CaseOptions,
	after: ((index: number) => unknown) | undefined,
): Promise<boolean> {
	let sync = true;
	for (const index of [1, 2]) {
		const answer = operation(index);
		if (answer instanceof Promise) sync = false;
		const given = await answer;
		// Cloned: some peers answer objects without a prototype.
		deepStrictEqual(structuredClone(after === undefined ? given : await after(index)), gives(index), what);
	}
	return sync;
}
