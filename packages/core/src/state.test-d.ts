// Types of a state definition, as its scopes show them: checked by the compiler, never run.
import { expectTypeOf } from "vitest";
import { z } from "zod";
import { field } from "./field.js";
import { createStateManager, type StateManager } from "./manager.js";
import { memory } from "./memory.js";
import type { StateEntry } from "./scope.js";
import { defineState, type StateShape } from "./state.js";

const position = z.object({ quantity: z.number() });
interface Position {
	quantity: number;
}

const state = defineState({
	shared: {
		counter: z.number().default(0),
		title: z.string(),
		limit: field(z.number(), { default: 5 }),
		note: field(z.string(), { ttl: "1d" }),
		"positions/*": position,
		"quotes/*/last": z.number(),
		"tree/**": z.boolean(),
	},
	user: { theme: z.enum(["light", "dark"]) },
	room: { topic: z.string().optional() },
	events: {
		trade_executed: z.object({ symbol: z.string(), at: z.date() }),
		login: z.string().default("web"),
	},
});

declare const manager: StateManager<typeof state.shape>;
declare const untyped: StateManager;

// A manager's type is named by the definition, or by its shape, and is what createStateManager makes.
const made: StateManager<typeof state> = createStateManager({ backend: memory(), state });
const byShape: StateManager<typeof state.shape> = made;
const byDefinition: StateManager<typeof state> = byShape;
expectTypeOf(byDefinition.shared).toEqualTypeOf<StateManager<typeof state.shape>["shared"]>();
expectTypeOf(createStateManager({ backend: memory() })).toEqualTypeOf<StateManager>();
// @ts-expect-error: of another state
export const other: StateManager<typeof state> = createStateManager({
	backend: memory(),
	state: defineState({ user: { theme: z.number() } }),
});
const kindNamedShape = defineState({ shape: { shape: z.string() } });
declare const figures: StateManager<typeof kindNamedShape>;
expectTypeOf(figures.scope("shape", "1").get("shape")).resolves.toEqualTypeOf<string | undefined>();
export const drawn: typeof figures = createStateManager({ backend: memory(), state: kindNamedShape });
const anyState = <S extends StateShape>(some: StateManager<S>): Promise<void> => some.ready();
expectTypeOf(anyState(manager)).toEqualTypeOf<Promise<void>>();
const { shared } = manager;

// Reads: undefined only where there is no default.
expectTypeOf(shared.get("counter")).resolves.toEqualTypeOf<number>();
expectTypeOf(shared.get("limit")).resolves.toEqualTypeOf<number>();
expectTypeOf(shared.get("title")).resolves.toEqualTypeOf<string | undefined>();
expectTypeOf(shared.get("note")).resolves.toEqualTypeOf<string | undefined>();
expectTypeOf(shared.get("positions/AAPL")).resolves.toEqualTypeOf<Position | undefined>();
expectTypeOf(shared.get("quotes/AAPL/last")).resolves.toEqualTypeOf<number | undefined>();
expectTypeOf(shared.get("tree/a/b/c")).resolves.toEqualTypeOf<boolean | undefined>();
expectTypeOf(shared.getMany(["counter", "title"])).resolves.toEqualTypeOf<
	readonly [number, string | undefined]
>();
expectTypeOf(shared.entry("counter")).resolves.toEqualTypeOf<StateEntry<"counter", number> | undefined>();
declare const symbol: string;
expectTypeOf(shared.get(`positions/${symbol}`)).resolves.toEqualTypeOf<Position | undefined>();

// Writes.
void shared.set("counter", 1);
void shared.set("positions/AAPL", { quantity: 1 }, { ttl: "30m", ifAbsent: true });
void shared.update("counter", (n) => n + 1);
void shared.update("title", (title) => {
	expectTypeOf(title).toEqualTypeOf<string | undefined>();
	return undefined;
});
expectTypeOf(shared.getOrSet("title", () => "hello")).resolves.toEqualTypeOf<string>();
// @ts-expect-error: no such key
void shared.get("county");
// @ts-expect-error: the family has no member without a name
void shared.get("positions");
// @ts-expect-error: a key of another kind of scope
void shared.get("theme");
// @ts-expect-error: no such key
void shared.set("county", 1);
// @ts-expect-error: a wrong value
void shared.set("counter", "one");
// @ts-expect-error: a wrong value of a family
void shared.set("positions/AAPL", { quantity: "one" });
// @ts-expect-error: a member is missing
void shared.set("positions/AAPL", {});
// @ts-expect-error: undefined is no value
void shared.set("counter", undefined);
// @ts-expect-error: a wrong value is made
void shared.update("counter", () => "one");
// @ts-expect-error: no such unit of time
void shared.set("counter", 1, { ttl: "30 minutes" });
// @ts-expect-error: a default of another type
field(z.number(), { default: "five" });

// Kinds of scope.
expectTypeOf(manager.user("ada").get("theme")).resolves.toEqualTypeOf<"light" | "dark" | undefined>();
expectTypeOf(manager.scope("room", "a").get("topic")).resolves.toEqualTypeOf<string | undefined>();
expectTypeOf(manager.scope("room", "a").getOrSet("topic", "tea")).resolves.toEqualTypeOf<string>();
// @ts-expect-error: a value that the enum lacks
void manager.user("ada").set("theme", "blue");
// @ts-expect-error: no such kind
manager.scope("hall", "a");
// @ts-expect-error: this kind has no keys
manager.session("a").get("theme");

// Patterns: the members' keys and values, as a union that the key or the type discriminates.
shared.subscribe("positions/*", (change) => {
	expectTypeOf(change.key).toEqualTypeOf<`positions/${string}`>();
	expectTypeOf(change.value).toEqualTypeOf<Position | undefined>();
	if (change.type === "set") expectTypeOf(change.value).toEqualTypeOf<Position>();
	else expectTypeOf(change.value).toEqualTypeOf<undefined>();
});
shared.subscribe("quotes/**", (change) => {
	expectTypeOf(change.key).toEqualTypeOf<`quotes/${string}/last`>();
});
shared.subscribe("**", (change) => {
	if (change.key === "counter") expectTypeOf(change.value).toEqualTypeOf<number | undefined>();
	if (change.key === "title") expectTypeOf(change.value).toEqualTypeOf<string | undefined>();
});
// @ts-expect-error: no key could match
shared.subscribe("orders/*", () => {});

for await (const { key, value } of shared.list("positions/*")) {
	expectTypeOf(key).toEqualTypeOf<`positions/${string}`>();
	expectTypeOf(value).toEqualTypeOf<Position>();
}
for await (const entry of manager.user("ada").list())
	expectTypeOf(entry).toEqualTypeOf<StateEntry<"theme", "light" | "dark">>();

const live = shared.mirror("positions/*");
// A mirror answers the default, too.
expectTypeOf(shared.mirror("counter").get("counter")).toEqualTypeOf<number>();
expectTypeOf(shared.mirror("title").get("title")).toEqualTypeOf<string | undefined>();
expectTypeOf(live.get("positions/AAPL")).toEqualTypeOf<Position | undefined>();
expectTypeOf(live.list()).toEqualTypeOf<
	readonly { readonly key: `positions/${string}`; readonly value: Position }[]
>();
// @ts-expect-error: not under the pattern
live.get("counter");

// Transactions.
expectTypeOf(
	shared.commit(async (tx) => {
		expectTypeOf(tx.get("counter")).resolves.toEqualTypeOf<number>();
		tx.set("positions/AAPL", { quantity: 1 });
		tx.emit("trade_executed", { symbol: "AAPL", at: new Date() });
		// @ts-expect-error: a wrong value
		tx.set("counter", "one");
		// @ts-expect-error: no such event
		tx.emit("trade", {});
		return 1;
	}),
).resolves.toEqualTypeOf<{ readonly revision: number; readonly value: number }>();

// Events.
void shared.events.emit("trade_executed", { symbol: "AAPL", at: new Date() });
void shared.events.emit("login", "web");
// @ts-expect-error: undefined is no payload
void shared.events.emit("login", undefined);
// @ts-expect-error: a wrong payload
void shared.events.emit("trade_executed", { symbol: 1, at: new Date() });
// @ts-expect-error: no such event
void shared.events.emit("logout", "web");
shared.events.on("login", ({ payload }) => expectTypeOf(payload).toEqualTypeOf<string>());
shared.events.on("*", (event) => {
	expectTypeOf(event.type).toEqualTypeOf<"trade_executed" | "login">();
	if (event.type === "trade_executed") expectTypeOf(event.payload.at).toEqualTypeOf<Date>();
});
for await (const { payload } of shared.events.history({ type: "trade_executed", last: 5 }))
	expectTypeOf(payload).toEqualTypeOf<{ symbol: string; at: Date }>();

// Bounded increments answer a result, others a number.
expectTypeOf(shared.increment("counter")).resolves.toEqualTypeOf<number>();
expectTypeOf(shared.increment("counter", 2, { ttl: "1h" })).resolves.toEqualTypeOf<number>();
expectTypeOf(shared.increment("counter", 1, { max: 5 })).resolves.toHaveProperty("ok");

// What a function answers is taken literally, and what was read fits what is written.
const user = manager.user("ada");
void user.update("theme", () => "dark");
void user.update("theme", async () => "light");
void user.update("theme", () => undefined);
void user.getOrSet("theme", () => "dark");
// @ts-expect-error: no such theme
void user.update("theme", () => "blue");
void shared.update("positions/AAPL", () => ({ quantity: 1 }));
declare const frozen: Readonly<Position>;
void shared.set("positions/AAPL", frozen);

// Without a state definition any key takes any value.
expectTypeOf(untyped.shared.get("any/key")).resolves.toBeAny();
void untyped.shared.set("any/key", { a: 1 });
untyped.user("ada").subscribe("any/*", ({ value }) => expectTypeOf(value).toBeAny());
untyped.scope("room", "a").events.on("any", ({ payload }) => expectTypeOf(payload).toBeAny());
void untyped.shared.events.emit("any", new Map());

// Families that overlap, unions, and schemas of whatever.
const odd = defineState({
	shared: {
		"p/*": z.number(),
		"p/special": z.string(),
		either: z.union([z.object({ kind: z.literal("a"), n: z.number() }), z.object({ kind: z.literal("b") })]),
		parts: z.object({ a: z.string().optional(), b: z.string().nullish() }),
		brand: z.string().brand<"Id">(),
		anything: z.any(),
		unknown: z.unknown(),
		nothing: z.null(),
	},
});
declare const oddities: StateManager<typeof odd>;
expectTypeOf(oddities.shared.get("p/special")).resolves.toEqualTypeOf<string | undefined>();
expectTypeOf(oddities.shared.get("p/other")).resolves.toEqualTypeOf<number | undefined>();
expectTypeOf(oddities.shared.mirror("p/*").get("p/special")).toEqualTypeOf<string | undefined>();
expectTypeOf(oddities.shared.get("anything")).resolves.toBeAny();
expectTypeOf(oddities.shared.get("unknown")).resolves.toBeUnknown();
expectTypeOf(oddities.shared.get("nothing")).resolves.toEqualTypeOf<null | undefined>();
void oddities.shared.set("parts", { b: null });
void oddities.shared.set("either", { kind: "a", n: 1 });
// @ts-expect-error: of no member of the union
void oddities.shared.set("either", { kind: "a", s: "x" });
// @ts-expect-error: a brand is of text
void oddities.shared.set("brand", 5);
declare const anyText: string;
// @ts-expect-error: any text is no key
void oddities.shared.get(anyText);
// @ts-expect-error: written or not is decided by what is there, not by a condition
void oddities.shared.getOrSet("nothing", null, { ifAbsent: true });
