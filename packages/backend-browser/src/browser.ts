/** The browser's storage as a backend: what an application calls. */
import {
	type Backend,
	type Clock,
	type Duration,
	HoldfastError,
	memory,
	parseDuration,
	systemClock,
} from "@holdfast/core";
import { Database } from "./database.js";
import { type Place, RowBackend, type RowBackendOptions, type StorageState } from "./row-backend.js";
import { SessionStore } from "./session-store.js";
import { StoreFailure } from "./store-failure.js";
import { claimTab } from "./tab-claim.js";

/** Options of {@link browser}. */
export interface BrowserOptions {
	/**
	 * Where state is kept. `indexeddb`: on the device, shared by all tabs and workers of the origin. `session`: in this tab until it is closed, also
	 * through reloads; a popup or a duplicated tab begins empty. `memory`: until the page ends, for tests and for rendering on a server. Default
	 * `indexeddb`.
	 */
	readonly storage?: "indexeddb" | "session" | "memory";
	/** The name of the database, and of what `sessionStorage` holds: applications of one origin give different ones. Default `holdfast`. */
	readonly name?: string;
	/**
	 * What an answered commit to IndexedDB is safe from. `relaxed`: the end of the tab and of the browser; a loss of power may take the last commits,
	 * never half of one. `strict`: a loss of power too, as far as the system keeps its word, at about three times the cost. Default `relaxed`.
	 */
	readonly durability?: "relaxed" | "strict";
	/**
	 * How long the storage may let a transaction wait, in ms or as text, before it is refused as `store-blocked`. Keep it below the manager's
	 * `timeout`. Default 4 s.
	 */
	readonly patience?: Duration;
	/** The device's clock. Default: the machine's. */
	readonly clock?: Clock;
}

/** A backend in the browser. */
export interface BrowserBackend extends Backend {
	/**
	 * How safe what is stored is. `persisted`: the browser deletes it only when the user says so. `evictable`: it may go when the device runs short
	 * of space, or when the site was not visited for long. `blocked`: another tab, perhaps a frozen one, holds the storage at the moment.
	 */
	readonly storage: StorageState;
	/**
	 * Asks the browser to keep what this origin stores (`navigator.storage.persist()`), and answers whether it will. Some ask the user: call it from
	 * a click. It is never called unasked.
	 */
	persist(): Promise<boolean>;
}

/**
 * A store in the browser. Nothing is opened before its first use, so that a server may import and make one; there its first use is refused as
 * `unavailable`, unless its storage is `memory`.
 *
 * @throws HoldfastError `invalid-argument` where an option is malformed.
 *
 * @example
 * ```ts
 * const backend = browser({ storage: "indexeddb", name: "trading" });
 * const manager = createStateManager({ backend, state });
 * ```
 */
export function browser(options: BrowserOptions = {}): BrowserBackend {
	const { storage = "indexeddb", clock = systemClock } = options;
	switch (storage) {
		case "indexeddb":
			return indexedDb(options);
		case "session":
			return new RowBackend(sessionOptions(nameOf(options), clock));
		case "memory":
			return Object.assign(memory({ clock }), { storage: "evictable" as const, persist: async () => false });
		default:
			throw new HoldfastError(
				"invalid-argument",
				`browser({ storage }) is ${JSON.stringify(storage)}: give "indexeddb", "session" or "memory"; localStorage loses writes of other tabs`,
			);
	}
}

/**
 * The same as `browser({ storage: "indexeddb" })`, without what the other storages take in a bundle.
 *
 * @throws HoldfastError `invalid-argument` where an option is malformed.
 *
 * @example
 * ```ts
 * const queue = offlineQueue(indexedDb({ name: "outbox" }));
 * ```
 */
export const indexedDb = (options: Omit<BrowserOptions, "storage"> = {}): BrowserBackend =>
	new RowBackend(indexedDbOptions(options));

function nameOf({ name = "holdfast" }: BrowserOptions): string {
	if (name === "" || !name.isWellFormed())
		throw new HoldfastError("invalid-argument", "browser({ name }): give at least one character");
	return name;
}

function indexedDbOptions(options: BrowserOptions): RowBackendOptions {
	const { durability = "relaxed", clock = systemClock } = options;
	const name = nameOf(options);
	const patience = parseDuration(options.patience ?? 4000, "patience");
	const channel = `holdfast:${name}`;
	return {
		traits: { reach: "device", durable: true },
		clock,
		open: (events) => ({
			rows: new Database({ name, durability, patience, ...events }),
			channel,
			hasPresence: true,
		}),
	};
}

function sessionOptions(name: string, clock: Clock): RowBackendOptions {
	// No name is the beginning of another one's.
	const prefix = `holdfast:${encodeURIComponent(name)}: `;
	return {
		traits: { reach: "process", durable: false },
		clock,
		async open(): Promise<Place> {
			const items = sessionItems();
			let id: string;
			let rows: SessionStore;
			try {
				rows = new SessionStore(items, prefix);
				id = await claimTab(items, prefix, () => rows.clear());
			} catch (cause) {
				throw new StoreFailure("unavailable", "sessionStorage may not be used here", cause);
			}
			return { rows, channel: `${prefix}${id}` };
		},
	};
}

function sessionItems(): Storage {
	let items: Storage | undefined;
	let cause: unknown;
	try {
		items = globalThis.sessionStorage;
	} catch (error) {
		// The user forbids storage, or the frame is sandboxed.
		cause = error;
	}
	if (items === undefined || items === null)
		throw new StoreFailure(
			"unavailable",
			"there is no sessionStorage here, or it is forbidden: use another storage in a worker or on a server",
			cause,
		);
	return items;
}
