/** What a schema says of a number, so that an addition can be held to it: its sum is made in the store, where no schema is. */
import type { Add } from "../backend.js";
import type { FieldRule } from "../field.js";
import type { StandardSchema } from "../standard-schema.js";

/** The least and the greatest, and what all must be a multiple of. */
interface NumberBounds {
	readonly min: number | undefined;
	readonly max: number | undefined;
	readonly multipleOf: number | undefined;
}

interface JsonSchema {
	readonly type?: unknown;
	readonly minimum?: number;
	readonly maximum?: number;
	readonly exclusiveMinimum?: number;
	readonly exclusiveMaximum?: number;
	readonly multipleOf?: number;
}

/** Standard JSON Schema (https://standardschema.dev/json-schema), where a schema speaks it. */
interface SaysJson {
	readonly jsonSchema?: { output(options: { readonly target: string }): JsonSchema };
}

// What else a schema may demand is not known here, so that such a field takes no addition.
const understood = new Set([
	"$schema",
	"title",
	"description",
	"default",
	"examples",
	"readOnly",
	"deprecated",
	"type",
	"minimum",
	"maximum",
	"exclusiveMinimum",
	"exclusiveMaximum",
	"multipleOf",
]);

interface ZodDef {
	readonly checks?: readonly { readonly _zod?: { readonly def?: { readonly check?: string } } }[];
	readonly [part: string]: unknown;
}

/** zod leaves its refinements out of the JSON Schema without a word. */
function isRefined(schema: unknown, depth = 0): boolean {
	const def = (schema as { readonly _zod?: { readonly def?: ZodDef } } | undefined)?._zod?.def;
	if (def === undefined || depth > 20) return depth > 20;
	const custom = def.checks?.some(({ _zod }) => (_zod?.def?.check ?? "custom") === "custom") ?? false;
	return custom || [def.innerType, def.in, def.out].some((inner) => isRefined(inner, depth + 1));
}

/** The next number beyond an excluded one, for real numbers and for whole ones. */
const beyond = (bound: number, sign: 1 | -1, isWhole: boolean): number =>
	isWhole
		? sign * (Math.floor(sign * bound) + 1)
		: bound + sign * Math.max(Number.MIN_VALUE, Math.abs(bound) * Number.EPSILON);

function boundsOf(schema: StandardSchema): NumberBounds | undefined {
	let said: JsonSchema | undefined;
	try {
		said = (schema["~standard"] as SaysJson).jsonSchema?.output({ target: "draft-2020-12" });
	} catch {
		return undefined;
	}
	if (said === undefined || isRefined(schema) || Object.keys(said).some((word) => !understood.has(word)))
		return undefined;
	if (said.type !== "number" && said.type !== "integer") return undefined;
	const isWhole = said.type === "integer";
	const least = [said.minimum, said.exclusiveMinimum && beyond(said.exclusiveMinimum, 1, isWhole)];
	const greatest = [said.maximum, said.exclusiveMaximum && beyond(said.exclusiveMaximum, -1, isWhole)];
	if (said.exclusiveMinimum === 0) least[1] = beyond(0, 1, isWhole);
	if (said.exclusiveMaximum === 0) greatest[1] = beyond(0, -1, isWhole);
	const given = (bounds: readonly (number | undefined)[]) => bounds.filter((bound) => bound !== undefined);
	const [mins, maxs] = [given(least), given(greatest)];
	return {
		min: mins.length > 0 ? Math.max(...mins) : undefined,
		max: maxs.length > 0 ? Math.min(...maxs) : undefined,
		multipleOf: said.multipleOf ?? (isWhole ? 1 : undefined),
	};
}

const known = new WeakMap<StandardSchema, { readonly bounds: NumberBounds | undefined }>();

/** An addition within what the field's schema says of its number; `undefined` where that can't be made sure of. */
export function withinSchema(add: Add, { schema, isVersioned }: FieldRule): Add | undefined {
	if (isVersioned) return undefined;
	if (schema === undefined) return add;
	const found = known.get(schema) ?? { bounds: boundsOf(schema) };
	known.set(schema, found);
	if (found.bounds === undefined) return undefined;
	const { min, max, multipleOf } = found.bounds;
	const steps = [add.by, add.base ?? 0];
	if (multipleOf !== undefined && steps.some((step) => typeof step !== "number" || step % multipleOf !== 0))
		return undefined;
	// An instant and a number can't both bound it.
	if (
		(min !== undefined && typeof add.min === "object") ||
		(max !== undefined && typeof add.max === "object")
	)
		return undefined;
	return {
		...add,
		...(min !== undefined && { min: Math.max(min, (add.min as number | undefined) ?? min) }),
		...(max !== undefined && { max: Math.min(max, (add.max as number | undefined) ?? max) }),
	};
}
