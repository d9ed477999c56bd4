/**
 * Whom the page believes to be. A cookie belongs to all tabs: who logs in in one of them is somebody else in all of them, and nothing that one
 * user could see may still be shown, or sent, as the next one.
 */
import type { Envelope } from "@holdfast/core/wire";
import type { Page } from "./remote-page.js";

/** What tabs tell instead of a user once there is none. */
const logout = null;

/** A belief, shared by the tabs of an origin. */
export class Identity {
	/** The user as the server told; `undefined` before its first answer. */
	user: string | undefined;
	/** The server's name for this user's writers. */
	origin: string | undefined;
	/** Grows with each change: what was asked under an earlier one is nobody's any more. */
	epoch = 0;
	/** Whether the user has logged out of this device: nothing is asked any more until a page has learned who is logged in since. */
	left = false;
	/** Called when the user has logged out of this device. */
	parted: (() => void) | undefined;
	/** Called with the user as soon as the server has said who that is. */
	learned: ((user: string) => void) | undefined;
	readonly #forget: () => void;
	readonly #channel: BroadcastChannel | undefined;

	/** `shared`: whether all tabs are the same user, as they are where a cookie says so. */
	constructor(page: Page, url: string, shared: boolean, forget: () => void) {
		this.#forget = forget;
		this.#channel = shared ? page.channel(`holdfast:user:${url}`) : undefined;
		this.#channel?.addEventListener("message", ({ data }) => {
			if (data === logout) this.#part();
			else if (this.left) this.#return();
			else if (this.user !== undefined && data !== this.user) this.changed();
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

	/** The user logs out of this device, in all tabs. */
	leave(): void {
		this.#channel?.postMessage(logout);
		this.#part();
	}

	close(): void {
		this.#channel?.close();
	}

	#part(): void {
		this.left = true;
		this.changed();
		this.parted?.();
	}

	/** Somebody is logged in again: what watches asks anew. */
	#return(): void {
		this.left = false;
		this.changed();
	}
}
