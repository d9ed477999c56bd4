import fc from "fast-check";
import { describe, expect } from "vitest";
import type { Backend, Signal } from "./backend.js";
import type { Clock } from "./clock.js";
import type { StateManager } from "./manager.js";
import { around } from "./testing/around.js";
import { type Chaos, chaos } from "./testing/chaos.js";
import type { Trial } from "./testing/trial.js";
import { test } from "./with-trial.js";

/** A store whose signals are held back, for a test to pass on as it likes. */
function held(inner: Backend) {
	const listeners = new Set<(signal: Signal) => void>();
	const signals: Signal[] = [];
	const counts = { logs: 0, commits: 0 };
	const backend = around(inner, {
		async log(...asked) {
			counts.logs++;
			const page = await inner.log(...asked);
			await store.slow;
			return page;
		},
		commit(batches) {
			counts.commits++;
			return inner.commit(batches);
		},
		async watch(scope, listener) {
			const own = (signal: Signal): void => listener(signal);
			listeners.add(own);
			const unwatch = await inner.watch(scope, (signal) => signals.push(signal));
			return () => {
				listeners.delete(own);
				unwatch();
			};
		},
	});
	const pass = (signal: Signal | undefined): void => {
		if (signal !== undefined) for (const listener of listeners) listener(signal);
	};
	const store = { backend, signals, counts, pass, listeners, slow: undefined as Promise<void> | undefined };
	return store;
}

/** Somebody who writes, and somebody who subscribes and is signalled what the test says. */
async function followed(trial: Trial) {
	const store = held(await trial.backend());
	const watcher = await trial.manager({ backend: store.backend });
	const writer = await trial.manager();
	const heard: string[] = [];
	await watcher.shared.subscribe("**", ({ key, value }) => heard.push(`${key}=${value}`)).ready;
	store.counts.logs = 0;
	const hears = (...changes: string[]): Promise<void> =>
		trial.eventually("what is heard", () => expect(heard).toEqual(changes));
	const { signals, counts, pass } = store;
	return { store, signals, counts, pass, watcher, writer, heard, hears };
}

const write = async ({ shared }: StateManager, ...keys: string[]): Promise<void> => {
	for (const key of keys) await shared.set(key, 1);
};

describe("what is signalled", () => {
	test("out of order and repeated is told in order, once, without asking the store", async ({ trial }) => {
		const { writer, signals, pass, hears, counts } = await followed(trial);
		await write(writer, "a", "b", "c", "d");
		for (const i of [1, 1, 3, 2, 0, 3, 0, 2]) pass(signals[i]);
		await hears("a=1", "b=1", "c=1", "d=1");
		expect(counts.logs).toBe(0);
	});

	test("with something lost before it waits 20 ms for that, then asks the log", async ({ trial }) => {
		const { writer, signals, pass, hears, heard, counts } = await followed(trial);
		await write(writer, "a", "b", "c");
		pass(signals[2]);
		await Promise.resolve();
		expect(heard).toEqual([]);
		expect(counts.logs).toBe(0);
		await trial.advance(20);
		await hears("a=1", "b=1", "c=1");
	});

	test("is told though the signal says nothing but that there is something", async ({ trial }) => {
		const { writer, pass, hears } = await followed(trial);
		await write(writer, "a", "b");
		pass({ type: "wake" });
		await hears("a=1", "b=1");
		await write(writer, "c");
		pass({ type: "wake" });
		pass({ type: "wake" });
		await hears("a=1", "b=1", "c=1");
	});

	test("not at all is found by the check of heads, every ten seconds", async ({ trial }) => {
		const { writer, hears, heard } = await followed(trial);
		await write(writer, "a");
		await trial.advance(8000);
		expect(heard).toEqual([]);
		await trial.advance(2000);
		await hears("a=1");
	});

	test("once the connection broke catches up, and says meanwhile that it is blind", async ({ trial }) => {
		const { writer, watcher, signals, pass, hears } = await followed(trial);
		const mirror = watcher.shared.mirror();
		await mirror.ready;
		expect(mirror.stale).toBe(false);
		pass({ type: "lost" });
		expect(mirror.stale).toBe(true);
		await write(writer, "a", "b");
		pass(signals[1]);
		await hears("a=1", "b=1");
		expect(mirror.stale).toBe(false);
		expect(mirror.list().map(({ key }) => key)).toEqual(["a", "b"]);
	});

	test("while the head is being looked up at the start is not missed", async ({ trial }) => {
		const store = held(await trial.backend());
		const { promise: looked, resolve: look } = Promise.withResolvers<void>();
		const { promise: go, resolve: answer } = Promise.withResolvers<void>();
		let slow = true;
		const backend = around(store.backend, {
			traits: { reach: "network", durable: false },
			read(asks) {
				const answers = store.backend.read(asks);
				if (!slow) return answers;
				slow = false;
				look();
				return answers.map((one) => go.then(() => one));
			},
		});
		const { shared } = await trial.manager({ backend });
		const heard: string[] = [];
		const changes = shared.changes()[Symbol.asyncIterator]();
		const next = changes.next();
		shared.subscribe("**", ({ key }) => heard.push(key));
		await looked;
		// The head was looked up before this, and the signal says nothing of what it was.
		await write(await trial.manager(), "a");
		store.pass({ type: "wake" });
		answer();
		await trial.eventually("it is heard", () => expect(heard).toEqual(["a"]));
		expect((await trial.within("the next commit", next)).value).toMatchObject({ changes: [{ key: "a" }] });
	});

	test("more than is kept while a repair is slow is read once that is done", async ({ trial }) => {
		const { signals, watcher, writer, pass, heard, store } = await followed(trial);
		const { promise, resolve } = Promise.withResolvers<void>();
		store.slow = promise;
		await write(writer, "first");
		pass({ type: "wake" });
		await trial.eventually("it repairs", () => expect(store.counts.logs).toBe(1));
		store.slow = undefined;
		const count = 1100;
		await writer.shared.commit((tx) => tx.set("second", 1));
		for (let i = 0; i < count; i++) await writer.shared.set("n", i);
		for (const signal of signals) pass(signal);
		resolve();
		// Long before the check of heads would find it.
		await trial.settle();
		expect(heard).toHaveLength(count + 2);
		expect(watcher.health.status).toBe("ok");
	});

	test("while a repair looks for the next deadline is not missed", async ({ trial }) => {
		const inner = await trial.backend();
		const store = held(inner);
		const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
		const { promise: allowed, resolve: allow } = Promise.withResolvers<void>();
		let isHolding = false;
		const backend = around(store.backend, {
			read: (asks) =>
				inner.read(asks).map(async (answer) => {
					const read = await answer;
					if (!isHolding) return read;
					ask();
					await allowed;
					return read;
				}),
		});
		const watcher = await trial.manager({ backend });
		const writer = await trial.manager();
		const heard: string[] = [];
		await watcher.shared.subscribe("**", ({ key }) => heard.push(key)).ready;
		await write(writer, "a");
		isHolding = true;
		store.pass({ type: "wake" });
		await asked;
		isHolding = false;
		await write(writer, "b");
		store.pass({ type: "wake" });
		allow();
		await trial.eventually("what is heard", () => expect(heard).toEqual(["a", "b"]));
	});

	test("whatever of it comes, in whatever order and how often, all is told in order once the store is asked", async ({
		trial,
	}) => {
		const { writer, signals, pass, heard } = await followed(trial);
		const told: string[] = [];
		await fc.assert(
			fc.asyncProperty(fc.array(fc.nat(11), { maxLength: 24 }), async (order) => {
				signals.length = 0;
				for (let i = 0; i < 12; i++) {
					await writer.shared.set("n", told.length);
					told.push(`n=${told.length}`);
				}
				for (const i of order) pass(signals[i]);
				pass({ type: "wake" });
				await trial.settle();
				expect(heard).toEqual(told);
			}),
			{ numRuns: 40 },
		);
	});
});

describe("a reset", () => {
	test("is told when the log no longer reaches back", async ({ trial }) => {
		const scopes = { shared: { changes: { count: 2 } } };
		const store = held(await trial.backend());
		const watcher = await trial.manager({ backend: store.backend, scopes });
		const writer = await trial.manager({ scopes });
		const mirror = watcher.shared.mirror();
		await mirror.ready;
		const told: string[][] = [];
		const onReset = (entries: readonly { readonly key: string }[]) =>
			told.push(entries.map(({ key }) => key));
		await watcher.shared.subscribe("**", () => {}, { onReset }).ready;
		await write(writer, "a", "b", "c", "d");
		store.pass(store.signals[3]);
		await trial.advance(20);
		await trial.eventually("the reset", () => expect(told).toEqual([["a", "b", "c", "d"]]));
		expect(mirror.list().map(({ key }) => key)).toEqual(["a", "b", "c", "d"]);
	});

	test("is told when the scope was dropped, and what comes after it goes on", async ({ trial }) => {
		const { writer, pass, hears, watcher } = await followed(trial);
		await write(writer, "a");
		pass({ type: "wake" });
		await hears("a=1");
		await writer.shared.drop();
		pass({ type: "wake" });
		await hears("a=1", "a=undefined");
		const last = await writer.shared.set("b", 1);
		pass({ type: "wake" });
		await hears("a=1", "a=undefined", "b=1");
		expect(watcher.health.status).toBe("ok");
		expect(last).toBeGreaterThan(0);
	});

	test("is told when the store came back older", async ({ trial }) => {
		const { writer, pass, heard, hears } = await followed(trial);
		await write(writer, "a", "b");
		pass({ type: "wake" });
		await hears("a=1", "b=1");
		const restore = await trial.harness.save?.();
		await writer.shared.set("b", 2);
		await write(writer, "c");
		pass({ type: "wake" });
		await hears("a=1", "b=1", "b=2", "c=1");
		await restore?.();
		pass({ type: "wake" });
		await trial.eventually("the difference is told", () =>
			expect(heard.slice(4).sort()).toEqual(["b=1", "c=undefined"]),
		);
		await write(writer, "d");
		pass({ type: "wake" });
		await trial.eventually("it goes on", () => expect(heard.at(-1)).toBe("d=1"));
	});
});

describe("what expires while it is followed", () => {
	test("is told within a second, by whoever follows, whoever wrote it", async ({ trial }) => {
		const [watcher, writer] = [await trial.manager(), await trial.manager()];
		const heard: string[] = [];
		await writer.shared.set("early", 1, { ttl: 60_000 });
		await watcher.shared.subscribe("**", ({ type, key }) => heard.push(`${type} ${key}`)).ready;
		await writer.shared.set("late", 1, { ttl: "1h" });
		await writer.shared.set("soon", 1, { ttl: 10_000 });
		await trial.advance(6000);
		expect(heard).toEqual(["set late", "set soon"]);
		await trial.advance(5000);
		expect(heard.slice(2)).toEqual(["expire soon"]);
		await trial.advance(50_000);
		expect(heard.slice(3)).toEqual(["expire early"]);
	});

	test("is told though it was touched, when it then ends", async ({ trial, manager }) => {
		const heard: string[] = [];
		await manager.shared.set("a", 1, { ttl: 1000 });
		await manager.shared.subscribe("**", ({ type }) => heard.push(type)).ready;
		await manager.shared.touch("a", 20_000);
		await trial.advance(9000);
		expect(heard).toEqual([]);
		await trial.advance(12_000);
		expect(heard).toEqual(["expire"]);
	});
});

describe("after the last follower left", () => {
	test("nobody watches, no timer waits and nothing is swept", async ({ trial }) => {
		const { backend, listeners, counts } = held(await trial.backend());
		const manager = await trial.manager({ backend });
		await manager.shared.set("a", 1, { ttl: 1000 });
		const idle = trial.clock.waiting;
		const subscription = manager.shared.subscribe("**", () => {});
		const mirror = manager.shared.mirror();
		const events = manager.shared.events.on("*", () => {});
		const changes = manager.shared.changes()[Symbol.asyncIterator]();
		const next = changes.next();
		await Promise.all([subscription.ready, mirror.ready, events.ready]);
		expect(listeners.size).toBe(1);
		expect(manager.health.watched).toBe(1);
		subscription.stop();
		mirror.close();
		events.stop();
		expect(listeners.size).toBe(1);
		await changes.return?.();
		expect(await next).toMatchObject({ done: true });
		expect(listeners.size).toBe(0);
		expect(manager.health.watched).toBe(0);
		expect(trial.clock.waiting).toBe(idle);
		counts.commits = 0;
		await trial.advance(2000);
		expect(counts.commits).toBe(0);
	});

	test("nor is it when that happens while something is being swept", async ({ trial }) => {
		const inner = await trial.backend();
		const { promise: opened, resolve: open } = Promise.withResolvers<void>();
		let sweeps = 0;
		const backend = around(inner, {
			commit: (batches) =>
				batches.map(async (batch) => {
					if (batch.commits.length === 0) {
						sweeps++;
						await opened;
					}
					const [answer] = inner.commit([batch]);
					if (answer === undefined) throw new Error("no answer");
					return answer;
				}),
		});
		const { shared } = await trial.manager({ backend });
		await shared.set("soon", 1, { ttl: 1000 });
		await shared.set("late", 1, { ttl: 5000 });
		const idle = trial.clock.waiting;
		const subscription = shared.subscribe("**", () => {});
		await subscription.ready;
		await trial.eventually("it is swept", async () => {
			trial.clock.jump(200);
			await trial.harness.advance?.(200);
			expect(sweeps).toBe(1);
		});
		subscription.stop();
		open();
		await trial.settle();
		expect(trial.clock.waiting).toBe(idle);
	});

	test("an attachment that comes too late is let go", async ({ trial }) => {
		const inner = await trial.backend();
		const { promise: opened, resolve: open } = Promise.withResolvers<void>();
		const watching = new Set<unknown>();
		const backend = around(inner, {
			async watch(scope, listener) {
				await opened;
				const unwatch = await inner.watch(scope, listener);
				watching.add(listener);
				return () => {
					watching.delete(listener);
					unwatch();
				};
			},
		});
		const { shared } = await trial.manager({ backend });
		const subscription = shared.subscribe("**", () => {});
		subscription.stop();
		await expect(subscription.ready).rejects.toMatchObject({ code: "closed" });
		open();
		await trial.settle();
		expect(watching.size).toBe(0);
	});

	test("the next one starts afresh, though the connection had broken", async ({ trial }) => {
		const { backend, signal } = chaos(await trial.backend());
		const { shared } = await trial.manager({ backend });
		const first = shared.mirror();
		await first.ready;
		signal("lost");
		first.close();
		const second = shared.mirror();
		await second.ready;
		expect(second.stale).toBe(false);
	});

	test("no repair goes on, however often one had failed", async ({ trial }) => {
		const { backend, faults, signal } = chaos(await trial.backend());
		const { shared } = await trial.manager({ backend });
		const idle = trial.clock.waiting;
		const subscription = shared.subscribe("**", () => {});
		await subscription.ready;
		faults.unavailable = true;
		for (let i = 0; i < 3; i++) {
			signal("wake");
			await trial.settle();
		}
		subscription.stop();
		expect(trial.clock.waiting).toBe(idle);
	});
});

describe("following that begins while the store is out of reach", () => {
	const begin = async (trial: Trial, fault: "hang" | "unavailable") => {
		const broken: Chaos = chaos(await trial.backend());
		broken.faults[fault] = true;
		const manager = await trial.manager({ backend: broken.backend, timeout: 1000 });
		const heard: string[] = [];
		const subscription = manager.shared.subscribe("**", ({ key }) => heard.push(key));
		const initial = manager.shared.subscribe("**", ({ key }) => heard.push(`${key} at first`), {
			initial: true,
		});
		const mirror = manager.shared.mirror();
		const ready = Promise.allSettled([subscription.ready, initial.ready, mirror.ready]);
		return { ...broken, manager, heard, mirror, ready };
	};

	for (const fault of ["hang", "unavailable"] as const)
		test(`(${fault}) is refused in time, and begins by itself once it is back`, async ({ trial }) => {
			const { ready, heal, heard, mirror, manager } = await begin(trial, fault);
			await trial.advance(1100);
			const code = fault === "hang" ? "timeout" : "unavailable";
			expect(await ready).toMatchObject([{ reason: { code } }, { reason: { code } }, { reason: { code } }]);
			expect(mirror.stale).toBe(true);
			heal();
			const writer = await trial.manager();
			await writer.shared.set("before", 1);
			await trial.advance(8000);
			await trial.eventually("the mirror", () => expect(mirror.get("before")).toBe(1));
			await writer.shared.set("after", 1);
			await trial.eventually("both subscriptions", () =>
				expect(heard.sort()).toEqual(["after", "after at first", "before at first"]),
			);
			expect(mirror.stale).toBe(false);
			expect(manager.health.status).toBe("ok");
			expect(trial.errors.length).toBe(3);
		});

	test("does not keep the process from ending", async ({ trial }) => {
		const { backend, faults } = chaos(await trial.backend());
		faults.unavailable = true;
		const foreground = new Set<object>();
		const clock: Clock = {
			now: () => trial.clock.now(),
			monotonic: () => trial.clock.monotonic(),
			after(ms, callback, background = false) {
				const timer = {};
				if (!background) foreground.add(timer);
				const cancel = trial.clock.after(ms, () => {
					foreground.delete(timer);
					callback();
				});
				return () => {
					foreground.delete(timer);
					cancel();
				};
			},
		};
		const manager = await trial.manager({ backend, clock, timeout: 100 });
		await expect(manager.shared.subscribe("**", () => {}).ready).rejects.toMatchObject({
			code: "unavailable",
		});
		await expect(manager.shared.mirror().ready).rejects.toMatchObject({ code: "unavailable" });
		await manager.close();
		expect(foreground.size, "timers that hold the process").toBe(0);
	});
});
