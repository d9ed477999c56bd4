/** What a user's page last knew, in the page's own store: for a start without a network. A row per scope, written a moment after it changed. */
import { type Cancel, type Clock, isHoldfastError, type Scope, type ScopeId } from "@holdfast/core";
import { type Asked, type KnownData, KnownScope } from "./offline-known.js";

/** How long changes are gathered before they are written, in ms. */
const gatherFor = 20;

/** How long it is until the next are, in ms, and how much longer for each character: writing them takes the page's time. */
const pause = { least: 1000, perCharacter: 0.01 } as const;

/** When each scope was last confirmed, and how many characters it takes. */
type Index = Readonly<Record<ScopeId, readonly [at: number, size: number]>>;

const indexKey = "index";

/** Set at a log-out, so that no tab writes what another has wiped, until somebody logs in again. */
const wipedKey = "wiped";

/** How many rows one commit removes: a commit has a limit. */
const wipedAtOnce = 500;

const rowKey = (scope: ScopeId): string => `scopes/${scope}`;

/** The last known state of one user's scopes. */
export class OfflineCopy {
	readonly #scope: Scope;
	readonly #clock: Clock;
	/** How many characters it may take on the device. */
	readonly #most: number;
	readonly #known = new Map<ScopeId, KnownScope>();
	readonly #loaded = new Map<ScopeId, Promise<void>>();
	/** The revision of each row that this page wrote, so that what another tab wrote is told from it. */
	readonly #written = new Map<ScopeId, number>();
	readonly #changed = new Set<ScopeId>();
	#timer: Cancel | undefined;
	#writing: Promise<void> = Promise.resolve();
	/** From when on it is written again, by the monotonic clock. */
	#next = Number.NEGATIVE_INFINITY;

	constructor(scope: Scope, clock: Clock, most: number) {
		this.#scope = scope;
		this.#clock = clock;
		this.#most = most;
	}

	/** What this page knows of a scope. */
	of(scope: ScopeId): KnownScope {
		const known = this.#known.get(scope) ?? new KnownScope();
		this.#known.set(scope, known);
		return known;
	}

	/** The same with what was kept of it. */
	async load(scope: ScopeId): Promise<KnownScope> {
		const loading = this.#loaded.get(scope) ?? this.#read(scope);
		this.#loaded.set(scope, loading);
		await loading;
		return this.of(scope);
	}

	/** What an answer about a scope will be judged by that is asked for now. */
	ask(scope: ScopeId): Asked {
		return this.of(scope).ask(this.#clock.now());
	}

	/** The server has told something of a scope: it is written soon. */
	changed(scope: ScopeId): void {
		this.of(scope).at = this.#clock.now();
		if (this.#most === 0) return;
		this.#changed.add(scope);
		const wait = Math.max(gatherFor, this.#next - this.#clock.monotonic());
		this.#timer ??= this.#clock.after(wait, () => void this.flush(), true);
	}

	/** Writes what has changed. */
	flush(): Promise<void> {
		this.#timer?.();
		this.#timer = undefined;
		const changed = [...this.#changed];
		this.#changed.clear();
		this.#writing = this.#writing.then(async () => {
			this.#next = this.#clock.monotonic() + pause.least;
			// What can't be kept is not known later: nothing is lost by it.
			for (const scope of changed)
				await this.#write(scope).catch((error) =>
					// Too large to be kept, or what is there can't be read.
					isHoldfastError(error, "too-large") || !isHoldfastError(error)
						? this.#drop(scope).catch(() => {})
						: undefined,
				);
		});
		return this.#writing;
	}

	/** Somebody has logged in: it may be written again. */
	async reopen(): Promise<void> {
		if (await this.#scope.has(wipedKey)) await this.#scope.delete(wipedKey);
	}

	/** Removes all of it from the device, and from here. */
	async wipe(): Promise<void> {
		this.#changed.clear();
		await this.flush();
		const wipeSome = (): Promise<{ readonly value: boolean }> =>
			this.#scope.commit(async (tx) => {
				const kept = Object.entries(((await tx.get(indexKey)) ?? {}) as Index);
				for (const [scope] of kept.slice(0, wipedAtOnce)) tx.delete(rowKey(scope));
				const isMore = kept.length > wipedAtOnce;
				if (isMore) tx.set(indexKey, Object.fromEntries(kept.slice(wipedAtOnce)));
				else tx.delete(indexKey);
				tx.set(wipedKey, true);
				return isMore;
			});
		while ((await wipeSome()).value);
		this.forget();
	}

	/** Forgets all of it in this page, also what was to be written. */
	forget(): void {
		this.#changed.clear();
		this.#known.clear();
		this.#loaded.clear();
		this.#written.clear();
	}

	async #read(scope: ScopeId): Promise<void> {
		try {
			const text = (await this.#scope.get(rowKey(scope))) as string | undefined;
			if (text !== undefined) {
				this.of(scope).merge(new KnownScope(JSON.parse(text) as KnownData));
				return;
			}
		} catch {
			// As if nothing had been kept.
		}
		this.#loaded.delete(scope);
	}

	async #write(scope: ScopeId): Promise<void> {
		const { revision } = await this.#scope.commit(async (tx) => {
			const [index, row, wiped] = await Promise.all([
				tx.get(indexKey) as Promise<Index | undefined>,
				tx.entry(rowKey(scope)),
				tx.get(wipedKey),
			]);
			if (wiped === true) {
				this.forget();
				return;
			}
			const known = this.of(scope);
			if (row !== undefined && row.revision !== this.#written.get(scope))
				known.merge(new KnownScope(JSON.parse(row.value as string) as KnownData));
			const text = JSON.stringify(known.data);
			this.#next += text.length * pause.perCharacter;
			tx.set(rowKey(scope), text);
			const kept = Object.entries({ ...index, [scope]: [known.at, text.length] as const });
			kept.sort(([, [a]], [, [b]]) => b - a);
			let sum = 0;
			const fitting = kept.filter(([of, [, size]]) => {
				if (sum + size <= this.#most) {
					sum += size;
					return true;
				}
				tx.delete(rowKey(of));
				return false;
			});
			tx.set(indexKey, Object.fromEntries(fitting));
		});
		this.#written.set(scope, revision);
	}

	async #drop(scope: ScopeId): Promise<void> {
		await this.#scope.commit(async (tx) => {
			const { [scope]: _, ...index } = ((await tx.get(indexKey)) ?? {}) as Index;
			tx.delete(rowKey(scope));
			tx.set(indexKey, index);
		});
	}
}
