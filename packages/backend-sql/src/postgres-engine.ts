/** Postgres, 12 or newer, and what speaks as it does. */
import { codeOf, type Engine, type Fragment, isNetworkError, type PairOf } from "./engine.js";

type Pair = readonly [string | number, string];

// Arrays: one text of a statement for any number of pairs.
const unnest = (first: PairOf): string => `unnest(?::${first === "scope" ? "text" : "bigint"}[], ?::text[])`;

const arrays = (pairs: readonly Pair[]): Fragment["values"] => [
	pairs.map(([one]) => one),
	pairs.map(([, other]) => other),
];

/** How the store speaks to Postgres. */
export const postgresEngine: Engine = {
	name: "postgres",
	locksRows: true,
	rowsAtOnce: 500,
	pairsAtOnce: 10_000,
	// now() is when the transaction started, which may be before it got its locks.
	now: "floor(extract(epoch from clock_timestamp()) * 1000)::float8",
	begin: ["begin isolation level read committed"],
	skipLocked: "for update skip locked",
	quote: '"',
	placeholder: (index) => `$${index}`,
	onConflict: (keys, updated) =>
		`on conflict (${keys.map((key) => `"${key}"`).join(", ")}) do ${
			updated.length === 0
				? "nothing"
				: `update set ${updated.map((column) => `"${column}" = excluded."${column}"`).join(", ")}`
		}`,
	pairTable: (first, second, pairs) => ({
		text: `(select * from ${unnest(first)} as pair(${first}, "${second}"))`,
		values: arrays(pairs),
	}),
	isPair: (first, second, pairs) => ({
		text: `(${first}, "${second}") in (select * from ${unnest(first)})`,
		values: arrays(pairs),
	}),
	// Serialisation failure, deadlock, lock not available, and a unique key that another transaction took meanwhile.
	isTransient: (error) => /^(40001|40P01|55P03|23505)$/.test(codeOf(error)),
	// Class 08 and 57P: the server goes down, or ended the session.
	isDisconnect: (error) => isNetworkError(error) || /^(08|57P|53300)/.test(codeOf(error)),
	isAnswer: (error) => /^[0-9A-Z]{5}$/.test(codeOf(error)) && !/^(08|57P)/.test(codeOf(error)),
	refusal: (error) =>
		/^(53100|53200|53400)$/.test(codeOf(error))
			? "full"
			: /^(25006|42501)$/.test(codeOf(error))
				? "read-only"
				: undefined,
};
