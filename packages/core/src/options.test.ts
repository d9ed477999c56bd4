import { describe, expect, test } from "vitest";
import type { Backend } from "./backend.js";
import { isHoldfastError } from "./error.js";
import { createStateManager, memory, nearCache, type Scope } from "./index.js";

/** What JavaScript lets pass where a whole number is asked for. */
const noNumbers: unknown[] = [Number.NaN, -1, 1.5, "5", 5n, Number.NEGATIVE_INFINITY];

/** The same of a duration. */
const noTimes: unknown[] = [Number.NaN, -1, "5 s", "", Number.POSITIVE_INFINITY, null, 5n];

const refusal = async (call: () => unknown): Promise<unknown> => {
	try {
		const answer = await call();
		// What is iterated begins when it is asked for the first time.
		await (answer as AsyncIterable<unknown> | undefined)?.[Symbol.asyncIterator]?.().next();
	} catch (error) {
		if (!isHoldfastError(error)) throw error;
		const { code, scope, key } = error;
		return { code, scope, key };
	}
	return "passed";
};

type Call = (scope: Scope, options: never) => unknown;

const timed: [string, string | undefined, Call][] = [
	["get", "a", (scope, options) => scope.get("a", options)],
	["getMany", "a", (scope, options) => scope.getMany(["a", "b"], options)],
	["entry", "a", (scope, options) => scope.entry("a", options)],
	["has", "a", (scope, options) => scope.has("a", options)],
	["set", "a", (scope, options) => scope.set("a", 2, options)],
	["getOrSet", "a", (scope, options) => scope.getOrSet("a", 2, options)],
	["update", "a", (scope, options) => scope.update("a", () => 2, options)],
	["delete", "a", (scope, options) => scope.delete("a", options)],
	["clear", undefined, (scope, options) => scope.clear("**", options)],
	["list", undefined, (scope, options) => scope.list("**", options)],
	["count", undefined, (scope, options) => scope.count("**", options)],
	["increment", "a", (scope, options) => scope.increment("a", 1, options)],
	["touch", "a", (scope, options) => scope.touch("a", 1000, options)],
	["commit", undefined, (scope, options) => scope.commit((tx) => tx.set("a", 2), options)],
	["notify", "a", (scope, options) => scope.notify("a", options)],
	["emit", undefined, (scope, options) => scope.events.emit("happened", 1, options)],
	["lock", "a", (scope, options) => scope.lock("a", options)],
	["tryLock", "a", (scope, options) => scope.tryLock("a", options)],
	["drop", undefined, (scope, options) => scope.drop(options)],
];

const numbered: [string, string, string | undefined, Call][] = [
	["list", "limit", "**", (scope, options) => scope.list("**", options)],
	["set", "ifRevision", "a", (scope, options) => scope.set("a", 2, options)],
	["delete", "ifRevision", "a", (scope, options) => scope.delete("a", options)],
	["subscribe", "queue", "a", (scope, options) => scope.subscribe("a", () => {}, options)],
	["subscribe", "from", "a", (scope, options) => scope.subscribe("a", () => {}, options)],
	["changes", "from", undefined, (scope, options) => scope.changes(options)],
	["events.on", "from", "*", (scope, options) => scope.events.on("*", () => {}, options)],
	["events.history", "from", "*", (scope, options) => scope.events.history(options)],
	["events.history", "limit", "*", (scope, options) => scope.events.history(options)],
	["events.history", "last", "*", (scope, options) => scope.events.history(options)],
];

/** A store in memory that answers at once, and the same as one over a network answers. */
const later = (backend: Backend): Backend =>
	new Proxy(backend, {
		get(target, name) {
			if (name === "traits") return { reach: "network", durable: false };
			if (name === "commitNow") return undefined;
			const member = Reflect.get(target, name) as unknown;
			if (typeof member !== "function") return member;
			return (...given: unknown[]) => {
				const answer = (member as (...given: unknown[]) => unknown).apply(target, given);
				if (name === "problems") return answer;
				return name === "read" || name === "commit"
					? (answer as unknown[]).map((one) => Promise.resolve(one))
					: Promise.resolve(answer);
			};
		},
	});

describe.each([
	["answers at once", () => memory()],
	["answers later", () => later(memory())],
])("malformed options on a store that %s", (_, make) => {
	const refused = async (key: string | undefined, call: Call, options: object): Promise<void> => {
		await using manager = createStateManager({ backend: make() });
		const scope: Scope = manager.user("ada");
		await scope.set("a", 1);
		const { revision } = await scope.commit(() => {});
		expect(await refusal(() => call(scope, options as never))).toEqual({
			code: "invalid-argument",
			scope: "user/ada",
			key,
		});
		expect(await scope.get("a")).toBe(1);
		expect((await scope.commit(() => {})).revision).toBe(revision);
	};

	test.each(timed)("%s refuses a malformed timeout and writes nothing", async (_, key, call) => {
		for (const timeout of noTimes) await refused(key, call, { timeout });
	});

	test.each(timed.slice(0, 4))("%s refuses a malformed maxAge", async (_, key, call) => {
		for (const maxAge of noTimes) await refused(key, call, { maxAge });
	});

	test("what may write nothing refuses a malformed ttl all the same", async () => {
		for (const ttl of ["5 s", Number.NaN, 0]) {
			await refused("a", (scope, options) => scope.getOrSet("a", 2, options), { ttl });
			await refused("a", (scope, options) => scope.update("a", () => undefined, options), { ttl });
		}
	});

	test.each(numbered)("%s refuses a malformed %s", async (_, option, key, call) => {
		for (const given of noNumbers) await refused(key, call, { [option]: given });
	});
});

test("a limit may be more than there is of anything", async () => {
	await using manager = createStateManager({ backend: memory() });
	await manager.shared.set("a", 1);
	const found: string[] = [];
	for await (const { key } of manager.shared.list("**", { limit: Number.POSITIVE_INFINITY })) found.push(key);
	expect(found).toEqual(["a"]);
});

test("a close with a malformed timeout rejects, and another closes", async () => {
	const manager = createStateManager({ backend: memory() });
	for (const timeout of noTimes)
		await expect(manager.close({ timeout: timeout as number })).rejects.toMatchObject({
			code: "invalid-argument",
		});
	await manager.shared.set("a", 1);
	expect(await manager.close()).toEqual({ unflushed: [] });
});

test.each(["maxEntries", "maxBytes"])("a store in memory refuses a malformed %s", (option) => {
	for (const given of noNumbers)
		expect(() => memory({ [option]: given })).toThrow(expect.objectContaining({ code: "invalid-argument" }));
	expect(() => memory({ [option]: Number.POSITIVE_INFINITY })).not.toThrow();
});

test.each(["maxEntries", "maxBytes", "maxScopes"])("a near cache refuses a malformed %s", (option) => {
	for (const given of [...noNumbers, 0, Number.POSITIVE_INFINITY])
		expect(() => nearCache(memory(), { [option]: given })).toThrow(
			expect.objectContaining({ code: "invalid-argument" }),
		);
});
