/** What an offline queue offers to an application, and what it is told. */
import type { Codec, Duration, ErrorCode, StateDefinition, StateShape } from "@holdfast/core";
import type { Resolve } from "./offline-conflict.js";
import type { RemoteBackend, RemoteInside } from "./remote-backend.js";

/** A deferred write that the server refused for good. It stays, and later writes to its scope wait behind it, until it is decided on. */
export interface RefusedWrite {
	readonly id: string;
	/** As errors name it: `user/ada`. */
	readonly scope: string;
	/** The keys that it would have written. */
	readonly keys: readonly string[];
	/** When it was made, in ms since 1970 by the device's clock. */
	readonly at: number;
	/** Why it was refused. */
	readonly code: ErrorCode;
	readonly message: string;
}

/** Options of a log-out. */
export interface LogoutOptions {
	/**
	 * What becomes of writes that wait, or were refused. `send`: they are sent first. `keep`: they stay on the device, and go on when this user is
	 * back. `discard`: they are given up, but for what is on its way already.
	 */
	readonly pending?: "send" | "keep" | "discard";
}

/** Options of `offlineQueue`. */
export interface OfflineOptions {
	/**
	 * Settles a deferred `update` of what is not there any more once it is sent. Without it, such an update is refused as `conflict`.
	 *
	 * @example
	 * ```ts
	 * conflict: ({ mine, theirs, base }) => (theirs === undefined ? mine : mergeText(base, mine, theirs)),
	 * ```
	 */
	readonly conflict?: Resolve;
	/** The state definition, as the manager has it: `conflict` is told values of its present version. */
	readonly state?: StateDefinition<StateShape>;
	/** The manager's codec. Default: JSON. */
	readonly codec?: Codec;
	/** About how many bytes of what was known last are kept for a start without a network; 0: none. Default 8 MiB. */
	readonly copyBytes?: number;
	/**
	 * How long a read waits for a server that says nothing, where this device knows what to answer: it is then answered by what was known last, as are
	 * the reads after it until the server is heard. Default 2 s.
	 */
	readonly grace?: Duration;
	/** How many writes may wait, or be refused and undecided; what would be more is refused as `full`. Default 10,000. */
	readonly queueLimit?: number;
}

/** What a page without a network keeps; made by `offlineQueue`. */
export interface OfflineQueue {
	/** The present user's writes that were refused for good; the same array until they change. `status.subscribe` of the backend tells when. */
	readonly refused: readonly RefusedWrite[];
	/** Has a refused write sent again, before those that wait behind it. Answers whether there was one. */
	retry(id: string): Promise<boolean>;
	/** Gives a refused write up, with the updates that were made of it, so that those behind it are sent. Answers whether there was one. */
	discard(id: string): Promise<boolean>;
	/**
	 * Removes what this device keeps of the present user's state, and forgets who it was, in all tabs: their mirrors are empty then, and calls are
	 * refused as `unauthenticated`, until a page that is loaded later learns who is logged in. Call it before the log-out at the server.
	 *
	 * @throws HoldfastError `pending-writes` where something waits or was refused, and nothing is said of what becomes of it; `offline` where it
	 * was to be sent, and can't be. Nothing is removed then.
	 */
	logout(options?: LogoutOptions): Promise<void>;
	/**
	 * For `remote`, which calls it once.
	 *
	 * @internal
	 */
	attach(remote: RemoteInside): RemoteBackend;
}
