/** Sends the writes of an offline queue to the server: the scopes at once, each one's writes in order, and each once. */
import type { Resolving } from "./offline-conflict.js";
import { OfflinePost } from "./offline-post.js";
import { ScopeSending } from "./offline-scope-sending.js";
import type { OfflineWrites } from "./offline-writes.js";
import type { RemoteParts } from "./remote-backend.js";

/** One page's sending. */
export class Sending {
	readonly #post: OfflinePost;
	readonly #resolving: Resolving;

	constructor(parts: RemoteParts, resolving: Resolving) {
		this.#post = new OfflinePost(parts);
		this.#resolving = resolving;
	}

	/** Sends what can be sent, while it is `mine` to send; answers whether nothing is left to be tried again. */
	async send(writes: OfflineWrites, mine: () => boolean): Promise<boolean> {
		const scopes = writes.lines.sendable;
		const counts = this.#post.count(writes, scopes);
		const sending = counts.map((count, i) => {
			const parts = { post: this.#post, resolving: this.#resolving, writes, mine };
			return new ScopeSending(scopes[i] as string, parts).send(count);
		});
		// The turn is over once all have ended, also where the device's store fails for one of them.
		const ended = await Promise.allSettled(sending);
		return ended.every((one) => one.status === "fulfilled" && one.value);
	}
}
