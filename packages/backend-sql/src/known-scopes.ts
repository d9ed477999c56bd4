/** What the last transactions of a connection, or of a backend, left of scopes: as long as nobody else writes, it need not be read again. */
import type { ScopeId, WriterMemory } from "@holdfast/core";
import { Recent } from "./recent.js";
import type { ScopeRow } from "./scope-row.js";

/** A scope as its last transaction left it. */
export interface KnownScope {
	readonly row: ScopeRow;
	/** Who wrote last, and what is remembered of it; absent: it has to be looked up, the memory too where its answer is large. */
	readonly last?: { readonly writer: string; readonly sequence: number; readonly memory?: WriterMemory };
	/** The version of its row, where the database has such: as long as the row has it, all that is known holds. */
	readonly version?: string;
}

/** What is remembered of a writer, as far as it is known: it has to be looked up otherwise. */
export const memoryOf = (known: KnownScope | undefined, writer: string): WriterMemory | undefined =>
	known?.last?.writer === writer ? known.last.memory : undefined;

/** The scopes that one connection, or one backend, knows. */
export class KnownScopes {
	readonly #scopes = new Recent<ScopeId, KnownScope>();
	readonly #most: number;
	#version: number | undefined;

	/** @param most - of how many scopes at most, those that were written last. */
	constructor(most = 1000) {
		this.#most = most;
	}

	/** Begins a transaction: what is known holds only while the file has this version, which every other connection's write changes. */
	begin(version: number): void {
		if (version !== this.#version) this.#scopes.clear();
		this.#version = version;
	}

	get(scope: ScopeId): KnownScope | undefined {
		return this.#scopes.get(scope);
	}

	/** Keeps what a transaction left, once it is committed. */
	keep(known: KnownScope): void {
		const { scope, seal } = known.row;
		// A seal's note may be large.
		if (seal === undefined) this.#scopes.set(scope, known);
		else this.#scopes.delete(scope);
		const oldest = this.#scopes.size > this.#most ? this.#scopes.oldest() : undefined;
		if (oldest !== undefined) this.#scopes.delete(oldest);
	}

	/** Forgets all: something else was written, or a transaction failed. */
	forget(): void {
		this.#scopes.clear();
	}
}
