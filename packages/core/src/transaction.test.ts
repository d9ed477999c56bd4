import fc from "fast-check";
import { describe, expect } from "vitest";
import { z } from "zod";
import type { Batch } from "./backend.js";
import { field } from "./field.js";
import type { UntypedEvents, UntypedFields } from "./state.js";
import { around } from "./testing/around.js";
import type { Transaction } from "./transaction.js";
import { test, untyped } from "./with-trial.js";

const ttl = fc.constantFrom(10_000, 100_000, 1_000_000);
const bound = fc.integer({ min: -4, max: 8 });
const step = fc.oneof(
	fc.record({
		op: fc.constant("set" as const),
		value: fc.integer({ min: -3, max: 3 }),
		ttl: fc.option(ttl, { nil: undefined }),
		forEver: fc.boolean(),
	}),
	fc.record({ op: fc.constant("delete" as const) }),
	fc.record(
		{
			op: fc.constant("increment" as const),
			by: fc.integer({ min: -5, max: 5 }),
			min: bound,
			max: bound,
			ttl,
		},
		{ requiredKeys: ["op", "by"] },
	),
	fc.record({ op: fc.constant("touch" as const), ttl }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

interface Writer {
	set(key: string, value: unknown, options?: { readonly ttl?: number | null }): unknown;
	delete(key: string): unknown;
	increment(key: string, by: number, options: object): unknown;
	touch(key: string, ttl: number): unknown;
}

function write(tx: Writer, step: Step): void {
	switch (step.op) {
		case "set":
			tx.set("n", step.value, step.forEver ? { ttl: null } : step.ttl === undefined ? {} : { ttl: step.ttl });
			break;
		case "delete":
			tx.delete("n");
			break;
		case "increment": {
			const { op: _, by, ...options } = step;
			tx.increment("n", by, options);
			break;
		}
		case "touch":
			tx.touch("n", step.ttl);
	}
}

describe("what a transaction does to one key", () => {
	test("is what its writes would do one after another, or nothing; reads see what was written before them", async ({
		trial,
	}) => {
		const plain = await trial.manager();
		const withTtl = await trial.manager({ ttl: 50_000 });
		const withDefault = await trial.manager({
			state: untyped({ room: { n: field(z.union([z.number(), z.string()]), { default: 2 }) } }),
		});
		const start = fc.option(
			fc.record({ value: fc.constantFrom<number | string>(0, 1, 3, "text"), ttl: fc.option(ttl) }),
		);
		await fc.assert(
			fc.asyncProperty(
				fc.constantFrom(plain, withTtl, withDefault),
				start,
				fc.array(fc.tuple(step, fc.boolean()), { minLength: 1, maxLength: 5 }),
				async (manager, start, steps) => {
					const [one, other] = [
						manager.scope("room", crypto.randomUUID()),
						manager.scope("room", crypto.randomUUID()),
					];
					if (start !== null)
						for (const scope of [one, other]) await scope.set("n", start.value, { ttl: start.ttl });
					const before = await other.entry("n");
					const seen: unknown[] = [];
					let failed: unknown;
					try {
						for (const [step, looks] of steps) {
							await one.commit((tx) => write(tx as Writer, step));
							if (looks) seen.push(await one.get("n"), await one.has("n"));
						}
					} catch (error) {
						failed = error;
					}
					const saw: unknown[] = [];
					const done = await other
						.commit(async (tx) => {
							saw.length = 0;
							for (const [step, looks] of steps) {
								write(tx as Writer, step);
								if (looks) saw.push(await tx.get("n"), await tx.has("n"));
							}
						})
						.then(
							() => true,
							() => false,
						);
					expect(done, "whether it was done").toBe(failed === undefined);
					const after = await other.entry("n");
					if (failed !== undefined) {
						expect(after, "what a refused one did").toEqual(before);
						return;
					}
					expect(saw, "what was read on the way").toEqual(seen);
					const expected = await one.entry("n");
					expect(after?.value).toBe(expected?.value);
					const off = Math.abs((after?.expiresAt ?? 0) - (expected?.expiresAt ?? 0));
					expect(off, "how far its deadline is off").toBeLessThan(4000);
				},
			),
			{ numRuns: 600 },
		);
	});

	test("is one mutation", async ({ trial }) => {
		const inner = await trial.backend();
		const batches: Batch[] = [];
		const backend = around(inner, {
			commit(given) {
				batches.push(...given);
				return inner.commit(given);
			},
		});
		const { shared } = await trial.manager({ backend });
		await shared.commit((tx) => {
			for (let i = 0; i < 10; i++) tx.increment("n", i);
			tx.set("a", 1);
			tx.set("a", 2);
			tx.emit("told", 1);
			tx.delete("b");
		});
		expect(batches[0]?.commits[0]?.do).toMatchObject([
			{ op: "add", key: "n", by: 45 },
			{ op: "put", key: "a" },
			{ op: "delete", key: "b" },
			{ op: "emit", type: "told" },
		]);
		expect(batches).toHaveLength(1);
	});
});

describe("what a transaction read", () => {
	test("is its condition: it runs again where that has changed", async ({ trial }) => {
		const [manager, other] = [await trial.manager(), await trial.manager()];
		await manager.shared.set("a", 1);
		const saw: unknown[] = [];
		const { value } = await manager.shared.commit(async (tx) => {
			const a = (await tx.get("a")) as number;
			saw.push(a, await tx.get("absent"));
			if (saw.length === 2) await other.shared.set("a", 10);
			if (saw.length === 4) await other.shared.set("absent", 5);
			tx.set("sum", a);
			return `ran ${saw.length / 2} times`;
		});
		expect(value).toBe("ran 3 times");
		expect(saw).toEqual([1, undefined, 10, undefined, 10, 5]);
		expect(await manager.shared.get("sum")).toBe(10);
	});

	test("is one instant of each key: it reads a key once", async ({ manager }) => {
		await manager.shared.set("a", 1);
		let runs = 0;
		await manager.shared.commit(async (tx) => {
			runs++;
			const before = await tx.get("a");
			if (runs === 1) await manager.shared.set("a", 2);
			expect(await tx.get("a")).toBe(before);
			expect((await tx.entry("a"))?.value).toBe(before);
		});
		expect(runs).toBe(2);
	});

	test("at once, while it changes, is what it was told first, whatever comes of the other reads", async ({
		remote,
	}) => {
		const inner = await remote.backend();
		const answers: (() => void)[] = [];
		let isHolding = true;
		const hold = async <T>(answer: T): Promise<Awaited<T>> => {
			const told = await answer;
			if (isHolding) await new Promise<void>((resolve) => answers.push(resolve));
			return told;
		};
		const backend = around(inner, {
			read: (asks) => inner.read(asks).map(hold),
			list: (scope, range) => hold(inner.list(scope, range)),
		});
		const { shared } = await remote.manager({ backend });
		const other = await remote.manager();
		for (const read of ["get", "list"] as const) {
			isHolding = false;
			await other.shared.set("n", 1);
			await shared.has("n");
			isHolding = true;
			answers.length = 0;
			let runs = 0;
			await shared.commit(async (tx) => {
				const look = async (): Promise<number> =>
					read === "get"
						? tx.get("n")
						: ((await tx.list("**")).find(({ key }) => key === "n")?.value as number);
				const first = look();
				if (++runs === 1) {
					await remote.eventually("the first is asked", () => expect(answers).toHaveLength(1));
					await other.shared.set("n", 10);
					const second = look();
					await remote.eventually("the second is asked", () => expect(answers).toHaveLength(2));
					isHolding = false;
					answers[0]?.();
					await first;
					answers[1]?.();
					expect(await second).toBe(await first);
				}
				tx.set("n", (await first) + 1);
			});
			expect(await other.shared.get("n"), read).toBe(11);
		}
	});

	test("as a listing is, too: a member that comes, goes or changes has it run again", async ({ trial }) => {
		const [manager, other] = [await trial.manager(), await trial.manager()];
		await manager.shared.set("a/1", 1);
		await manager.shared.set("b", 1);
		const changes = [
			() => other.shared.set("a/2", 1),
			() => other.shared.set("a/2", 1),
			() => other.shared.delete("a/1"),
			() => other.shared.set("b", 2),
		];
		const saw: string[] = [];
		await manager.shared.commit(async (tx) => {
			saw.push((await tx.list("a/*")).map(({ key }) => key).join(" "));
			await changes.shift()?.();
			tx.set("count", saw.length);
		});
		// The last change was elsewhere.
		expect(saw).toEqual(["a/1", "a/1 a/2", "a/1 a/2", "a/2"]);
		expect(await manager.shared.get("count")).toBe(4);
	});

	test("says which entries there are, without its own writes; of one key, or of none", async ({
		manager,
	}) => {
		await manager.shared.set("a", 1);
		await manager.shared.commit(async (tx) => {
			tx.set("b", 1);
			tx.set("a", 2);
			expect((await tx.list("*")).map(({ key, value }) => [key, value])).toEqual([["a", 1]]);
			expect(await tx.list("a")).toMatchObject([{ key: "a", value: 1 }]);
			expect(await tx.list("b")).toEqual([]);
			expect(await tx.entry("b")).toBeUndefined();
			expect(await tx.has("b")).toBe(true);
		});
	});

	test("is judged though nothing was written", async ({ manager }) => {
		let runs = 0;
		const { revision, value } = await manager.shared.commit(async (tx) => {
			const a = await tx.get("a");
			if (++runs === 1) await manager.shared.set("a", 1);
			return a;
		});
		expect([runs, value]).toEqual([2, 1]);
		expect(revision).toBe((await manager.shared.entry("a"))?.revision);
	});

	test("is of no matter where it was only written", async ({ manager }) => {
		let runs = 0;
		await manager.shared.commit(async (tx) => {
			runs++;
			tx.set("a", 1);
			expect(await tx.get("a")).toBe(1);
			await manager.shared.set("a", 5);
		});
		expect(runs).toBe(1);
		expect(await manager.shared.get("a")).toBe(1);
	});

	test("and changes each time has it give up as conflict, naming what stands there", async ({
		trial,
		manager,
	}) => {
		let runs = 0;
		const refused = manager.shared
			.commit(async (tx) => {
				await tx.get("a");
				await manager.shared.set("a", ++runs);
			})
			.catch((error: unknown) => error);
		while (runs < 100) await trial.advance(100);
		expect(await trial.within("the refusal", refused)).toMatchObject({
			code: "conflict",
			scope: "shared",
			index: 0,
		});
		expect(runs).toBe(100);
	});
});

describe("a transaction", () => {
	test("has one revision for its changes and its events, and its metadata on all of them", async ({
		manager,
	}) => {
		const changes = manager.shared.changes()[Symbol.asyncIterator]();
		const metadata = { by: "ada" };
		const { revision } = await manager.shared.commit(
			(tx) => {
				tx.set("a", 1);
				tx.increment("n", 2);
				tx.emit("told", { a: 1 });
			},
			{ metadata },
		);
		const { value } = await changes.next();
		expect(value).toMatchObject({
			revision,
			metadata,
			changes: [
				{ key: "a", value: 1, metadata },
				{ key: "n", value: 2, metadata },
			],
			events: [{ type: "told", payload: { a: 1 }, revision, metadata }],
		});
		expect(await manager.shared.entry("n")).toMatchObject({ revision, metadata });
	});

	test("whose function throws writes nothing and rejects with that", async ({ manager }) => {
		const thrown = new Error("thrown");
		await expect(
			manager.shared.commit((tx) => {
				tx.set("a", 1);
				throw thrown;
			}),
		).rejects.toBe(thrown);
		expect(await manager.shared.get("a")).toBeUndefined();
	});

	test("is refused whole where one of its writes is", async ({ trial }) => {
		const state = untyped({ shared: { n: z.number(), text: z.string(), a: z.number() } });
		const { shared } = await trial.manager({ state });
		await shared.set("n", 5);
		await shared.set("text", "t");
		const refused = (work: (tx: Transaction<UntypedFields, UntypedEvents>) => unknown) =>
			shared
				.commit((tx) => {
					tx.set("a", 1);
					return work(tx);
				})
				.then(
					() => "done",
					({ code, key, scope }) => `${code} ${scope} ${key}`,
				);
		expect(await refused((tx) => tx.increment("n", 5, { max: 9 }))).toBe("out-of-bounds shared n");
		expect(await refused((tx) => tx.increment("text"))).toBe("not-a-number shared text");
		expect(await refused((tx) => tx.set("n", "text"))).toBe("validation-failed shared n");
		expect(await refused((tx) => tx.set("m", 1))).toBe("unknown-key shared m");
		expect(await refused((tx) => tx.get("m"))).toBe("unknown-key shared m");
		expect(await refused((tx) => tx.touch("a", 0))).toMatch("invalid-argument");
		expect(await shared.getMany(["n", "text"])).toEqual([5, "t"]);
	});

	test("of an absent key with a default counts from there, once it is known that it is absent", async ({
		trial,
	}) => {
		const state = untyped({ shared: { n: z.number().default(10) } });
		const [{ shared }, other] = [await trial.manager({ state }), await trial.manager()];
		await shared.commit((tx) => tx.increment("n", 5));
		expect(await shared.get("n")).toBe(15);
		await shared.commit(async (tx) => {
			tx.increment("n", 5);
			expect(await tx.get("n")).toBe(20);
		});
		await shared.delete("n");
		let runs = 0;
		await shared.commit(async (tx) => {
			tx.increment("n", 1);
			if (++runs === 1) expect(await tx.get("n")).toBe(11);
			if (runs === 1) await other.shared.set("n", 100);
		});
		expect([runs, await shared.get("n")]).toEqual([2, 101]);
	});
});
