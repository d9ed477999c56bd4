/** Whose page it is, and what this device keeps for them: the writes that wait, and what was known last. */
import type { Cursor, Failure, ReadAnswer, ScopeId, Signal, StateManager } from "@holdfast/core";
import { queueKey } from "@holdfast/core/wire";
import { OfflineCopy } from "./offline-copy.js";
import type { Asked } from "./offline-known.js";
import { OfflineView } from "./offline-view.js";
import type { WaitingWrite } from "./offline-write.js";
import { OfflineWrites } from "./offline-writes.js";
import type { RemoteParts } from "./remote-backend.js";

/** Who follows a scope. */
export type Hear = (signal: Signal) => void;

/** What the users of a device work with. */
export interface UsersParts {
	readonly remote: RemoteParts;
	/** What the device's store holds. */
	readonly manager: StateManager;
	/** About how many bytes of what was known last are kept of each user. */
	readonly copyBytes: number;
	/** What waits, or whose it is, has changed. */
	changed(): void;
	/** There may be something to send now. */
	wake(): void;
}

/** The users of one page, one at a time. */
export class OfflineUsers {
	/** What is kept of who uses the page now, as far as it is opened. */
	view: OfflineView | undefined;
	/** The server's clock minus that of the device. */
	offset = 0;
	/** Resolves when it is known who used this device last. */
	readonly started: Promise<void>;
	readonly #parts: UsersParts;
	readonly #opened = new Map<string, Promise<OfflineView>>();
	/** Who hears of a scope: mirrors among them. */
	readonly #heard = new Map<ScopeId, Set<Hear>>();
	/** What was told before it was known to whom. */
	#untaken: (() => void)[] = [];
	/** Whom this device was last known by: who writes before the server has answered. */
	#last: string | undefined;
	#opening: Promise<unknown> | undefined;

	constructor(parts: UsersParts) {
		this.#parts = parts;
		const { identity } = parts.remote;
		identity.learned = (user) => void this.#be(user);
		identity.parted = () => this.#part();
		this.started = this.#start();
		this.started.catch(() => {});
	}

	/** Who uses the page, by the server's word, before it by what the device knows; `undefined` if nobody is known. */
	get user(): string | undefined {
		const { identity } = this.#parts.remote;
		return identity.user ?? (identity.epoch === 0 ? this.#last : undefined);
	}

	/** What is kept of who uses the page now; waits while it is opened. */
	async known(): Promise<OfflineView | undefined> {
		await this.started.catch(() => {});
		await this.#opening?.catch(() => {});
		return this.#shown;
	}

	/** What is kept of a user, opened once. */
	of(user: string): Promise<OfflineView> {
		const known = this.#opened.get(user);
		if (known !== undefined) return known;
		const opening = this.#open(user);
		this.#opened.set(user, opening);
		opening.catch(() => this.#opened.delete(user));
		return opening;
	}

	/** What an answer about a scope will be judged by that is asked for now. */
	ask(scope: ScopeId): Asked {
		return this.view?.copy.ask(scope) ?? { life: 0, head: 0, at: this.#parts.remote.clock.now() };
	}

	/** Has a listener of a scope hear what the page shows of it; answers what takes the place of the listener, and what ends it. */
	hear(scope: ScopeId, listener: Hear): { readonly hear: Hear; readonly leave: () => void } {
		const { identity } = this.#parts.remote;
		const hear = (signal: Signal): void => {
			if (signal.type !== "records") listener(signal);
			else if (this.#shown !== undefined)
				listener({ ...signal, records: this.#shown.records(scope, signal.records) });
			else {
				const { epoch } = identity;
				this.#untaken.push(() => epoch === identity.epoch && this.view?.records(scope, signal.records));
				listener(signal);
			}
		};
		const listeners = this.#heard.get(scope) ?? new Set();
		this.#heard.set(scope, listeners.add(hear));
		const leave = (): void => {
			listeners.delete(hear);
			if (listeners.size === 0) this.#heard.delete(scope);
		};
		return { hear, leave };
	}

	/** The user logs out: this device knows nobody any more, and no tab of it. */
	async leave(): Promise<void> {
		const { manager, remote } = this.#parts;
		if (remote.shared) await manager.shared.delete(this.#lastKey);
		remote.identity.leave();
	}

	/** Writes what is yet to be written, and stops. */
	async close(): Promise<void> {
		for (const opening of this.#opened.values()) {
			const view = await opening.catch(() => undefined);
			await view?.copy.flush();
			view?.writes.close();
		}
	}

	/** What is opened, if it is of who uses the page now. */
	get #shown(): OfflineView | undefined {
		return this.view?.writes.user === this.user ? this.view : undefined;
	}

	get #lastKey(): string {
		return `user/${encodeURIComponent(this.#parts.remote.url)}`;
	}

	async #start(): Promise<void> {
		const { manager, remote, wake } = this.#parts;
		const { identity, shared } = remote;
		if (shared) this.#last = ((await manager.shared.get(this.#lastKey)) as string | null) ?? undefined;
		if (identity.user === undefined && identity.epoch === 0 && this.#last !== undefined) {
			await this.#show(this.#last);
			wake();
		}
	}

	/** The user has logged out of the device: nothing of what they knew stays in this page. */
	#part(): void {
		this.#last = undefined;
		this.view = undefined;
		this.#opening = undefined;
		this.#untaken = [];
		for (const opening of this.#opened.values())
			opening.then(
				({ copy }) => copy.forget(),
				() => {},
			);
		this.#parts.changed();
	}

	/** The server said whom it takes the page for. */
	async #be(user: string): Promise<void> {
		const { manager, remote, wake } = this.#parts;
		this.#last = user;
		const opening = this.#show(user);
		this.#opening = opening;
		try {
			await opening;
			// Logged out again, or somebody else.
			if (this.user !== user) return;
			await this.view?.copy.reopen();
			if (remote.shared) await manager.shared.set(this.#lastKey, user);
		} catch {
			// The next write tells.
		}
		if (this.#opening === opening) this.#opening = undefined;
		wake();
	}

	async #show(user: string): Promise<void> {
		// Another user's are neither shown nor sent while his are opened.
		if (this.view?.writes.user !== user) this.view = undefined;
		const view = await this.of(user);
		if (user === this.user) {
			this.view = view;
			for (const take of this.#untaken.splice(0)) take();
		}
		this.#parts.changed();
	}

	async #open(user: string): Promise<OfflineView> {
		const { manager, copyBytes, changed, remote } = this.#parts;
		const { url, clock, identity, reads } = remote;
		const id = `${url} ${user}`;
		let view: OfflineView | undefined;
		const copy = new OfflineCopy(manager.scope("copy", id), clock, copyBytes);
		const observer = {
			changed,
			life: (scope: ScopeId) => copy.of(scope).life,
			touched: (scope: ScopeId, keys: ReadonlySet<string>) => {
				if (view !== undefined && view === this.view) view.show(scope, keys, this.#heard.get(scope) ?? []);
			},
			stored: (write: WaitingWrite, revision: Cursor, guess?: Cursor) =>
				guess === undefined
					? view?.stored(write.scope, write, revision)
					: view?.redated(write, guess, revision),
		};
		const writes = await OfflineWrites.open(user, manager.user(id), observer, clock);
		view = new OfflineView({
			writes,
			copy,
			now: () => clock.now() + this.offset,
			offset: () => this.offset,
			counter: () =>
				identity.origin === undefined ? undefined : queueKey(identity.origin, writes.lines.name),
			read: (ask) => reads.read([ask])[0] as Promise<ReadAnswer | Failure>,
		});
		return view;
	}
}
