/** A manager at work: makes scopes, keeps house for them, and ends them cleanly. */
import { EventEmitter } from "eventemitter3";
import type { Backend, Retention, ScopePage, ScopeRange, Unwatch } from "./backend.js";
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

/** How often the heads of watched scopes are compared, in ms: the repair of a push that was lost. */
const checkInterval = 10_000;

/** After how many checks scopes are swept that nobody watches. */
const checksPerSweep = 6;

const sweptAtOnce = 1000;

const hour = 36e5;

// On the backend itself, under a name that two copies of this library share: who closes last closes it.
const users = Symbol.for("holdfast.users");

type Shared = Backend & { [users]?: number };

const retention = (given: KeepOptions | undefined, count: number, age: number) => {
	const kept = given?.count ?? count;
	if (!Number.isInteger(kept) || kept < 0)
		throw new HoldfastError("invalid-argument", `a log's count is ${kept}: give a whole number from 0`);
	return { count: kept, age: given?.age === undefined ? age : parseDuration(given.age, "age") };
};

const bound = (name: keyof Limits, given: number | undefined, most: number, usual = most): number => {
	if (given === undefined) return usual;
	if (Number.isInteger(given) && given > 0 && given <= most) return given;
	throw new HoldfastError(
		"invalid-argument",
		`limits.${name} is ${given}: give a whole number from 1 to ${most}`,
	);
};

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
	readonly #reader: Reader;
	readonly #committer: Committer;
	readonly #state: StateRules;
	readonly #namespace: string;
	readonly #bounds: Bounds;
	readonly #options: ManagerOptions;
	readonly #kinds = new Map<string, KindOptions>();
	readonly #feeds = new Set<Feed>();
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
		this.#options = options;
		this.#namespace = namespace;
		this.#state = new StateRules(options.state);
		this.#bounds = {
			valueBytes: bound("valueBytes", limits.valueBytes, 2 ** 20),
			commitMutations: bound("commitMutations", limits.commitMutations, 1000),
			commitBytes: bound("commitBytes", limits.commitBytes, 2 ** 21),
		};
		this.#backend = backend;
		this.#store = new Store(
			layers.reduce((wrapped, layer) => layer(wrapped), backend),
			{ clock, codec, random, timeout: parseTtl(timeout) },
			(error) => this.#report(error),
			() => this.#signals.emit("health", this.health),
		);
		this.#leases = new Leases(clock);
		this.#reader = new Reader(this.#store);
		this.#committer = new Committer(
			this.#store,
			this.#reader,
			bound("queue", limits.queue, Number.MAX_SAFE_INTEGER, 100_000),
		);
		// Malformed options are refused here and not at their first use.
		formatScopeId({ namespace, kind: "shared", id: undefined });
		for (const kind of ["shared", ...Object.keys(options.scopes ?? {})]) this.#kind(kind);
		this.#backend[users] = (this.#backend[users] ?? 0) + 1;
		this.#deaf = backend.problems?.((problem) => this.#report(new HoldfastError("failed", problem)));
	}

	get [managerParts](): ManagerParts {
		return {
			store: this.#store,
			reader: this.#reader,
			committer: this.#committer,
			feeds: this.#feeds,
			state: this.#state,
			bounds: this.#bounds,
			namespace: this.#namespace,
			kind: (kind) => this.#kind(kind),
			keepHouse: () => this.#keepHouse(),
		};
	}

	get shared(): LiveScope {
		this.#shared ??= this.#scope("shared", undefined);
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
		const scope = formatScopeId({ namespace: this.#namespace, kind: "shared", id: undefined });
		await this.#reader.read(scope, []);
	}

	get health(): Health {
		const { failure, used, closed, offset = 0 } = this.#store;
		return {
			status: closed ? "closed" : failure !== undefined ? "unreachable" : used ? "ok" : "idle",
			error: failure,
			clockOffset: offset,
			pending: this.#committer.pending.reduce((sum, { commits }) => sum + commits, 0),
			watched: this.#feeds.size,
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

	close({ timeout = 5000 }: { readonly timeout?: Duration } = {}): Promise<CloseResult> {
		this.#closing ??= this.#close(parseDuration(timeout, "timeout"));
		return this.#closing;
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.close();
	}

	async #close(timeout: number): Promise<CloseResult> {
		const store = this.#store;
		const end = store.clock.monotonic() + timeout;
		const inTime = async (work: Promise<unknown>): Promise<void> => {
			const patience = { timeout: Math.max(0, end - store.clock.monotonic()) };
			await store.within(work, patience, () => store.timedOut(undefined)).catch(() => {});
		};
		store.closed = true;
		this.#housekeeping?.();
		await inTime(Promise.all([this.#committer.flush(), this.#leases.release()]));
		const unflushed = this.#committer.pending;
		this.#committer.abandon();
		for (const feed of [...this.#feeds]) feed.stop();
		this.#deaf?.();
		const left = (this.#backend[users] ?? 1) - 1;
		this.#backend[users] = left;
		if (left === 0)
			await inTime(store.backend.close({ timeout: Math.max(0, end - store.clock.monotonic()) }));
		this.#signals.emit("health", this.health);
		this.#signals.removeAllListeners();
		return { unflushed };
	}

	#scope(kind: string, id: string | undefined): LiveScope {
		const scope = formatScopeId({ namespace: this.#namespace, kind, id });
		const known = this.#scopes.get(scope)?.deref();
		if (known !== undefined) return known;
		const options = this.#kind(kind);
		const made = new LiveScope(scope, {
			store: this.#store,
			reader: this.#reader,
			committer: this.#committer,
			feeds: this.#feeds,
			leases: this.#leases,
			state: this.#state,
			bounds: this.#bounds,
			...options,
		});
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
			idle: idle === undefined ? undefined : parseTtl(idle),
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
		if (!this.#store.used) return;
		const check = async (feed: Feed): Promise<void> =>
			feed.check((await this.#reader.read(feed.scope, [])).head);
		// A store that is out of reach is looked at again next time.
		await Promise.allSettled(Array.from(this.#feeds, check));
		if (++this.#checks % checksPerSweep === 0) await this.#sweep().catch(() => {});
	}

	async #sweep(): Promise<void> {
		const prefix = `${this.#namespace}/`;
		for (let after: string | null = null; ; ) {
			const range: ScopeRange = { prefix, after, limit: sweptAtOnce, due: true };
			const { scopes, more, now }: ScopePage = await this.#store.ask(undefined, (backend) =>
				backend.scopes(range),
			);
			this.#store.learn(now);
			await Promise.allSettled(
				scopes.map(({ scope }) => this.#committer.sweep(new Lane(scope, this.#kind("shared").keep))),
			);
			after = scopes.at(-1)?.scope ?? null;
			if (!more || after === null || this.#store.closed) return;
		}
	}
}
