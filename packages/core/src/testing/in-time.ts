/** Promise 14: every call settles within its time-out, as a result or a typed error. */
import { expect } from "vitest";
import type { Soon } from "../backend.js";
import { isHoldfastError } from "../error.js";
import type { StateManager } from "../manager.js";
import { around } from "./around.js";
import { chaos } from "./chaos.js";
import { type Check, check } from "./check.js";
import { anyScope, put } from "./client.js";

/** Every way to ask a manager for something. */
const calls: Record<string, (manager: StateManager) => Promise<unknown>> = {
	ready: (manager) => manager.ready(),
	get: ({ shared }) => shared.get("a"),
	getMany: ({ shared }) => shared.getMany(["a", "b"]),
	entry: ({ shared }) => shared.entry("a"),
	has: ({ shared }) => shared.has("a"),
	set: ({ shared }) => shared.set("a", 1),
	getOrSet: ({ shared }) => shared.getOrSet("new", 1),
	update: ({ shared }) => shared.update("a", () => 1),
	delete: ({ shared }) => shared.delete("a"),
	clear: ({ shared }) => shared.clear(),
	list: ({ shared }) => shared.list()[Symbol.asyncIterator]().next(),
	count: ({ shared }) => shared.count(),
	increment: ({ shared }) => shared.increment("n"),
	touch: ({ shared }) => shared.touch("a", 1000),
	commit: ({ shared }) => shared.commit((tx) => tx.set("a", 1)),
	"a transaction that reads": ({ shared }) => shared.commit((tx) => tx.get("a")),
	notify: ({ shared }) => shared.notify("a"),
	subscribe: ({ shared }) => shared.subscribe("**", () => {}).ready,
	"subscribe from a cursor": ({ shared }) => shared.subscribe("**", () => {}, { from: 0 }).ready,
	mirror: ({ shared }) => shared.mirror().ready,
	lock: ({ shared }) => shared.lock("job", { wait: "2s" }),
	tryLock: ({ shared }) => shared.tryLock("job"),
	emit: ({ shared }) => shared.events.emit("happened", 1),
	"events.on": ({ shared }) => shared.events.on("happened", () => {}).ready,
	"events.history": ({ shared }) => shared.events.history()[Symbol.asyncIterator]().next(),
	drop: ({ shared }) => shared.drop(),
};

const expected = ["timeout", "outcome-unknown", "unavailable", "lock-held"];

export const inTime: readonly Check[] = [
	check(14, "every call to the store settles", async (trial) => {
		const backend = await trial.within("a handle", trial.backend());
		const client = await trial.within("a client", trial.client());
		const { scope } = client;
		const each = <T>(what: string, answers: readonly Soon<T>[]): Promise<unknown> =>
			trial.within(what, Promise.all(answers));
		await each("a read", backend.read([{ scope, keys: ["a"] }]));
		const batch = await trial.within("a read of the clock", client.batch([[put("a", 1)]]));
		await each("a commit", backend.commit([batch]));
		await trial.within("a listing", backend.list(scope, { from: "", to: null, limit: 10, bytes: 1000 }));
		await trial.within("a log", backend.log(scope, 0, { of: "changes", limit: 10, bytes: 1000 }));
		(
			await trial.within(
				"a watch",
				backend.watch(scope, () => {}),
			)
		)();
		await trial.within("a listing of scopes", backend.scopes({ prefix: anyScope, after: null, limit: 10 }));
		await trial.within("a drop", backend.drop(scope));
		await each("a call that asks for nothing", [...backend.read([]), ...backend.commit([])]);
		await trial.within("a close", backend.close({ timeout: 1000 }));
	}),

	check(14, "a manager is ready when the store answers, and says so", async (trial) => {
		const manager = await trial.manager();
		expect(manager.health.status, "before it was asked anything").toBe("idle");
		const began = trial.clock.monotonic();
		await trial.within("ready", manager.ready());
		expect(manager.health).toMatchObject({ status: "ok", error: undefined, pending: 0 });
		const { now } = await (await trial.client()).read();
		const offset = now - trial.clock.now();
		// Neither can know it better than by as long as its answer took.
		const took = trial.clock.monotonic() - began;
		expect(Math.abs(manager.health.clockOffset - offset), "what it knows of the store's clock").toBeLessThan(
			1000 + took,
		);
	}),

	...(["hang", "unavailable"] as const).map((fault) =>
		check(
			14,
			`when the store ${fault === "hang" ? "hangs" : "is out of reach"}, every call is refused in time, and works again afterwards`,
			async (trial) => {
				const { backend, faults, heal } = chaos(await trial.backend());
				const manager = await trial.manager({ backend });
				await manager.shared.set("a", 1);
				const healths: string[] = [];
				manager.on("health", ({ status }) => healths.push(status));
				faults[fault] = true;
				const outcomes = Object.entries(calls).map(async ([name, call]) => {
					try {
						await call(manager);
						return `${name}: answered`;
					} catch (error) {
						const { code } = error as { code?: string };
						return isHoldfastError(error) && expected.includes(code ?? "")
							? "refused"
							: `${name}: ${String(error)}`;
					}
				});
				// Some wait first and then ask.
				await trial.advance(trial.timeout + 100);
				await trial.advance(trial.timeout + 100);
				const settled = await trial.within("all calls", Promise.all(outcomes));
				expect(
					settled.filter((outcome) => outcome !== "refused"),
					"calls that ended otherwise than as a refusal",
				).toEqual([]);
				expect(manager.health.status).toBe("unreachable");
				expect(isHoldfastError(manager.health.error), "what failed last").toBe(true);
				heal();
				await manager.shared.set("b", 2);
				expect(await manager.shared.get("b")).toBe(2);
				expect(manager.health.status).toBe("ok");
				expect(healths[0]).toBe("unreachable");
				expect(healths.at(-1)).toBe("ok");
			},
		),
	),

	check(14, "a call has the time-out that it is given, and can be given up", async (trial) => {
		const { backend, faults } = chaos(await trial.backend());
		const manager = await trial.manager({ backend, timeout: "1m" });
		await manager.shared.set("a", 1);
		faults.hang = true;
		const short = manager.shared.get("a", { timeout: 1000 });
		short.catch(() => {});
		const reason = new Error("given up");
		const controller = new AbortController();
		const { signal } = controller;
		const aborted = [
			manager.shared.get("a", { signal }),
			manager.shared.set("a", 2, { signal }),
			manager.shared.lock("job", { signal }),
			manager.shared.count("**", { signal }),
		];
		for (const call of aborted) call.catch(() => {});
		await trial.advance(1100);
		await expect(trial.within("the call with a short time-out", short)).rejects.toMatchObject({
			code: "timeout",
		});
		controller.abort(reason);
		for (const call of aborted)
			await expect(trial.within("a call that was given up", call)).rejects.toBe(reason);
		await expect(manager.shared.get("a", { signal }), "a call that was given up before").rejects.toBe(reason);
	}),

	check(14, "a store that rejects where it must not is an error of ours all the same", async (trial) => {
		const inner = await trial.backend();
		let broken = false;
		const reject = (): Promise<never> => Promise.reject(new Error("a bug in a backend"));
		const backend = around(inner, {
			read: (asks) => (broken ? asks.map(reject) : inner.read(asks)),
			commit: (batches) => (broken ? batches.map(reject) : inner.commit(batches)),
			list: (scope, range) => (broken ? reject() : inner.list(scope, range)),
		});
		const manager = await trial.manager({ backend });
		await manager.shared.set("a", 1);
		broken = true;
		for (const name of ["get", "set", "count", "ready"]) {
			const outcome = calls[name]?.(manager).then(
				() => "answered",
				(error: unknown) => (isHoldfastError(error) ? "refused" : String(error)),
			);
			await trial.advance(trial.timeout + 100);
			expect(await trial.within(name, outcome), name).toBe("refused");
		}
		broken = false;
		await manager.shared.set("a", 2);
		expect(await manager.shared.get("a")).toBe(2);
	}),
];
