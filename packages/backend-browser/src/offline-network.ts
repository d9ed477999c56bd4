/** Whether there is a network, as far as an offline queue goes by it, and what is answered while there is none. */
import { type Cancel, type Failure, HoldfastError, type ScopeId } from "@holdfast/core";
import { nameOfScope } from "./offline-write.js";
import type { RemoteParts } from "./remote-backend.js";

/** That a call needs a network. */
export const offlineError = (scope: ScopeId, message: string): HoldfastError =>
	new HoldfastError("offline", message, { scope: nameOfScope(scope) });

/** A failure that the application is told as this error. */
export const refusedBy = (cause: HoldfastError): Failure => ({
	failed: "refused",
	message: cause.message,
	cause,
});

/** The network of one page. */
export class Network {
	readonly #parts: RemoteParts;
	readonly #grace: number;
	#probing = false;

	/** `grace`: how long the server may say nothing before it is taken as silent, in ms. */
	constructor(parts: RemoteParts, grace: number) {
		this.#parts = parts;
		this.#grace = grace;
	}

	/** Whether the device says that it has none, or the last request failed. */
	get isAway(): boolean {
		const { page, status } = this.#parts;
		return !page.connected || !status.online;
	}

	/** Whether reads don't wait for the server: there is no network, or it was silent when it was last waited for. */
	get isMute(): boolean {
		return this.isAway || this.#parts.status.silent;
	}

	/** Whether the device says that it has one. */
	get isConnected(): boolean {
		return this.#parts.page.connected;
	}

	/** Calls back once the server has said nothing for the grace from now on; answers what ends the wait. */
	whenMute(callback: () => void): Cancel {
		const { clock, status } = this.#parts;
		const since = clock.monotonic();
		let cancel: Cancel = () => {};
		const wait = (ms: number, then: () => void): void => {
			cancel = clock.after(ms, then, true);
		};
		const look = (): void => {
			const heard = Math.max(0, this.#grace - Math.min(status.age, clock.monotonic() - since));
			if (heard > 0) {
				begin(heard);
				return;
			}
			status.quiet();
			callback();
		};
		// In two steps: what has come while the page was busy is read before the second one ends.
		const begin = (ms: number): void => wait(ms / 2, () => wait(ms / 2, look));
		begin(this.#grace);
		return () => cancel();
	}

	/** Finds out, once at a time, whether the server is back. */
	probe(scope: ScopeId): void {
		const { page, reads } = this.#parts;
		if (this.#probing || !page.connected) return;
		this.#probing = true;
		void reads.read([{ scope, keys: [] }])[0]?.then(() => {
			this.#probing = false;
		});
	}
}

/** What is told where there is none. */
export const noNetwork = (scope: ScopeId): HoldfastError =>
	offlineError(scope, "there is no network: nothing was written or read");
