/**
 * State that several sessions share, with one set of promises on every store.
 *
 * @packageDocumentation
 */

// For who writes a backend: the contract and the pure functions under it.
export type * from "./backend.js";
export { type Cancel, type Clock, systemClock } from "./clock.js";
export { jsonCodec } from "./codec.js";
export { type Duration, type DurationUnit, parseDuration } from "./duration.js";
// Errors, time, values.
export { type ErrorCode, type ErrorDetails, HoldfastError, isHoldfastError } from "./error.js";
export type * from "./events.js";
export {
	type AnyField,
	type DefinedOutput,
	type Field,
	type FieldOptions,
	field,
	type Migration,
	type ReadData,
	type ReadonlyDeep,
	type SchemaOf,
	type StoredData,
	type WrittenValue,
} from "./field.js";
export { instrument, type Observation, type Observer, type Operation } from "./instrument.js";
export {
	compareKeys,
	decodeKey,
	formatScopeId,
	isUnder,
	type KeySpan,
	lockUnder,
	maxKeyBytes,
	parseScopeId,
	reservedUnder,
	type ScopeName,
	spanUnder,
} from "./key.js";
export type * from "./lock.js";
// Backends and layers.
export { type MemoryOptions, memory } from "./memory.js";
export type * from "./mirror.js";
export { type NearCacheOptions, nearCache } from "./near-cache.js";
export {
	addToTally,
	type Deed,
	type Evaluation,
	endOfScope,
	evaluate,
	isLive,
	isOver,
	type Journal,
	type Judged,
	nextDeadline,
	type ScopeState,
	sumModulus,
	sweepLimit,
	type Tally,
	type Written,
} from "./reducer.js";
export { follows, resumes } from "./resume.js";
export type * from "./scope.js";
export { type EntriesUse, ScopeEntries } from "./scope-entries.js";
export type { InputOf, OutputOf, StandardResult, StandardSchema } from "./standard-schema.js";
export type {
	AnySchema,
	EventSchemas,
	EventsOf,
	FieldNameAt,
	FieldNamesIn,
	Fields,
	FieldsOf,
	Heads,
	KeyIn,
	KeysOf,
	MembersOf,
	PatternIn,
	PayloadOf,
	PayloadTo,
	ShapeOf,
	StateDefinition,
	StateShape,
	UntypedEvents,
	UntypedFields,
	UntypedState,
	ValueAt,
	ValueFrom,
	ValueTo,
} from "./state.js";
// Typed state.
export { defineState, StateRules } from "./state.js";
export type * from "./subscription.js";
export type * from "./tail.js";
export type * from "./transaction.js";
export { givenValue, storedValue } from "./value.js";
export { wholeNumber } from "./whole-number.js";
export { judgeWriter, type WriterMemory } from "./writer.js";

// The manager and its scopes, behind all that they are made of: so ordered, a bundle compresses best.

export * from "./manager.js";
