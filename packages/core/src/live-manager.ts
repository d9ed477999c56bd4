/** A manager at work: makes scopes, keeps house for them, and ends them cleanly. */
import { EventEmitter } from "eventemitter3";
import type { Backend, Retention, ScopeId, ScopePage, ScopeRange, Unwatch } from "./backend.js";
import { type Cancel, systemClock } from "./clock.js";
import { jsonCodec } from "./codec.js";
import { Committer, Lane } from "./committer.js";
import type { Bounds } from "./drafting.js";
import { type Duration, parseDuration, parseTtl } from "./duration.js";
import { HoldfastError } from "./error.js";
import type { Feed } from "./feed.js";
import { formatScopeId } from "./key.js";
import { Leases } from "./leases.js";
import { LiveScope } from "./live-scope.js";
import type {
	CloseResult,
	Health,
	KeepOptions,
	Limits,
	ManagerOptions,
	ManagerSignals,
	ScopeOptions,
} from "./manager.js";
import { Reader } from "./reader.js";
import { StateRules } from "./state.js";
import { Store } from "./store.js";
import { wholeNumber } from "./whole-number.js";

/** How often the heads of watched scopes are compared, in ms: the repair of a push that was lost. */
const checkInterval = 10_000;

/** After how many checks scopes are swept that nobody watches. */
const checksPerSweep = 6;

const sweptAtOnce = 1000;

const hour = 36e5;

// On the backend itself, under a name that two copies of this library share: who closes last closes it.
const users = Symbol.for("holdfast.users");

type Shared = Backend & { [users]?: number };

const bound = (limits: Limits, name: keyof Limits, most: number, usual = most): number =>
	wholeNumber(`limits.${name}`, limits[name] ?? usual, 1, most);

const retention = (given: KeepOptions | undefined, count: number, age: number) => ({
	count: wholeNumber("a log's count", given?.count ?? count, 0),
	age: parseDuration(given?.age ?? age, "age"),
});

/** What holds for a kind of scope. */
export interface KindOptions {
	readonly keep: Retention;
	readonly ttl: number | null;
	readonly idle: number | undefined;
}

/** The insides of a manager, for a server of its scopes. */
export interface ManagerParts {
	readonly store: Store;
	readonly reader: Reader;
	readonly committer: Committer;
	/** Feeds that run: those in it are checked now and then for lost pushes. */
	readonly feeds: Set<Feed>;
	readonly state: StateRules;
	readonly bounds: Bounds;
	readonly namespace: string;
	kind(kind: string): KindOptions;
	/** Starts the checks. */
	keepHouse(): void;
}

/** Where a manager has its {@link ManagerParts}, under a name that two copies of this library share. */
export const managerParts = Symbol.for("holdfast.manager");

/** The implementation of `StateManager`; its types are in the interface. */
export class LiveManager {
	readonly #backend: Shared;
	readonly #store: Store;
	readonly #parts: ManagerParts;
	readonly #options: ManagerOptions;
	readonly #kinds = new Map<string, KindOptions>();
	readonly #leases: Leases;
	readonly #signals = new EventEmitter<ManagerSignals>();
	// One object a scope while anybody uses it: one queue of commits, one feed.
	readonly #scopes = new Map<string, WeakRef<LiveScope>>();
	readonly #collected = new FinalizationRegistry<string>((scope) => {
		if (this.#scopes.get(scope)?.deref() === undefined) this.#scopes.delete(scope);
	});
	#shared: LiveScope | undefined;
	readonly #deaf: Unwatch | undefined;
	#checks = 0;
	#housekeeping: Cancel | undefined;
	#closing: Promise<CloseResult> | undefined;

	constructor(options: ManagerOptions) {
		const { backend, namespace = "default", timeout = 5000, limits = {}, layers = [] } = options;
		const { clock = systemClock, codec = jsonCodec, random = Math.random } = options;
		if (typeof backend?.commit !== "function")
			throw new HoldfastError("invalid-argument", "backend is none: memory() is one");
		this.#options = options;
		this.#backend = backend;
		const store = new Store(
			layers.reduce((wrapped, layer) => layer(wrapped), backend),
			{ clock, codec, random, timeout: parseTtl(timeout, "timeout") },
			(error) => this.#report(error),
			() => this.#signals.emit("health", this.health),
		);
		this.#leases = new Leases(clock);
		const reader = new Reader(store);
		this.#store = store;
		this.#parts = {
			store,
			reader,
			committer: new Committer(store, reader, bound(limits, "queue", Number.MAX_SAFE_INTEGER, 100_000)),
			feeds: new Set(),
			state: new StateRules(options.state),
			bounds: {
				valueBytes: bound(limits, "valueBytes", 2 ** 20),
				commitMutations: bound(limits, "commitMutations", 1000),
				commitBytes: bound(limits, "commitBytes", 2 ** 21),
			},
			namespace,
			kind: (kind) => this.#kind(kind),
			keepHouse: () => this.#keepHouse(),
		};
		// Malformed options are refused here and not at their first use.
		this.#id("shared");
		for (const kind of ["shared", ...Object.keys(options.scopes ?? {})]) this.#kind(kind);
		this.#backend[users] = (this.#backend[users] ?? 0) + 1;
		this.#deaf = backend.problems?.((problem) => this.#report(new HoldfastError("failed", problem)));
	}

	get [managerParts](): ManagerParts {
		return this.#parts;
	}

	get shared(): LiveScope {
		this.#shared ??= this.#scope("shared");
		return this.#shared;
	}

	user(id: string): LiveScope {
		return this.#scope("user", id);
	}

	session(id: string, { ttl }: { readonly ttl?: Duration } = {}): LiveScope {
		const scope = this.#scope("session", id);
		if (ttl !== undefined) scope.slide = parseTtl(ttl);
		return scope;
	}

	scope(kind: string, id: string): LiveScope {
		return this.#scope(kind, id);
	}

	async ready(): Promise<void> {
		await this.#parts.reader.read(this.#id("shared"), []);
	}

	get health(): Health {
		const { failure, used, closed, offset = 0 } = this.#store;
		const { committer, feeds } = this.#parts;
		return {
			status: closed ? "closed" : failure !== undefined ? "unreachable" : used ? "ok" : "idle",
			error: failure,
			clockOffset: offset,
			pending: committer.pending.reduce((sum, { commits }) => sum + commits, 0),
			watched: feeds.size,
			storage: this.#backend.storage,
		};
	}

	on<S extends keyof ManagerSignals>(signal: S, listener: ManagerSignals[S]): () => void {
		// A function of its own: the same listener may be given twice, and what it throws is nobody else's failure.
		const own = (...values: never[]): void => {
			try {
				(listener as (...values: never[]) => void)(...values);
			} catch (error) {
				console.error(error);
			}
		};
		this.#signals.on(signal, own as never);
		return () => {
			this.#signals.off(signal, own as never);
		};
	}

	async close({ timeout = 5000 }: { readonly timeout?: Duration } = {}): Promise<CloseResult> {
		this.#closing ??= this.#close(parseDuration(timeout, "timeout"));
		return this.#closing;
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.close();
	}

	async #close(timeout: number): Promise<CloseResult> {
		const { store, committer, feeds } = this.#parts;
		const end = store.clock.monotonic() + timeout;
		const left = () => ({ timeout: Math.max(0, end - store.clock.monotonic()) });
		const inTime = (work: Promise<unknown>) => store.within(work, undefined, left()).catch(() => {});
		store.closed = true;
		this.#housekeeping?.();
		await inTime(Promise.all([committer.flush(), this.#leases.release()]));
		const unflushed = committer.pending;
		committer.abandon();
		for (const feed of [...feeds]) feed.stop();
		this.#deaf?.();
		const others = (this.#backend[users] ?? 1) - 1;
		this.#backend[users] = others;
		if (others === 0) await inTime(store.backend.close(left()));
		this.#signals.emit("health", this.health);
		this.#signals.removeAllListeners();
		return { unflushed };
	}

	#id(kind: string, id?: string): ScopeId {
		return formatScopeId({ namespace: this.#parts.namespace, kind, id });
	}

	#scope(kind: string, id?: string): LiveScope {
		const scope = this.#id(kind, id);
		const known = this.#scopes.get(scope)?.deref();
		if (known !== undefined) return known;
		const options = this.#kind(kind);
		const made = new LiveScope(scope, { ...this.#parts, leases: this.#leases, ...options });
		made.slide = options.idle;
		this.#scopes.set(scope, new WeakRef(made));
		this.#collected.register(made, scope);
		this.#keepHouse();
		return made;
	}

	#kind(kind: string): KindOptions {
		const known = this.#kinds.get(kind);
		if (known !== undefined) return known;
		const {
			ttl = this.#options.ttl,
			idle,
			changes,
			events,
		}: ScopeOptions = this.#options.scopes?.[kind] ?? {};
		const made = {
			keep: { changes: retention(changes, 10_000, hour), events: retention(events, 100_000, 720 * hour) },
			ttl: ttl === undefined ? null : parseTtl(ttl),
			idle: idle === undefined ? undefined : parseTtl(idle, "idle"),
		};
		this.#kinds.set(kind, made);
		return made;
	}

	#report(error: HoldfastError): void {
		// An error that nobody hears would be lost, and with it a listener's bug.
		if (!this.#signals.emit("error", error)) console.error(error);
	}

	#keepHouse(): void {
		if (this.#store.closed) return;
		this.#housekeeping ??= this.#store.clock.after(
			checkInterval,
			() => {
				this.#housekeeping = undefined;
				void this.#check().then(() => this.#keepHouse());
			},
			true,
		);
	}

	/** Repairs what pushes have missed, and now and then expires what nobody watches. */
	async #check(): Promise<void> {
		const { store, reader, feeds } = this.#parts;
		if (!store.used) return;
		const check = async (feed: Feed): Promise<void> => feed.check((await reader.read(feed.scope, [])).head);
		// A store that is out of reach is looked at again next time.
		await Promise.allSettled(Array.from(feeds, check));
		if (++this.#checks % checksPerSweep === 0) await this.#sweep().catch(() => {});
	}

	async #sweep(): Promise<void> {
		const { store, committer, namespace } = this.#parts;
		for (let after: string | null = null; ; ) {
			const range: ScopeRange = { prefix: `${namespace}/`, after, limit: sweptAtOnce, due: true };
			const { scopes, more }: ScopePage = await store.page(undefined, (backend) => backend.scopes(range));
			await Promise.allSettled(
				scopes.map(({ scope }) => committer.sweep(new Lane(scope, this.#kind("shared").keep))),
			);
			after = scopes.at(-1)?.scope ?? null;
			if (!more || after === null || store.closed) return;
		}
	}
}
