/** The pasts of the symbols that the page shows: asked for once, then kept current by the pushed commits. */
import type { Bar } from "../bar.ts";
import type { Trade } from "../broker.ts";
import type { History, WireCommit } from "../wire.ts";

/** A symbol's past. */
export class SymbolHistory {
	readonly symbol: string;
	bars: (readonly [date: string, bar: Bar])[] = [];
	equity: (readonly [date: string, equity: number])[] = [];
	trades: Trade[] = [];
	/** Grows whenever more changed than that something was appended. */
	generation = 0;
	#revision = -1;
	/** Commits that came while the past was asked for. */
	#early: WireCommit[] | undefined = [];

	constructor(symbol: string) {
		this.symbol = symbol;
	}

	load({ revision, bars, equity, trades }: History): void {
		this.bars = [...bars];
		this.equity = [...equity];
		this.trades = [...trades];
		this.#revision = revision;
		this.generation++;
		const early = this.#early ?? [];
		this.#early = undefined;
		for (const commit of early) this.apply(commit);
	}

	apply(commit: WireCommit): void {
		if (this.#early !== undefined) {
			this.#early.push(commit);
			return;
		}
		if (commit.scope !== "shared" || commit.revision <= this.#revision) return;
		this.#revision = commit.revision;
		const bars = `bars/${this.symbol}/`;
		const deleted = new Set<string>();
		for (const { key, value } of commit.changes) {
			if (key === "run") this.#clear();
			else if (value === undefined) deleted.add(key);
			else if (key.startsWith(bars)) this.bars.push([key.slice(bars.length), value as Bar]);
			else if (key.startsWith("equity/")) this.equity.push([key.slice("equity/".length), value as number]);
		}
		for (const { type, payload } of commit.events)
			if (type === "trade_executed" && (payload as Trade).symbol === this.symbol)
				this.trades.push(payload as Trade);
		if (deleted.size > 0) this.#delete(deleted);
	}

	#delete(keys: ReadonlySet<string>): void {
		const before = this.bars.length + this.equity.length;
		this.bars = this.bars.filter(([date]) => !keys.has(`bars/${this.symbol}/${date}`));
		this.equity = this.equity.filter(([date]) => !keys.has(`equity/${date}`));
		if (this.bars.length + this.equity.length < before) this.generation++;
	}

	/** A new run begins: its first commit says so; the old bars are deleted behind it. */
	#clear(): void {
		this.bars = [];
		this.equity = [];
		this.trades = [];
		this.generation++;
	}
}

/** The histories that are in use. */
export class Histories {
	readonly #ask: (symbol: string) => Promise<History>;
	readonly #loaded: () => void;
	#histories = new Map<string, SymbolHistory>();

	constructor(ask: (symbol: string) => Promise<History>, loaded: () => void) {
		this.#ask = ask;
		this.#loaded = loaded;
	}

	/** A symbol's history, empty until it has come. */
	get(symbol: string): SymbolHistory {
		const known = this.#histories.get(symbol);
		if (known !== undefined) return known;
		const history = new SymbolHistory(symbol);
		this.#histories.set(symbol, history);
		this.#ask(symbol).then(
			(past) => {
				history.load(past);
				this.#loaded();
			},
			// Forgotten, it is asked for again at the next look.
			() => setTimeout(() => this.#histories.delete(symbol), 1000),
		);
		return history;
	}

	apply(commit: WireCommit): void {
		for (const history of this.#histories.values()) history.apply(commit);
	}

	/** Forgets all: there may be a gap between what is known and what comes. */
	clear(): void {
		this.#histories.clear();
	}
}
