/** React's hooks over mirrors, with the types of a state definition. */
import type {
	EventsOf,
	FieldsOf,
	KeyIn,
	MembersOf,
	Mirror,
	PatternIn,
	Scope,
	ShapeOf,
	StateDefinition,
	StateShape,
	UntypedState,
	UpdateOptions,
	ValueFrom,
	ValueTo,
} from "@holdfast/core";
import { use, useCallback, useMemo, useSyncExternalStore } from "react";
import { type AnyScope, type ScopeRef, scopeOf } from "./mirror-pool.js";
import { type ConnectionStatus, type PendingWrites, useProvided } from "./provider.js";
import type { AnyMirror, SharedMirror } from "./shared-mirror.js";

/** A scope as the hooks name it: `"shared"`, or its kind and its id: `["user", "ada"]`. */
export type ScopeOf<S extends StateShape> =
	| "shared"
	| readonly [kind: Exclude<keyof S & string, "events" | "shared">, id: string];

/** The fields of a scope that hooks name. */
export type FieldsAt<S extends StateShape, R extends ScopeOf<S>> = R extends readonly [
	infer Kind extends string,
	string,
]
	? FieldsOf<S, Kind>
	: FieldsOf<S, "shared">;

/** Options of the hooks that read. */
export interface ReadHookOptions {
	/**
	 * Whether to suspend until the store was heard; otherwise what is known is shown: at first defaults, or nothing. What a server handed
	 * over is shown at once either way. Default `true`.
	 */
	readonly suspend?: boolean;
}

/** Writes a value, or what a function makes of the present one by compare-and-set; resolves when it is stored. */
export type Update<From, To> = (
	change: To | ((value: From) => To | undefined | Promise<To | undefined>),
	options?: UpdateOptions,
) => Promise<void>;

/** The hooks of one state definition; see {@link createHooks}. */
export interface Hooks<S extends StateShape> {
	/**
	 * The value of a key, kept current; its default, else `undefined`, where it is absent. The component renders again only when the value
	 * changes.
	 */
	useEntry<const R extends ScopeOf<S>, K extends KeyIn<FieldsAt<S, R>>>(
		scope: R,
		key: K,
		options?: ReadHookOptions,
	): ValueFrom<FieldsAt<S, R>, K>;
	/** Keys and values under a pattern, in key order: the same frozen array until one of them changes. */
	useEntries<const R extends ScopeOf<S>, const P extends PatternIn<FieldsAt<S, R>> = "**">(
		scope: R,
		pattern?: P,
		options?: ReadHookOptions,
	): readonly MembersOf<FieldsAt<S, R>, P>[];
	/** The mirror behind {@link Hooks.useEntries}, to be read in handlers and effects. Following it renders nothing. */
	useMirror<const R extends ScopeOf<S>, const P extends PatternIn<FieldsAt<S, R>> = "**">(
		scope: R,
		pattern?: P,
	): Mirror<FieldsAt<S, R>, P>;
	/** A function that writes a key: the same one at each render. */
	useUpdate<const R extends ScopeOf<S>, K extends KeyIn<FieldsAt<S, R>>>(
		scope: R,
		key: K,
	): Update<ValueFrom<FieldsAt<S, R>, K>, ValueTo<FieldsAt<S, R>, K>>;
	/** A scope, for everything else: commits, locks, events. */
	useScope<const R extends ScopeOf<S>>(scope: R): Scope<FieldsAt<S, R>, EventsOf<S>>;
	/** What was written and not answered yet, of the provider's `status`. */
	usePending(): PendingWrites;
	/** Whether the server answers, and whether what is shown may be behind it, of the provider's `status`. */
	useConnection(): { readonly online: boolean; readonly stale: boolean };
}

// A reference is often written where it is used: a new array at each render.
function useScope(ref: ScopeRef): AnyScope {
	const { manager } = useProvided();
	const [kind, id] = ref === "shared" ? [undefined, ""] : ref;
	return useMemo(() => scopeOf(manager, kind === undefined ? "shared" : [kind, id]), [manager, kind, id]);
}

function useShared(ref: ScopeRef, pattern: string, { suspend = true }: ReadHookOptions = {}): SharedMirror {
	const shared = useProvided().pool.mirror(ref, pattern);
	if (suspend) use(shared.shown);
	return shared;
}

function useEntry(ref: ScopeRef, key: string, options?: ReadHookOptions): unknown {
	const shared = useShared(ref, key, options);
	return useSyncExternalStore(
		shared.subscribe,
		() => shared.value,
		() => shared.firstValue,
	);
}

function useEntries(ref: ScopeRef, pattern = "**", options?: ReadHookOptions): readonly unknown[] {
	const shared = useShared(ref, pattern, options);
	return useSyncExternalStore(
		shared.subscribe,
		() => shared.members,
		() => shared.firstMembers,
	);
}

function useMirror(ref: ScopeRef, pattern = "**"): AnyMirror {
	const shared = useShared(ref, pattern, { suspend: false });
	const present = (): AnyMirror => shared.mirror;
	return useSyncExternalStore(shared.subscribe, present, present);
}

function useUpdate(ref: ScopeRef, key: string): Update<unknown, unknown> {
	const scope = useScope(ref);
	return useCallback(
		async (change, options) => {
			if (typeof change === "function")
				await scope.update(key, change as (value: unknown) => unknown, options);
			else await scope.set(key, change, options);
		},
		[scope, key],
	);
}

const settled: PendingWrites = Object.freeze({ count: 0, oldest: null });

const never = (): void => {};

/** Follows one part of the provider's status; without one, and on a server, nothing is wrong. */
function useStatus<T>(part: (status: ConnectionStatus) => T, otherwise: T): T {
	const { status } = useProvided();
	const subscribe = useCallback(
		// Later: the status changes where a component opens a mirror while it renders, and must not have another one render meanwhile.
		(listener: () => void) => status?.subscribe(() => queueMicrotask(listener)) ?? never,
		[status],
	);
	return useSyncExternalStore(
		subscribe,
		() => (status === undefined ? otherwise : part(status)),
		() => otherwise,
	);
}

const usePending = (): PendingWrites => useStatus(({ pending }) => pending, settled);

function useConnection(): { readonly online: boolean; readonly stale: boolean } {
	const online = useStatus((status) => status.online, true);
	const stale = useStatus((status) => status.stale, false);
	return useMemo(() => ({ online, stale }), [online, stale]);
}

const hooks = { useEntry, useEntries, useMirror, useUpdate, useScope, usePending, useConnection };

/**
 * The hooks with the types of a state definition.
 *
 * @example
 * ```tsx
 * const { useEntry, useUpdate } = createHooks<typeof state>();
 *
 * function Counter() {
 *   const count = useEntry("shared", "counter");
 *   const update = useUpdate("shared", "counter");
 *   return <button onClick={() => update((n) => n + 1)}>{count}</button>;
 * }
 * ```
 */
export const createHooks = <D extends StateDefinition = StateDefinition<UntypedState>>(): Hooks<ShapeOf<D>> =>
	hooks as unknown as Hooks<ShapeOf<D>>;
