/** The backend that `remote` makes, and what is inside of it. */
import type { Backend, ScopeId, Signal, Unwatch } from "@holdfast/core";
import type { Commits } from "./remote-commits.js";
import type { LinkParts } from "./remote-link.js";
import type { Reads } from "./remote-reads.js";
import type { RemoteStatus } from "./remote-status.js";

/** What `remote` makes. */
export interface RemoteBackend extends Backend {
	/** How the connection is. */
	readonly status: RemoteStatus;
}

/** What all parts of such a backend work with. */
export interface RemoteParts extends LinkParts {
	readonly reads: Reads;
	readonly commits: Commits;
	/** Whether all tabs are the same user, as they are where a cookie says so. */
	readonly shared: boolean;
}

/** The same as an offline queue sees it. */
export interface RemoteInside extends RemoteBackend {
	readonly parts: RemoteParts;
	/** Where it is `patient`, a listener is attached also while the server is out of reach. */
	watch(scope: ScopeId, listener: (signal: Signal) => void, patient?: boolean): Promise<Unwatch>;
}
