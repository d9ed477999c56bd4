import { expect, vi } from "vitest";
import type { Backend, ReadAsk } from "./backend.js";
import { around } from "./testing/around.js";
import { chaos } from "./testing/chaos.js";
import { test } from "./with-trial.js";

function noted(inner: Backend) {
	const calls: (readonly ReadAsk[])[] = [];
	const backend = around(inner, {
		read(asks) {
			calls.push(asks);
			return inner.read(asks);
		},
	});
	return { backend, calls };
}

test("what one turn reads is one call, each scope once, each key once", async ({ remote }) => {
	const { backend, calls } = noted(await remote.backend());
	const manager = await remote.manager({ backend });
	const { shared } = manager;
	await shared.commit((tx) => {
		tx.set("a", 1);
		tx.set("b", 2);
	});
	await manager.user("ada").set("a", 3);
	calls.length = 0;
	const answers = await Promise.all([
		shared.get("a"),
		manager.user("ada").get("a"),
		shared.getMany(["b", "a", "b"]),
		shared.has("c"),
		shared.entry("a"),
	]);
	expect(answers).toMatchObject([1, 3, [2, 1, 2], false, { key: "a", value: 1 }]);
	expect(calls).toEqual([
		[
			{ scope: "conformance/shared", keys: ["a", "b", "c"] },
			{ scope: "conformance/user/ada", keys: ["a"] },
		],
	]);
});

test("a read that follows a write in one turn sees it", async ({ remote }) => {
	const { shared } = await remote.manager();
	await shared.set("a", 1);
	const write = shared.set("a", 2);
	expect(await shared.get("a")).toBe(2);
	await write;
});

test("a failure of one scope's read is not another's", async ({ remote }) => {
	const inner = await remote.backend();
	const backend = around(inner, {
		read: (asks) =>
			asks.map((ask) =>
				ask.scope.endsWith("shared")
					? { failed: "unavailable" as const, message: "down" }
					: (inner.read([ask])[0] as ReturnType<Backend["read"]>[number]),
			),
	});
	const manager = await remote.manager({ backend });
	const [shared, ada] = await Promise.allSettled([manager.shared.get("a"), manager.user("ada").get("a")]);
	expect(shared).toMatchObject({ reason: { code: "unavailable", scope: "shared" } });
	expect(ada).toEqual({ status: "fulfilled", value: undefined });
});

test("a read that is not answered is a timeout, by the call's own time-out or the manager's", async ({
	remote,
}) => {
	const { backend, faults } = chaos(await remote.backend());
	const manager = await remote.manager({ backend, timeout: "1s" });
	faults.hang = true;
	const settled: string[] = [];
	const reads = [
		manager.shared.get("a", { timeout: 100 }).catch(({ code }) => settled.push(`short ${code}`)),
		manager.shared.get("a").catch(({ code }) => settled.push(`long ${code}`)),
	];
	await remote.advance(200);
	expect(settled).toEqual(["short timeout"]);
	expect(manager.health).toMatchObject({ status: "unreachable", error: { code: "timeout" } });
	await remote.advance(1000);
	await Promise.all(reads);
	expect(settled).toEqual(["short timeout", "long timeout"]);
});

test("a lost answer of a read is a store out of reach: a read changes nothing that could be unknown", async ({
	remote,
}) => {
	const inner = await remote.backend();
	const backend = around(inner, { read: (asks) => asks.map(() => ({ failed: "unknown", message: "lost" })) });
	const { shared } = await remote.manager({ backend });
	await expect(shared.get("a")).rejects.toMatchObject({ code: "unavailable" });
});

test("a signal gives a read up, with its reason, on every store", async ({ trial, remote }) => {
	for (const { shared } of [await trial.manager(), await remote.manager()]) {
		const reason = new Error("not wanted");
		const signal = AbortSignal.abort(reason);
		await expect(shared.get("a", { signal })).rejects.toBe(reason);
		await expect(shared.getMany(["a"], { signal })).rejects.toBe(reason);
		await expect(shared.count("**", { signal })).rejects.toBe(reason);
		await expect(shared.list("**", { signal })[Symbol.asyncIterator]().next()).rejects.toBe(reason);
	}
	const { shared } = await remote.manager();
	const controller = new AbortController();
	const read = shared.get("a", { signal: controller.signal });
	controller.abort("enough");
	await expect(read).rejects.toBe("enough");
});

test("a call that was given up, or that was called wrongly, leaves no rejection that nobody awaits", async ({
	remote,
}) => {
	const unheard = vi.fn();
	process.on("unhandledRejection", unheard);
	try {
		const { backend, faults } = chaos(await remote.backend());
		const { shared } = await remote.manager({ backend });
		faults.unavailable = true;
		const signal = AbortSignal.abort("not wanted");
		const calls = [
			shared.get("a", { signal }),
			shared.count("**", { signal }),
			shared.count("**", { timeout: "soon" as never }),
			shared.get("a", { timeout: "soon" as never }),
		];
		expect(await Promise.allSettled(calls)).toMatchObject([
			{ reason: "not wanted" },
			{ reason: "not wanted" },
			{ reason: { code: "invalid-argument" } },
			{ reason: { code: "invalid-argument" } },
		]);
		await remote.settle();
		expect(unheard).not.toHaveBeenCalled();
	} finally {
		process.off("unhandledRejection", unheard);
	}
});
