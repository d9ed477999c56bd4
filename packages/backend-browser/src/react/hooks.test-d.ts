/** What the hooks infer from a state definition, and what must not compile. */
import { defineState } from "@holdfast/core";
import { expectTypeOf } from "vitest";
import { z } from "zod";
import { createHooks } from "./index.js";

const state = defineState({
	shared: {
		counter: z.number().default(0),
		note: z.string(),
		"positions/*": z.object({ quantity: z.number() }),
	},
	user: { filters: z.object({ min: z.number() }) },
	room: { "members/*": z.boolean() },
});

const { useEntry, useEntries, useMirror, useUpdate, useScope } = createHooks<typeof state>();

export function TypedComponent(): null {
	const counter = useEntry("shared", "counter");
	expectTypeOf(counter).toEqualTypeOf<number>();
	const note = useEntry("shared", "note");
	expectTypeOf(note).toEqualTypeOf<string | undefined>();
	const position = useEntry("shared", "positions/AAPL");
	expectTypeOf(position).toEqualTypeOf<{ quantity: number } | undefined>();
	const filters = useEntry(["user", "ada"], "filters");
	expectTypeOf(filters).toEqualTypeOf<{ min: number } | undefined>();
	const [member] = useEntries(["room", "1"], "members/*");
	expectTypeOf(member).toEqualTypeOf<
		{ readonly key: `members/${string}`; readonly value: boolean } | undefined
	>();
	const quantity = useMirror("shared", "positions/*").get("positions/AAPL")?.quantity;
	expectTypeOf(quantity).toEqualTypeOf<number | undefined>();
	const update = useUpdate("shared", "counter");
	void update(5);
	void update((n) => n + 1);
	void useScope(["user", "ada"]).set("filters", { min: 1 });

	// @ts-expect-error no such key
	useEntry("shared", "counters");
	// @ts-expect-error a user's key
	useEntry("shared", "filters");
	// @ts-expect-error no such kind
	useEntry(["team", "1"], "filters");
	// @ts-expect-error a kind needs an id
	useEntry("user", "filters");
	// @ts-expect-error not a number
	void update("5");
	// @ts-expect-error a pattern of another scope
	useEntries(["user", "ada"], "positions/*");
	return null;
}
