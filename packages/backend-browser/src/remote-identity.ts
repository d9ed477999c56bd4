/**
 * Whom the page believes to be. A cookie belongs to all tabs: who logs in in one of them is somebody else in all of them, and nothing that one
 * user could see may still be shown, or sent, as the next one.
 */
import type { Envelope } from "@holdfast/core/wire";
import type { Page } from "./remote-page.js";

/** A belief, shared by the tabs of an origin. */
export class Identity {
	/** The user as the server told; `undefined` before its first answer. */
	user: string | undefined;
	/** The server's name for this user's writers. */
	origin: string | undefined;
	/** Grows with each change: what was asked under an earlier one is nobody's any more. */
	epoch = 0;
	/** Called with the user as soon as the server has said who that is. */
	learned: ((user: string) => void) | undefined;
	readonly #forget: () => void;
	readonly #channel: BroadcastChannel | undefined;

	/** `shared`: whether all tabs are the same user, as they are where a cookie says so. */
	constructor(page: Page, url: string, shared: boolean, forget: () => void) {
		this.#forget = forget;
		this.#channel = shared ? page.channel(`holdfast:user:${url}`) : undefined;
		this.#channel?.addEventListener("message", ({ data }) => {
			if (this.user !== undefined && data !== this.user) this.changed();
		});
	}

	/** Notes whom the server took us for. */
	learn({ user, origin }: Envelope): void {
		this.origin = origin;
		if (this.user === user) return;
		if (this.user !== undefined) this.changed();
		this.user = user;
		this.#channel?.postMessage(user);
		this.learned?.(user);
	}

	/** It is somebody else: what is known goes, before anything is asked again. */
	changed(): void {
		this.user = undefined;
		this.origin = undefined;
		this.epoch++;
		this.#forget();
	}

	close(): void {
		this.#channel?.close();
	}
}
