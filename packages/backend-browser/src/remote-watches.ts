/** The scopes that a page watches, and those that the server does not let it watch. */
import {
	type Clock,
	type Cursor,
	HoldfastError,
	type ScopeId,
	type Signal,
	type Unwatch,
} from "@holdfast/core";
import type { Identity } from "./remote-identity.js";
import { WatchedScope } from "./remote-scope.js";

/** How many denials are remembered. */
const deniedLimit = 1000;

/** What watching works with. */
export interface WatchesParts {
	readonly clock: Clock;
	readonly identity: Identity;
	/** How long the server may take to answer, in ms. */
	readonly answerWithin: number;
	/** A scope has come or gone, or a stream missed something: what is told is not what is wanted. */
	changed(): void;
}

/** The watched scopes of one backend. */
export class Watches {
	readonly #parts: WatchesParts;
	readonly #scopes = new Map<ScopeId, WatchedScope>();
	/** Scopes that the server does not tell. Each new stream asks for them again, and one that is open tells them once they are granted. */
	readonly #denied = new Set<ScopeId>();

	constructor(parts: WatchesParts) {
		this.#parts = parts;
	}

	/** How many there are. */
	get size(): number {
		return this.#scopes.size;
	}

	/** One of them, by its scope. */
	get(scope: ScopeId): WatchedScope | undefined {
		return this.#scopes.get(scope);
	}

	/** What a stream is asked for. */
	get subscriptions(): { s: ScopeId; c?: Cursor }[] {
		return Array.from(this.#scopes.values(), ({ scope, cursor }) =>
			cursor === undefined ? { s: scope } : { s: scope, c: cursor },
		);
	}

	/** Attaches a listener; resolves once the server tells what happens in the scope, where it is `patient` at once. */
	async add(scope: ScopeId, listener: (signal: Signal) => void, patient: boolean): Promise<Unwatch> {
		const { clock, answerWithin, changed } = this.#parts;
		const watched = this.#scopes.get(scope) ?? this.#open(scope);
		// A function of its own: the same listener may be given twice.
		const own = (signal: Signal): void => listener(signal);
		const unwatch = (): void => {
			if (!watched.listeners.delete(own) || watched.listeners.size > 0) return;
			if (this.#scopes.get(scope) !== watched) return;
			this.#scopes.delete(scope);
			watched.close(watchEnded());
			changed();
		};
		watched.listeners.add(own);
		if (watched.attached) return unwatch;
		if (patient) {
			watched.miss(own);
			return unwatch;
		}
		// While the link backs off, no attempt ends the wait.
		const tooLate = clock.after(answerWithin, () => watched.fail(unreached()));
		try {
			await watched.whenAttached();
		} catch (error) {
			unwatch();
			throw error;
		} finally {
			tooLate();
		}
		return unwatch;
	}

	/** Whether the server said that it does not tell a scope. */
	isDenied(scope: ScopeId): boolean {
		return this.#denied.has(scope);
	}

	/** The server does not tell a scope. */
	deny(scope: ScopeId, error: HoldfastError): void {
		if (this.#denied.size >= deniedLimit) this.#denied.clear();
		this.#denied.add(scope);
		const watched = this.#scopes.get(scope);
		watched?.lost();
		watched?.fail(error);
	}

	/** The server answered about a scope: it will tell of it, too. */
	granted(scope: ScopeId): void {
		if (this.#denied.delete(scope) && this.#scopes.has(scope)) this.#parts.changed();
	}

	/** The server tells of a scope. */
	told(scope: ScopeId): void {
		this.#denied.delete(scope);
	}

	/** Nothing is heard of any of them for the time being. */
	lost(): void {
		for (const watched of [...this.#scopes.values()]) watched.lost();
	}

	/** The page is somebody else's: what was told was not for these eyes. */
	forget(error: HoldfastError): void {
		this.#denied.clear();
		for (const watched of [...this.#scopes.values()]) watched.forget(error);
	}

	/** Lets go of all. */
	close(): void {
		for (const watched of this.#scopes.values()) watched.close(watchEnded());
		this.#scopes.clear();
	}

	#open(scope: ScopeId): WatchedScope {
		const { clock, identity, changed } = this.#parts;
		const watched = new WatchedScope(scope, { clock, origin: () => identity.origin, gap: changed });
		this.#scopes.set(scope, watched);
		changed();
		return watched;
	}
}

/** That no stream could be opened. */
export const unreached = (): HoldfastError => new HoldfastError("unavailable", "the server opens no stream");

/** That a watch is over. */
export const watchEnded = (): HoldfastError => new HoldfastError("unavailable", "the watch was ended");
