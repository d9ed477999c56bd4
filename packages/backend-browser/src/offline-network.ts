/** Whether there is a network, as far as an offline queue goes by it, and what is answered while there is none. */
import { type Failure, HoldfastError, type ScopeId } from "@holdfast/core";
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
	#probing = false;

	constructor(parts: RemoteParts) {
		this.#parts = parts;
	}

	/** Whether the device says that it has none, or the last request failed. */
	get isAway(): boolean {
		const { page, status } = this.#parts;
		return !page.connected || !status.online;
	}

	/** Whether the device says that it has one. */
	get isConnected(): boolean {
		return this.#parts.page.connected;
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
