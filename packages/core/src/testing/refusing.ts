/** Promise 11: bad input gets a typed error that says where and what, and nothing is written. */
import { expect } from "vitest";
import { isHoldfastError } from "../error.js";
import type { Scope } from "../scope.js";
import { chaos } from "./chaos.js";
import { type Check, check } from "./check.js";
import { Client, isFailure, put } from "./client.js";

const bad: Record<string, readonly [code: string, call: (scope: Scope) => unknown]> = {
	"an empty key": ["invalid-key", (scope) => scope.set("", 1)],
	"a key with a lone surrogate": ["invalid-key", (scope) => scope.set("a\ud800", 1)],
	"a key that is no text": ["invalid-key", (scope) => scope.get(7 as never)],
	"a wildcard as a key": ["invalid-key", (scope) => scope.set("a/*", 1)],
	"a pattern with ** inside": ["invalid-pattern", (scope) => scope.count("a/**/b")],
	"a ttl that is no duration": ["invalid-argument", (scope) => scope.set("a", 1, { ttl: "soon" as never })],
	"a negative ttl": ["invalid-argument", (scope) => scope.set("a", 1, { ttl: -1 })],
	"an increment that is no number": ["invalid-argument", (scope) => scope.increment("a", Number.NaN)],
	"an increment of text": ["not-a-number", (scope) => scope.increment("text")],
	"a function as a value": ["invalid-value", (scope) => scope.set("a", () => {})],
	"an old revision": ["conflict", (scope) => scope.set("text", 1, { ifRevision: 1 })],
	"a key that exists already": ["conflict", (scope) => scope.set("text", 1, { ifAbsent: true })],
	"a bound in a transaction": [
		"out-of-bounds",
		(scope) =>
			scope.commit((tx) => {
				tx.set("a", 1);
				tx.increment("n", 5, { max: 10 });
			}),
	],
	"a Touch of an absent key in a transaction": [
		"conflict",
		(scope) =>
			scope.commit((tx) => {
				tx.set("a", 1);
				tx.touch("absent", 1000);
			}),
	],
};

export const refusing: readonly Check[] = [
	...Object.entries(bad).map(([name, [code, call]]) =>
		check(11, `${name} is refused as ${code}, with its scope, and nothing is written`, async (trial) => {
			const manager = await trial.manager();
			const ada = manager.user("ada");
			await ada.set("text", "text");
			await ada.set("n", 8);
			const client = await trial.client("conformance/user/ada");
			const { head } = await client.read();
			const error: unknown = await (async () => call(ada))().then(
				(value) => {
					throw new Error(`it was answered ${JSON.stringify(value)}`);
				},
				(thrown: unknown) => thrown,
			);
			expect(isHoldfastError(error), `whether ${String(error)} is an error of ours`).toBe(true);
			expect(error).toMatchObject({ code, scope: "user/ada" });
			expect((error as Error).message.length, "the message").toBeGreaterThan(10);
			expect((await client.read()).head, "the head after the refusal").toBe(head);
		}),
	),

	check(11, "a scope without a proper id is refused at once", async (trial) => {
		const manager = await trial.manager();
		for (const id of ["", "\ud800", 7 as never])
			expect(() => manager.user(id)).toThrow(expect.objectContaining({ code: "invalid-id" }));
		expect(() => manager.scope("no kind", "a")).toThrow(expect.objectContaining({ code: "invalid-id" }));
	}),

	check(11, "a bounded increment that would pass its bound is a result, not an error", async (trial) => {
		const { shared } = await trial.manager();
		expect(await shared.increment("n", 8, { max: 10 })).toEqual({ ok: true, value: 8 });
		expect(await shared.increment("n", 3, { max: 10 })).toEqual({ ok: false, value: 8 });
		expect(await shared.increment("n", -9, { min: 0 })).toEqual({ ok: false, value: 8 });
		expect(await shared.get("n")).toBe(8);
		const results = await Promise.all(
			Array.from({ length: 50 }, () => shared.increment("limit", 1, { max: 10 })),
		);
		expect(
			results.filter(({ ok }) => ok),
			"how many of 50 a limit of 10 lets through",
		).toHaveLength(10);
	}),

	check(11, "errors are known by their brand, also those of another copy of this library", async (trial) => {
		const { shared } = await trial.manager();
		const error: unknown = await shared.set("", 1).catch((thrown: unknown) => thrown);
		const foreign = { code: "conflict", [Symbol.for("holdfast.error")]: true };
		expect([
			isHoldfastError(error),
			isHoldfastError(error, "invalid-key"),
			isHoldfastError(error, "conflict"),
		]).toEqual([true, true, false]);
		expect(isHoldfastError(foreign, "conflict")).toBe(true);
		expect([isHoldfastError(new Error("e")), isHoldfastError(null), isHoldfastError("e")]).toEqual([
			false,
			false,
			false,
		]);
	}),

	check(11, "the store answers a failure as a value: it neither throws nor rejects", async (trial) => {
		const client = await trial.client();
		const batch = await client.batch([[put("a", 1)]], { until: 1 });
		const call = (): Promise<unknown> => {
			const answers = client.backend.commit([batch]);
			return Promise.all(answers.map(async (answer) => answer));
		};
		const [answer] = (await call().catch((error: unknown) => {
			throw new Error(`a commit that is overdue rejected: ${String(error)}`);
		})) as [object];
		expect(isFailure(answer), `whether ${JSON.stringify(answer)} is a failure`).toBe(true);
		if (isFailure(answer) && answer.failed !== "unknown") {
			expect(answer.failed).toBe("overdue");
			expect(answer.message.length, "its message").toBeGreaterThan(0);
		}
		expect(await client.entry("a")).toBeNull();
	}),

	check(11, "what is refused by the store is refused with everything that is known of it", async (trial) => {
		const { shared } = await trial.manager();
		const revision = await shared.set("n", 8, { metadata: { by: "ada" } });
		await expect(shared.commit((tx) => tx.increment("n", 5, { max: 10 }))).rejects.toMatchObject({
			code: "out-of-bounds",
			scope: "shared",
			entry: { revision, metadata: { by: "ada" } },
		});
		await shared.set("text", "text");
		await expect(shared.increment("text")).rejects.toMatchObject({ code: "not-a-number", key: "text" });
	}),

	check(
		11,
		"an update whose function throws writes nothing and rejects with what it threw",
		async (trial) => {
			const { shared } = await trial.manager();
			await shared.set("a", 1);
			const own = new Error("of the application");
			const fail = (): never => {
				throw own;
			};
			await expect(shared.update("a", fail)).rejects.toBe(own);
			await expect(
				shared.commit((tx) => {
					tx.set("a", 2);
					fail();
				}),
			).rejects.toBe(own);
			expect(await shared.get("a")).toBe(1);
		},
	),

	check(11, "a listener that throws stops nobody, and is reported", async (trial) => {
		const { shared } = await trial.manager();
		const heard: string[] = [];
		await shared.subscribe("**", () => {
			throw new Error("of the application");
		}).ready;
		await shared.subscribe("**", ({ key }) => heard.push(key)).ready;
		await shared.set("a", 1);
		await shared.set("b", 1);
		await trial.eventually("the other listener hears both", () => expect(heard).toEqual(["a", "b"]));
		await trial.eventually("both failures are reported", () => expect(trial.errors).toHaveLength(2));
		expect(trial.errors.every((error) => isHoldfastError(error))).toBe(true);
	}),

	check(11, "a refusal is never mistaken for an outage, nor the other way round", async (trial) => {
		const { backend, faults, heal } = chaos(await trial.backend());
		const manager = await trial.manager({ backend });
		await manager.shared.set("a", 1);
		await expect(manager.shared.set("a", 2, { ifAbsent: true })).rejects.toMatchObject({ code: "conflict" });
		expect(manager.health.status, "after a refusal").toBe("ok");
		faults.unavailable = true;
		const write = manager.shared.set("a", 2, { ifAbsent: true });
		write.catch(() => {});
		await trial.advance(trial.timeout);
		await expect(write).rejects.toMatchObject({ code: expect.stringMatching(/^(unavailable|timeout)$/) });
		expect(manager.health.status, "in an outage").toBe("unreachable");
		heal();
		const { text } = { text: await new Client(backend, "conformance/shared").text("a") };
		expect(text).toBe("1");
	}),
];
