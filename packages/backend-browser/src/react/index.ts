/**
 * React's bindings: hooks that render a component again only when what it reads has changed.
 *
 * @packageDocumentation
 */

export type { ShapeOf } from "@holdfast/core";
export { createHandover, type Handover } from "./handover.js";
export {
	createHooks,
	type FieldsAt,
	type Hooks,
	type ReadHookOptions,
	type ScopeOf,
	type Update,
} from "./hooks.js";
export {
	type ConnectionStatus,
	HoldfastProvider,
	type HoldfastProviderProps,
	type PendingWrites,
} from "./provider.js";
