/** Standard Schema, version 1: the interface that zod, valibot, arktype and others share (https://standardschema.dev). */

/** A schema of any library that speaks Standard Schema. Holdfast needs it to validate synchronously. */
export interface StandardSchema<Input = unknown, Output = Input> {
	readonly "~standard": {
		readonly version: 1;
		readonly vendor: string;
		readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>;
		readonly types?: { readonly input: Input; readonly output: Output } | undefined;
	};
}

/** What a schema answers: a value, or issues. */
export type StandardResult<Output> =
	| { readonly value: Output; readonly issues?: undefined }
	| { readonly issues: readonly { readonly message: string }[] };

/** What a schema takes. */
export type InputOf<S> = S extends StandardSchema<infer Input, unknown> ? Input : never;

/** What a schema gives. */
export type OutputOf<S> = S extends {
	readonly "~standard": { readonly types?: { readonly output: infer Output } | undefined };
}
	? Output
	: never;
