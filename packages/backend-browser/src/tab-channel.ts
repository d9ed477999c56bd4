/** What tabs tell one another. Only hints: the store is what counts. */
import type { ScopeId } from "@holdfast/core";
import type { PresenceMessage } from "./presence.js";

/** A lock that its holder leaves behind. */
export interface LeftLock {
	readonly scope: ScopeId;
	readonly key: string;
	/** Its token. */
	readonly revision: number;
}

/** What is told. */
export type Message =
	/** A scope changed: these records, as text; without them, look at the head. */
	| { readonly scope: ScopeId; readonly records?: string | undefined }
	/** A page ends that held locks. */
	| { readonly left: readonly LeftLock[] }
	/** Nothing: one hears that one is heard. */
	| { readonly hello: true }
	| PresenceMessage;

// Who is not attached by then is healed by the check of heads.
const patience = 1000;

/** A channel between the tabs of an origin that can be closed and opened again. */
export class TabChannel {
	readonly #name: string;
	readonly #hear: (message: Message) => void;
	#channel: BroadcastChannel | undefined;
	#attached: Promise<void> | undefined;

	constructor(name: string, hear: (message: Message) => void) {
		this.#name = name;
		this.#hear = hear;
	}

	/** Attaches; what others tell after the answer is heard. */
	open(): Promise<void> {
		this.#attached ??= this.#attach();
		return this.#attached;
	}

	/** Tells the others. It never fails: what is told was committed before. */
	tell(message: Message): void {
		try {
			if (this.#channel === undefined) void this.open();
			this.#channel?.postMessage(message);
		} catch {
			// Closed in between.
		}
	}

	/** Detaches: a message to a page in the back/forward cache would throw it out. */
	close(): void {
		this.#channel?.close();
		this.#channel = undefined;
		this.#attached = undefined;
	}

	#attach(): Promise<void> {
		if (typeof BroadcastChannel === "undefined") return Promise.resolve();
		const { promise, resolve } = Promise.withResolvers<void>();
		const channel = new BroadcastChannel(this.#name);
		this.#channel = channel;
		const late = setTimeout(resolve, patience);
		channel.onmessage = ({ data }: MessageEvent<Message>) => {
			if ("hello" in data) {
				clearTimeout(late);
				resolve();
			} else this.#hear(data);
		};
		// Another process routes messages: once one has come this way, others do.
		const caller = new BroadcastChannel(this.#name);
		caller.postMessage({ hello: true } satisfies Message);
		caller.close();
		return promise;
	}
}
