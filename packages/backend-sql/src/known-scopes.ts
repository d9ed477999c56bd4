/** What the last transactions of a connection left of scopes: as long as no other connection writes, it need not be read again. */
import type { ScopeId, WriterMemory } from "@holdfast/core";
import type { ScopeRow } from "./scope-row.js";

// Of so many scopes at most, those that were written last.
const mostScopes = 1000;

/** A scope as its last transaction left it. */
export interface KnownScope {
	readonly row: ScopeRow;
	/** Who wrote last, and what is remembered of it; absent: it has to be looked up. */
	readonly last?: { readonly writer: string; readonly memory: WriterMemory };
}

/** The scopes that one connection knows. */
export class KnownScopes {
	readonly #scopes = new Map<ScopeId, KnownScope>();
	#version: number | undefined;

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
		const { scope } = known.row;
		this.#scopes.delete(scope);
		// Its note may be large.
		if (known.row.seal !== undefined) return;
		if (this.#scopes.size >= mostScopes) {
			const [oldest] = this.#scopes.keys();
			if (oldest !== undefined) this.#scopes.delete(oldest);
		}
		this.#scopes.set(scope, known);
	}

	/** Forgets all: something else was written, or a transaction failed. */
	forget(): void {
		this.#scopes.clear();
	}
}
