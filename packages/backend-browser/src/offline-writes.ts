/** One user's writes that wait for the server, in the page's own store: kept in order, over a reload, and shared by the tabs. */
import {
	type Batch,
	type ErrorCode,
	type Mirror,
	parseScopeId,
	type Retention,
	type Scope,
	type ScopeId,
	type UntypedFields,
} from "@holdfast/core";
import { encodeCommit, type WireCommit } from "@holdfast/core/wire";

/** Why a write was refused for good. */
export interface Refusal {
	readonly code: ErrorCode;
	readonly message: string;
}

/** A write as it is kept. */
interface Kept {
	readonly scope: ScopeId;
	readonly commit: WireCommit;
	readonly keep: Retention;
	/** When it was made, by the device's clock. */
	readonly at: number;
	/** Its place among those that were kept in the same commit. */
	readonly place: number;
	readonly refused?: Refusal;
}

/** A write that waits, or was refused. */
export interface WaitingWrite extends Kept {
	readonly id: string;
}

const under = "writes/";

const keyOf = (id: string): string => under + id;

/** The writes of one user to one server. */
export class OfflineWrites {
	readonly user: string;
	/** In the order in which they were made. */
	all: readonly WaitingWrite[] = [];
	/** The queue's own name: by it the server tells what was sent. */
	name = "";
	readonly #scope: Scope;
	readonly #mirror: Mirror<UntypedFields, "**">;
	readonly #changed: () => void;
	#stop = (): void => {};

	private constructor(user: string, scope: Scope, changed: () => void) {
		this.user = user;
		this.#scope = scope;
		this.#changed = changed;
		this.#mirror = scope.mirror();
	}

	/** Opens them; `changed` is called whenever they change, in other tabs too. */
	static async open(user: string, scope: Scope, changed: () => void): Promise<OfflineWrites> {
		const writes = new OfflineWrites(user, scope, changed);
		try {
			writes.name = (await scope.getOrSet("name", () => crypto.randomUUID())) as string;
			await writes.#mirror.ready;
		} catch (error) {
			writes.#mirror.close();
			throw error;
		}
		writes.#stop = writes.#mirror.subscribe(() => writes.#look());
		return writes;
	}

	/** The first write to a scope that waits, or was refused and stands in the way. */
	first(scope: ScopeId): WaitingWrite | undefined {
		return this.all.find((write) => write.scope === scope);
	}

	/** The scopes whose first write can be sent. */
	get sendable(): readonly ScopeId[] {
		const scopes = new Set(this.all.map(({ scope }) => scope));
		return [...scopes].filter((scope) => this.first(scope)?.refused === undefined);
	}

	/** How many writes to a scope were sent, as far as this device knows. */
	sent(scope: ScopeId): number {
		return (this.#mirror.get(`sent/${scope}`) as number | undefined) ?? 0;
	}

	/** Keeps the commits of a batch. Resolves when the store has them. */
	async add({ scope, commits, keep }: Batch, at: number): Promise<void> {
		await this.#commit((tx) => {
			for (const [place, commit] of commits.entries()) {
				const kept: Kept = { scope, commit: encodeCommit(commit), keep, at, place };
				// A commit's id is its own within its scope only.
				tx.set(keyOf(`${scope}/${commit.id}`), kept);
			}
		});
	}

	/** A write is stored, as the `n`th of its scope. */
	async stored({ id, scope }: WaitingWrite, n: number): Promise<void> {
		await this.#commit((tx) => {
			tx.delete(keyOf(id));
			tx.set(`sent/${scope}`, n);
		});
	}

	/** The server has counted another number than this device. */
	async counted(scope: ScopeId, n: number): Promise<void> {
		await this.#commit((tx) => tx.set(`sent/${scope}`, n));
	}

	/** A write was refused for good. */
	async refuse({ id, ...kept }: WaitingWrite, refused: Refusal): Promise<void> {
		await this.#commit((tx) => tx.set(keyOf(id), { ...kept, refused }));
	}

	/** Has a refused write sent again, in its place; answers whether it was one. */
	async retry(id: string): Promise<boolean> {
		return this.#decide(id, (tx, { refused: _, ...kept }) => tx.set(keyOf(id), kept));
	}

	/** Forgets a refused write; answers whether it was one. */
	async discard(id: string): Promise<boolean> {
		return this.#decide(id, (tx) => tx.delete(keyOf(id)));
	}

	/** Stops following them. They stay where they are. */
	close(): void {
		this.#stop();
		this.#mirror.close();
	}

	async #decide(id: string, work: (tx: Tx, kept: Kept) => void): Promise<boolean> {
		return this.#commit(async (tx) => {
			const kept = (await tx.get(keyOf(id))) as Kept | undefined;
			if (kept?.refused === undefined) return false;
			work(tx, kept);
			return true;
		});
	}

	async #commit<T>(work: (tx: Tx) => T | Promise<T>): Promise<T> {
		const { revision, value } = await this.#scope.commit(work);
		// What is decided next is decided by what is kept now; listeners are called a moment later.
		await this.#mirror.at(revision);
		this.#look();
		return value;
	}

	#look(): void {
		const found: (WaitingWrite & { readonly revision: number })[] = [];
		for (const { key } of this.#mirror.list()) {
			if (!key.startsWith(under)) continue;
			const { value, createdRevision } = this.#mirror.entry(key) as {
				readonly value: Kept;
				readonly createdRevision: number;
			};
			found.push({ ...value, id: key.slice(under.length), revision: createdRevision });
		}
		found.sort((a, b) => a.revision - b.revision || a.place - b.place);
		this.all = found.map(({ revision: _, ...write }) => write);
		this.#changed();
	}
}

type Tx = Parameters<Parameters<Scope["commit"]>[0]>[0];

/** A scope as the application names it: `user/ada`. */
export function nameOfScope(scope: ScopeId): string {
	const { kind, id } = parseScopeId(scope);
	return id === undefined ? kind : `${kind}/${id}`;
}
