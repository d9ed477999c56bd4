/** The backend that `remote` makes, and what is inside of it. */
import type { Backend, Clock, ScopeId, Signal, Unwatch } from "@holdfast/core";
import type { Calls } from "./remote-calls.js";
import type { Identity } from "./remote-identity.js";
import type { Page } from "./remote-page.js";
import type { Reads } from "./remote-reads.js";
import type { LiveStatus, RemoteStatus } from "./remote-status.js";

/** What `remote` makes. */
export interface RemoteBackend extends Backend {
	/** How the connection is. */
	readonly status: RemoteStatus;
}

/** What all parts of such a backend work with. */
export interface RemoteParts {
	readonly url: string;
	readonly calls: Calls;
	readonly reads: Reads;
	readonly clock: Clock;
	readonly random: () => number;
	readonly page: Page;
	readonly identity: Identity;
	readonly status: LiveStatus;
	/** How long the server may take to answer, in ms. */
	readonly answerWithin: number;
	/** Whether all tabs are the same user, as they are where a cookie says so. */
	readonly shared: boolean;
}

/** The same as an offline queue sees it. */
export interface RemoteInside extends RemoteBackend {
	readonly parts: RemoteParts;
	/** Where it is `patient`, a listener is attached also while the server is out of reach. */
	watch(scope: ScopeId, listener: (signal: Signal) => void, patient?: boolean): Promise<Unwatch>;
}
