/** Gives the components under it their manager. */
import type { Codec, StateManager } from "@holdfast/core";
import { createContext, type ReactNode, useContext, useMemo } from "react";
import { GatheredHandover, type Handover, readHandover } from "./handover.js";
import { type AnyManager, MirrorPool } from "./mirror-pool.js";

/** Writes that were not answered yet. */
export interface PendingWrites {
	/** How many commits. */
	readonly count: number;
	/** When the oldest of them was made, in ms since 1970; `null` if there is none. */
	readonly oldest: number | null;
}

/** How a page's connection is; the `status` of a `remote()` backend is one. */
export interface ConnectionStatus {
	/** Whether the server answered last. */
	readonly online: boolean;
	/** Whether what is watched may be behind the server. */
	readonly stale: boolean;
	/** What was not answered yet; the same object until it changes. */
	readonly pending: PendingWrites;
	/** Calls back when one of them changes; answers what ends it. */
	readonly subscribe: (listener: () => void) => () => void;
}

/** Properties of {@link HoldfastProvider}. */
export interface HoldfastProviderProps {
	/** The page's manager; on a server the one that serves this request's user. */
	// biome-ignore lint/suspicious/noExplicitAny: the types come with createHooks
	readonly manager: StateManager<any>;
	/** What `usePending` and `useConnection` show: the `status` of a `remote()` backend. */
	readonly status?: ConnectionStatus;
	/** On a server: gathers what this rendering shows. */
	readonly handover?: Handover;
	/** In the page: the handover's text. Read at the first render. */
	readonly initial?: string | undefined;
	/** The manager's codec, if it has one of its own. */
	readonly codec?: Codec;
	readonly children?: ReactNode;
}

/** What the hooks work with. */
export interface Provided {
	readonly manager: AnyManager;
	readonly pool: MirrorPool;
	readonly status: ConnectionStatus | undefined;
}

const Context = createContext<Provided | undefined>(undefined);

// By manager and not in the provider's state: React throws that away where the first render suspends.
const pools = new WeakMap<AnyManager, MirrorPool>();

function poolOf(manager: AnyManager): MirrorPool {
	const known = pools.get(manager);
	if (known !== undefined) return known;
	const pool = new MirrorPool(manager);
	pools.set(manager, pool);
	return pool;
}

/**
 * Gives the components under it their manager. An instance and not a module's variable, since a server renders for many users.
 *
 * @example
 * ```tsx
 * createRoot(element).render(<HoldfastProvider manager={manager}><App /></HoldfastProvider>);
 * ```
 */
export function HoldfastProvider(props: HoldfastProviderProps): ReactNode {
	const { manager, status, handover, initial, codec, children } = props;
	const provided = useMemo((): Provided => {
		const pool = handover instanceof GatheredHandover ? handover.pool(manager) : poolOf(manager);
		if (initial !== undefined) pool.take(readHandover(initial, codec));
		return { manager, pool, status };
	}, [manager, status, handover, initial, codec]);
	return <Context value={provided}>{children}</Context>;
}

/** What the nearest provider gives. */
export function useProvided(): Provided {
	const provided = useContext(Context);
	if (provided === undefined)
		throw new Error("There is no manager here: render this component under <HoldfastProvider manager={…}>.");
	return provided;
}
