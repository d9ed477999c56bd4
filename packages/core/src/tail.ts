/** Following a scope's log from a cursor on. */
import type { Json } from "./backend.js";
import type { EventOf } from "./events.js";
import type { EntriesOf } from "./scope.js";
import type { EventSchemas, Fields } from "./state.js";
import type { ChangesOf } from "./subscription.js";

/** A whole commit, as `changes()` yields it. */
export interface ScopeRecord<F extends Fields, E extends EventSchemas> {
	readonly type: "commit";
	/** Its revision; a cursor to go on from. */
	readonly revision: number;
	/** The revision before it. */
	readonly previous: number;
	readonly id: string;
	/** ms since 1970, by the store's clock. */
	readonly time: number;
	readonly metadata: Json | undefined;
	readonly own: boolean;
	/** Whether listeners are not called for it. */
	readonly quiet: boolean;
	readonly changes: readonly ChangesOf<F, "**">[];
	readonly events: readonly EventOf<E, "*">[];
}

/** The present state, where the log no longer reaches back to the cursor. */
export interface ScopeReset<F extends Fields> {
	readonly type: "reset";
	readonly revision: number;
	readonly entries: readonly EntriesOf<F, "**">[];
}
