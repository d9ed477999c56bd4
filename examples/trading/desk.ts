/** The trading desk: the strategy and the broker together, bar by bar, over plain values. */
import type { Bar } from "./bar.ts";
import {
	type Account,
	applyTrade,
	type Costs,
	fill,
	flat,
	mark,
	type Order,
	openAccount,
	type Position,
	settle,
	type Trade,
	value,
} from "./broker.ts";
import type { Strategy } from "./state.ts";
import { Crossover, type Lengths, type Signal } from "./strategy.ts";

export interface DeskOptions extends Lengths, Costs {
	readonly symbol: string;
	readonly startingCash: number;
	/** How much of its cash it puts into a position, from 0 to 1. */
	readonly stake: number;
}

/** What one bar led to. */
export interface Step {
	readonly date: string;
	readonly equity: number;
	readonly filled: { readonly order: Order; readonly trade: Trade } | undefined;
}

/** What a desk is made of where it goes on. */
export interface Books {
	readonly account: Account;
	readonly position: Position;
	readonly date: string | null;
}

export class Desk {
	readonly run: number;
	readonly #options: DeskOptions;
	readonly #crossover: Crossover;
	#account: Account;
	#position: Position;
	#date: string | null;

	constructor(run: number, options: DeskOptions, books?: Books) {
		this.run = run;
		this.#options = options;
		this.#crossover = new Crossover(options);
		this.#account = books?.account ?? openAccount(options.startingCash);
		this.#position = books?.position ?? flat(options.symbol, 0);
		this.#date = books?.date ?? null;
	}

	get account(): Account {
		return this.#account;
	}

	get position(): Position {
		return this.#position;
	}

	get strategy(): Strategy {
		return {
			symbol: this.#options.symbol,
			fastLength: this.#options.fast,
			slowLength: this.#options.slow,
			fast: this.#crossover.fast ?? null,
			slow: this.#crossover.slow ?? null,
			missing: this.#crossover.missing,
			date: this.#date,
			run: this.run,
		};
	}

	/** Takes the next bar. One that the books already know only fills the averages: it is not traded again. */
	step(date: string, bar: Bar): Step | undefined {
		const signal = this.#crossover.push(bar.close);
		if (this.#date !== null && date <= this.#date) return undefined;
		this.#date = date;
		this.#position = mark(this.#position, bar.close);
		const filled = signal === undefined ? undefined : this.#follow(signal, date, bar.close);
		this.#account = value(this.#account, [this.#position]);
		return { date, equity: this.#account.equity, filled };
	}

	#follow(signal: Signal, date: string, close: number): Step["filled"] {
		const { symbol, fast, slow, stake } = this.#options;
		const held = this.#position.quantity;
		const quantity = signal === "sell" ? held : Math.floor((this.#account.cash * stake) / close);
		if (quantity <= 0 || (signal === "buy" && held > 0)) return undefined;
		const order: Order = {
			id: `${this.run}-${date}`,
			symbol,
			side: signal,
			quantity,
			date,
			reason: `SMA ${fast} crossed ${signal === "buy" ? "above" : "below"} SMA ${slow}`,
		};
		const trade = fill(order, close, this.#position, this.#options);
		this.#position = mark(applyTrade(this.#position, trade), close);
		this.#account = settle(this.#account, trade);
		return { order, trade };
	}
}
