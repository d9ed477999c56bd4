import fc from "fast-check";
import { describe, expect } from "vitest";
import type { StateManager } from "./manager.js";
import type { StateChange } from "./subscription.js";
import { around } from "./testing/around.js";
import { chaos } from "./testing/chaos.js";
import type { Trial } from "./testing/trial.js";
import { test } from "./with-trial.js";

const text = ({ type, key, value }: StateChange): string =>
	type === "set" ? `${key}=${value}` : `${type} ${key}`;

/** A listener that notes what it hears and is busy with each until it is let go on. */
function slow() {
	const heard: string[] = [];
	const waiting: (() => void)[] = [];
	const listener = (change: StateChange): Promise<void> => {
		heard.push(text(change));
		return new Promise((resolve) => waiting.push(resolve));
	};
	const free = (): void => waiting.shift()?.();
	return { heard, listener, free };
}

const set = async ({ shared }: StateManager, ...pairs: (readonly [string, unknown])[]): Promise<void> => {
	for (const [key, value] of pairs) await shared.set(key, value);
};

describe("who subscribes", () => {
	test("may leave its own writes out", async ({ trial }) => {
		const [manager, other] = [await trial.manager(), await trial.manager()];
		const heard: string[] = [];
		const all: boolean[] = [];
		const first = await manager.shared.set("first", 1);
		await manager.shared.subscribe("**", (change) => heard.push(text(change)), { own: false }).ready;
		await manager.shared.subscribe("**", (change) => heard.push(text(change)), { own: false, from: first })
			.ready;
		await manager.shared.subscribe("**", ({ own }) => all.push(own)).ready;
		await manager.shared.set("mine", 1);
		await other.shared.set("theirs", 1);
		await manager.shared.update("mine", () => 2);
		await trial.settle();
		expect(heard).toEqual(["theirs=1", "theirs=1"]);
		expect(all).toEqual([true, false, true]);
	});

	test("hears what each change says of itself", async ({ trial, manager }) => {
		const heard: StateChange[] = [];
		await manager.shared.subscribe("a", (change) => heard.push(change)).ready;
		const set = await manager.shared.set("a", { n: 1 }, { ttl: 1000, metadata: { by: "ada" } });
		await manager.shared.set("b", 1);
		const gone = await manager.shared.commit((tx) => tx.delete("a"));
		await trial.settle();
		const common = { key: "a", own: true, replayed: false };
		expect(heard).toEqual([
			{
				...common,
				type: "set",
				value: { n: 1 },
				revision: set,
				expiresAt: expect.any(Number),
				metadata: { by: "ada" },
			},
			{ ...common, type: "delete", value: undefined, revision: gone.revision, metadata: undefined },
		]);
	});

	test("may subscribe the same function twice, and stop one of the two", async ({ trial, manager }) => {
		const heard: string[] = [];
		const listener = (change: StateChange): void => {
			heard.push(text(change));
		};
		const one = manager.shared.subscribe("**", listener);
		const two = manager.shared.subscribe("**", listener);
		await Promise.all([one.ready, two.ready]);
		await set(manager, ["a", 1]);
		one.stop();
		one.stop();
		await set(manager, ["a", 2]);
		await trial.settle();
		expect(heard).toEqual(["a=1", "a=1", "a=2"]);
	});

	test("may stop inside its listener: nothing that waited is told", async ({ trial, manager }) => {
		const heard: string[] = [];
		const subscription = manager.shared.subscribe("**", (change) => {
			heard.push(text(change));
			subscription.stop();
		});
		await subscription.ready;
		await manager.shared.commit((tx) => {
			tx.set("a", 1);
			tx.set("b", 1);
		});
		await set(manager, ["c", 1]);
		await trial.settle();
		expect(heard).toEqual(["a=1"]);
		expect(manager.health.watched).toBe(0);
	});

	test("stops by a signal, and by `using`", async ({ trial, manager }) => {
		const heard: string[] = [];
		const controller = new AbortController();
		const { signal } = controller;
		await manager.shared.subscribe("**", () => heard.push("signal"), { signal }).ready;
		{
			using subscription = manager.shared.subscribe("**", () => heard.push("using"));
			await subscription.ready;
		}
		controller.abort();
		manager.shared.subscribe("**", () => heard.push("aborted before"), { signal });
		await set(manager, ["a", 1]);
		await trial.settle();
		expect(heard).toEqual([]);
		expect(manager.health.watched).toBe(0);
	});

	test("is not called in the middle of a writer's call", async ({ manager }) => {
		let heard = 0;
		await manager.shared.subscribe("**", () => heard++).ready;
		const written = manager.shared.set("a", 1);
		expect(heard).toBe(0);
		await written;
		expect(heard).toBe(1);
	});

	test("hears what was written in the turn in which it subscribed, of a store within the process", async ({
		trial,
		manager,
	}) => {
		const heard: string[] = [];
		void manager.shared.set("before", 1);
		manager.shared.subscribe("**", (change) => heard.push(text(change)));
		void manager.shared.set("after", 1);
		await trial.settle();
		expect(heard).toEqual(["after=1"]);
	});
});

describe("notify", () => {
	test("tells the present value again, and keeps its deadline", async ({ trial, manager }) => {
		const heard: string[] = [];
		await manager.shared.set("a", { n: 1 }, { ttl: 100_000 });
		const before = await manager.shared.entry("a");
		await manager.shared.subscribe("**", ({ key }) => heard.push(key)).ready;
		expect(await manager.shared.notify("a")).toBe(true);
		expect(await manager.shared.notify("absent")).toBe(false);
		await trial.settle();
		expect(heard).toEqual(["a"]);
		const after = await manager.shared.entry("a");
		expect(after?.value).toBe(before?.value);
		expect(Math.abs((after?.expiresAt ?? 0) - (before?.expiresAt ?? 0))).toBeLessThanOrEqual(4000);
	});
});

describe("a listener", () => {
	test("that answers later hears the next change only then, in order", async ({ trial, manager }) => {
		const { heard, listener, free } = slow();
		await manager.shared.subscribe("**", listener).ready;
		await set(manager, ["a", 1], ["b", 2], ["a", 3]);
		await trial.settle();
		expect(heard).toEqual(["a=1"]);
		free();
		await trial.settle();
		expect(heard).toEqual(["a=1", "b=2"]);
		free();
		await trial.settle();
		expect(heard).toEqual(["a=1", "b=2", "a=3"]);
	});

	test("that throws or rejects goes on, and is reported with its scope and pattern", async ({
		trial,
		manager,
	}) => {
		const heard: string[] = [];
		await manager.shared.subscribe("a/*", (change) => {
			heard.push(text(change));
			throw new Error("thrown");
		}).ready;
		await manager.shared.subscribe("a/*", async () => {
			throw new Error("rejected");
		}).ready;
		await set(manager, ["a/1", 1], ["a/1", 2]);
		await trial.settle();
		expect(heard).toEqual(["a/1=1", "a/1=2"]);
		expect(trial.errors).toHaveLength(4);
		for (const error of trial.errors)
			expect(error).toMatchObject({ code: "failed", scope: "shared", key: "a/*", cause: expect.any(Error) });
	});

	test("whose queue is full is told the latest of each key, in the order of their last change", async ({
		trial,
		manager,
	}) => {
		const { heard, listener, free } = slow();
		await manager.shared.subscribe("**", listener, { queue: 3 }).ready;
		await set(manager, ["a", 0], ["a", 1], ["b", 1], ["c", 1], ["a", 2], ["d", 1], ["b", 2]);
		await manager.shared.delete("c");
		await trial.settle();
		for (let i = 0; i < 9; i++) {
			free();
			await trial.settle();
		}
		expect(heard).toEqual(["a=0", "a=2", "d=1", "b=2", "delete c"]);
		// Then it is told each again.
		await set(manager, ["a", 3], ["a", 4]);
		for (let i = 0; i < 3; i++) {
			await trial.settle();
			free();
		}
		expect(heard.slice(5)).toEqual(["a=3", "a=4"]);
	});

	test("whose queue is full and that wants a reset then is told the present state", async ({
		trial,
		manager,
	}) => {
		const { heard, listener, free } = slow();
		const onReset = (entries: readonly { readonly key: string; readonly value: unknown }[]) =>
			heard.push(`reset ${entries.map(({ key, value }) => `${key}=${value}`).join(" ")}`);
		await manager.shared.subscribe("a/*", listener, { queue: 2, coalesce: "reset", onReset }).ready;
		await set(manager, ["b", 1], ["a/1", 0], ["a/1", 1], ["a/2", 1], ["a/3", 1], ["a/1", 2]);
		await trial.settle();
		expect(heard).toEqual(["a/1=0"]);
		free();
		await trial.settle();
		expect(heard).toEqual(["a/1=0", "reset a/1=2 a/2=1 a/3=1"]);
		await set(manager, ["a/4", 1]);
		await trial.settle();
		expect(heard.slice(2)).toEqual(["a/4=1"]);
		expect(() => manager.shared.subscribe("a/*", () => {}, { coalesce: "reset" })).toThrow(
			expect.objectContaining({ code: "invalid-argument", scope: "shared", key: "a/*" }),
		);
	});

	test("whose queue is full is told the present state once it can be read again", async ({ trial }) => {
		const { backend, faults } = chaos(await trial.backend());
		const watcher = await trial.manager({ backend });
		const { heard, listener, free } = slow();
		const onReset = () => heard.push("reset");
		await watcher.shared.subscribe("**", listener, { queue: 1, coalesce: "reset", onReset }).ready;
		await set(await trial.manager(), ["a", 0], ["a", 1], ["a", 2], ["a", 3]);
		await trial.settle();
		faults.unavailable = ["list"];
		free();
		await trial.advance(1500);
		expect(heard).toEqual(["a=0"]);
		faults.unavailable = false;
		await trial.advance(1000);
		expect(heard).toEqual(["a=0", "reset"]);
	});

	test("that is throttled hears the latest of each key once a while; stopped, nothing more", async ({
		trial,
		manager,
	}) => {
		const heard: string[] = [];
		const subscription = manager.shared.subscribe("**", (change) => heard.push(text(change)), {
			throttle: "10s",
		});
		await subscription.ready;
		await set(manager, ["a", 1], ["b", 1], ["a", 2]);
		await trial.advance(5000);
		expect(heard).toEqual([]);
		await trial.advance(6000);
		expect(heard).toEqual(["b=1", "a=2"]);
		await set(manager, ["a", 3]);
		subscription.stop();
		await trial.advance(11_000);
		expect(heard).toHaveLength(2);
	});
});

describe("what was lost", () => {
	/** A watcher that misses more than the log keeps, after what it was told so far. */
	async function losing(trial: Trial) {
		const scopes = { shared: { changes: { count: 2 } } };
		const { backend, faults, signal } = chaos(await trial.backend());
		const [watcher, writer] = [await trial.manager({ backend, scopes }), await trial.manager({ scopes })];
		const lose = async (work: () => Promise<void>): Promise<void> => {
			faults.dropSignals = 1;
			await work();
			faults.dropSignals = 0;
			signal("wake");
			await trial.settle();
		};
		return { watcher, writer, lose };
	}

	test("is told as the difference to what was heard, without onReset", async ({ trial }) => {
		const { watcher, writer, lose } = await losing(trial);
		await set(writer, ["kept", 1], ["gone", 1], ["changed", 1], ["again", 1], ["quiet", 1]);
		const heard: string[] = [];
		const flags = new Set<boolean>();
		await watcher.shared.subscribe("**", (change) => {
			heard.push(text(change));
			flags.add(change.replayed);
		}).ready;
		await lose(async () => {
			await writer.shared.delete("gone");
			await set(writer, ["changed", 2], ["new", 1]);
			await writer.shared.delete("again");
			await set(writer, ["again", 2]);
			await writer.shared.set("quiet", 2, { notify: false });
		});
		expect(heard.sort()).toEqual(["again=2", "changed=2", "delete gone", "new=1", "quiet=2"]);
		expect([...flags]).toEqual([true]);
	});

	test("does not take from a slow listener what it was still to be told", async ({ trial }) => {
		const { watcher, writer, lose } = await losing(trial);
		const { heard, listener, free } = slow();
		await watcher.shared.subscribe("**", listener).ready;
		await set(writer, ["a", 1], ["b", 1], ["c", 1]);
		await trial.settle();
		expect(heard).toEqual(["a=1"]);
		await lose(() => set(writer, ["d", 1], ["c", 2], ["d", 2], ["d", 3]));
		for (let i = 0; i < 9; i++) {
			free();
			await trial.settle();
		}
		expect(heard).toEqual(["a=1", "b=1", "c=1", "c=2", "d=3"]);
	});

	test("nor from a throttled one", async ({ trial }) => {
		const { watcher, writer, lose } = await losing(trial);
		const heard: string[] = [];
		await watcher.shared.subscribe("**", (change) => heard.push(text(change)), { throttle: 10_000 }).ready;
		await set(writer, ["a", 1], ["b", 1]);
		await lose(() => set(writer, ["b", 2], ["c", 1], ["c", 2], ["c", 3]));
		await trial.advance(11_000);
		expect(heard.sort()).toEqual(["a=1", "b=2", "c=3"]);
	});

	test("is told once to who began with the present state", async ({ trial }) => {
		const { watcher, writer, lose } = await losing(trial);
		await set(writer, ["a", 1], ["b", 1]);
		const heard: string[] = [];
		await watcher.shared.subscribe("a", (change) => heard.push(text(change)), { initial: true }).ready;
		await lose(() => set(writer, ["b", 2], ["b", 3], ["b", 4], ["b", 5]));
		expect(heard).toEqual(["a=1"]);
		await lose(async () => {
			await set(writer, ["b", 2], ["b", 3], ["b", 4]);
			await writer.shared.delete("a");
			await set(writer, ["b", 5], ["b", 6]);
		});
		expect(heard).toEqual(["a=1", "delete a"]);
	});
});

describe("who goes on from a cursor", () => {
	test("that the log no longer has is told the present state, with onReset or without", async ({ trial }) => {
		const manager = await trial.manager({ scopes: { shared: { changes: { count: 2 } } } });
		const from = await manager.shared.set("a", 1);
		await set(manager, ["b", 1], ["b", 2], ["x/1", 1]);
		const resets: unknown[] = [];
		const heard: string[] = [];
		const onReset = (entries: readonly { readonly key: string }[], revision: number) =>
			resets.push([entries.map(({ key }) => key), revision]);
		await manager.shared.subscribe("*", (change) => heard.push(text(change)), { from, onReset }).ready;
		const told: string[] = [];
		await manager.shared.subscribe("*", (change) => told.push(`${text(change)} ${change.replayed}`), { from })
			.ready;
		const head = (await manager.shared.entry("x/1"))?.revision;
		expect(resets).toEqual([[["a", "b"], head]]);
		expect(heard).toEqual([]);
		expect(told).toEqual(["a=1 true", "b=2 true"]);
		await set(manager, ["c", 1]);
		await trial.settle();
		expect([heard, told.slice(2)]).toEqual([["c=1"], ["c=1 false"]]);
	});

	test("and that is the head hears only what comes", async ({ trial, manager }) => {
		const from = await manager.shared.set("a", 1);
		const heard: string[] = [];
		await manager.shared.subscribe("**", (change) => heard.push(text(change)), { from }).ready;
		await set(manager, ["a", 2]);
		await trial.settle();
		expect(heard).toEqual(["a=2"]);
	});

	test("of a longer history than a page gets all of it, and what was written meanwhile, in order", async ({
		trial,
		manager,
	}) => {
		for (let i = 0; i < 1200; i++) void manager.shared.set("n", i);
		const heard: unknown[] = [];
		const subscription = manager.shared.subscribe("n", async ({ value }) => heard.push(value), { from: 0 });
		for (let i = 1200; i < 1300; i++) {
			await manager.shared.set("n", i);
		}
		await subscription.ready;
		await trial.eventually("all is heard", () => expect(heard).toHaveLength(1300));
		expect(heard).toEqual(Array.from({ length: 1300 }, (_, i) => i));
	});
});

describe("who begins with the present state", () => {
	test("misses and doubles nothing of what is written while it is listed", async ({ trial }) => {
		await fc.assert(
			fc.asyncProperty(
				fc.array(fc.tuple(fc.nat(5), fc.boolean()), { maxLength: 30 }),
				fc.nat(30),
				async (steps, at) => {
					const inner = await trial.backend();
					const backend = around(inner, {
						// Each page comes a turn later: writes go on in between.
						list: async (scope, range) => {
							const page = inner.list(scope, { ...range, limit: 2 });
							await new Promise((resolve) => setImmediate(resolve));
							return page;
						},
					});
					const [watcher, writer] = [await trial.manager({ backend }), await trial.manager()];
					const scope = `${Math.random()}`;
					const present = new Map<string, unknown>();
					const revisions = new Map<string, number>();
					let doubled = 0;
					const hear = ({ key, type, value, revision }: StateChange): void => {
						if ((revisions.get(key) ?? 0) >= revision) doubled++;
						revisions.set(key, revision);
						if (type === "set") present.set(key, value);
						else present.delete(key);
					};
					let subscription: { readonly ready: Promise<void> } | undefined;
					for (const [i, [key, isSet]] of [...steps, [6, true] as const].entries()) {
						if (i === Math.min(at, steps.length))
							subscription = watcher.scope("room", scope).subscribe("**", hear, { initial: true });
						if (isSet) await writer.scope("room", scope).set(`k${key}`, i);
						else await writer.scope("room", scope).delete(`k${key}`);
						if (i % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
					}
					await subscription?.ready;
					await trial.settle();
					const expected: [string, unknown][] = [];
					for await (const { key, value } of writer.scope("room", scope).list()) expected.push([key, value]);
					expect([...present].sort()).toEqual(expected.sort());
					expect(doubled).toBe(0);
					await Promise.all([watcher.close(), writer.close()]);
				},
			),
			{ numRuns: 40 },
		);
	});

	test("of one key reads that alone", async ({ trial }) => {
		const inner = await trial.backend();
		let lists = 0;
		const backend = around(inner, {
			list(...asked) {
				lists++;
				return inner.list(...asked);
			},
		});
		const manager = await trial.manager({ backend });
		await set(manager, ["a", 1], ["b", 1]);
		const heard: string[] = [];
		await manager.shared.subscribe("a", (change) => heard.push(text(change)), { initial: true }).ready;
		await manager.shared.subscribe("absent", (change) => heard.push(text(change)), { initial: true }).ready;
		expect(heard).toEqual(["a=1"]);
		expect(lists).toBe(0);
	});
});

test("a cursor beside `initial`: what is deleted meanwhile is told, and nothing is told twice", async ({
	remote,
}) => {
	const other = await remote.manager();
	await set(other, ["a", 1]);
	const from = await other.shared.set("b", 1);
	await set(other, ["k", 1]);
	const { shared } = await remote.manager();
	const heard: string[] = [];
	const subscription = shared.subscribe(
		"**",
		async (change) => {
			heard.push(text(change));
			if (heard.length === 1) await other.shared.delete("k");
		},
		{ from, initial: true },
	);
	await subscription.ready;
	await set(other, ["z", 1]);
	await remote.eventually("the last", () => expect(heard.at(-1)).toBe("z=1"));
	expect(heard).toEqual(["k=1", "delete k", "z=1"]);
});
