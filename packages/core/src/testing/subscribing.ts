/** Promise 6, of subscriptions and mirrors: every change, in order, once, or a reset, whatever happens to signals. */
import { expect } from "vitest";
import type { StateManager } from "../manager.js";
import type { StateChange } from "../subscription.js";
import type { ChaosOptions } from "./chaos.js";
import { type Check, check } from "./check.js";
import { seeded } from "./random.js";
import { entriesOf, Fold, shaken, write } from "./told.js";

const shakes: Record<string, ChaosOptions> = {
	"no signal": { dropSignals: 1 },
	"a third of them": { dropSignals: 0.67 },
	"each twice": { repeatSignals: 1 },
	"them late and out of order": { delaySignals: 15 },
	"half of them, late, some twice": { dropSignals: 0.5, repeatSignals: 0.5, delaySignals: 15 },
};

export const subscribing: readonly Check[] = [
	...Object.entries(shakes).map(([what, options]) =>
		check(6, `a subscriber and a mirror that get ${what} of the signals miss nothing`, async (trial) => {
			const { manager: watcher } = await shaken(trial, options);
			const writer = await trial.manager();
			const fold = new Fold();
			let resets = 0;
			await watcher.shared.subscribe("**", fold.hear, { onReset: () => resets++ }).ready;
			const mirror = watcher.shared.mirror();
			await mirror.ready;
			const made: { type: string; key: string }[] = [];
			const follow = writer.shared.changes({ from: 0 })[Symbol.asyncIterator]();
			await write(writer, 1, 40);
			const last = await writer.shared.set("last", true);
			for (let done = false; !done; ) {
				const { value } = await follow.next();
				if (value?.type !== "commit") throw new Error("the writer's own log was reset");
				made.push(...value.changes);
				done = value.revision === last;
			}
			await follow.return?.();
			// What no signal tells, the check of heads finds.
			for (let i = 0; i < 3; i++) await trial.advance(10_000);
			await trial.eventually("the last change is heard", () =>
				expect(fold.changes.at(-1)).toMatchObject({ key: "last" }),
			);
			expect(resets, "resets without a reason").toBe(0);
			expect(
				fold.changes.map(({ type, key }) => `${type} ${key}`),
				"every change, in order, once",
			).toEqual(made.map(({ type, key }) => `${type} ${key}`));
			await trial.within("the mirror", mirror.at(last));
			expect(
				mirror.list().map(({ key, value }) => [key, value]),
				"what the mirror shows",
			).toEqual(await entriesOf(writer));
		}),
	),

	check(6, "from every revision of a history, a subscriber is told what came after", async (trial) => {
		const manager = await trial.manager();
		const revisions = await write(manager, 2, 15);
		const whole = new Fold();
		await manager.shared.subscribe("**", whole.hear, { from: 0 }).ready;
		await trial.eventually("the whole history is told", () =>
			expect(whole.changes.at(-1)?.revision ?? 0).toBeGreaterThanOrEqual(revisions.at(-1) ?? 0),
		);
		for (const from of [...new Set(whole.changes.map(({ revision }) => revision))]) {
			const fold = new Fold();
			await (await trial.manager()).shared.subscribe("**", fold.hear, { from }).ready;
			const rest = whole.changes.filter(({ revision }) => revision > from);
			await trial.eventually(`what came after ${from} is told`, () =>
				expect(fold.changes.map(({ key, revision }) => `${revision} ${key}`)).toEqual(
					rest.map(({ key, revision }) => `${revision} ${key}`),
				),
			);
		}
	}),

	check(
		6,
		"a subscriber begins with the present state if it asks for it, and goes on from there",
		async (trial) => {
			const [writer, watcher] = [await trial.manager(), await trial.manager()];
			await write(writer, 3, 20);
			const fold = new Fold();
			const writing = write(writer, 4, 30);
			const subscription = watcher.shared.subscribe("**", fold.hear, { initial: true });
			await Promise.all([writing, subscription.ready]);
			await writer.shared.set("last", true);
			await trial.eventually("the last change is heard", () => expect(fold.state.get("last")).toBe(true));
			expect(fold.sorted).toEqual(await entriesOf(writer));
			const revisions = fold.live.map(({ revision }) => revision);
			expect(revisions, "in order").toEqual([...revisions].sort((a, b) => a - b));
		},
	),

	check(6, "a pattern is told what matches it, and nothing else", async (trial) => {
		const [writer, watcher] = [await trial.manager(), await trial.manager()];
		const heard: Record<string, string[]> = {};
		for (const pattern of ["a", "d/*", "d/**", "*/1", "**", "d/1/x"]) {
			const list: string[] = [];
			heard[pattern] = list;
			await watcher.shared.subscribe(pattern, ({ key }) => list.push(key)).ready;
		}
		for (const key of ["a", "d", "d/1", "d/1/x", "da/1", "end"]) await writer.shared.set(key, key);
		await trial.eventually("all is heard", () => expect(heard["**"]).toHaveLength(6));
		expect(heard).toEqual({
			a: ["a"],
			"d/*": ["d/1"],
			"d/**": ["d/1", "d/1/x"],
			"*/1": ["d/1", "da/1"],
			"**": ["a", "d", "d/1", "d/1/x", "da/1", "end"],
			"d/1/x": ["d/1/x"],
		});
	}),

	check(
		6,
		"whole commits come in order, each linked to the one before; a reset has the state",
		async (trial) => {
			const [writer, watcher] = [await trial.manager(), await trial.manager()];
			await writer.shared.set("before", 1);
			const from = await writer.shared.set("start", 1);
			await writer.shared.commit(
				(tx) => {
					tx.set("a", 1);
					tx.set("b", 2);
					tx.emit("happened", { to: "a" });
				},
				{ metadata: { by: "ada" } },
			);
			const end = new AbortController();
			const changes = watcher.shared.changes({ from, signal: end.signal })[Symbol.asyncIterator]();
			const { value: commit } = await trial.within("the first commit", changes.next());
			expect(commit).toMatchObject({ type: "commit", previous: from, own: false, metadata: { by: "ada" } });
			if (commit?.type !== "commit") throw new Error("not a commit");
			expect(commit.changes.map((change: StateChange) => [change.key, change.value]).sort()).toEqual([
				["a", 1],
				["b", 2],
			]);
			expect(commit.events).toMatchObject([{ type: "happened", payload: { to: "a" } }]);
			const next = changes.next();
			const revision = await writer.shared.set("c", 3);
			expect((await trial.within("the next commit", next)).value).toMatchObject({
				revision,
				previous: commit.revision,
			});
			await writer.shared.drop();
			expect((await trial.within("the reset", changes.next())).value).toMatchObject({
				type: "reset",
				entries: [],
			});
			const pending = changes.next();
			end.abort();
			expect(await trial.within("the end of an iteration", pending)).toMatchObject({ done: true });
		},
	),

	check(6, "events are heard in order, once, and recalled from any cursor", async (trial) => {
		const { manager: watcher, chaos: shaking } = await shaken(trial, { dropSignals: 0.5, delaySignals: 5 });
		const writer = await trial.manager();
		const heard: unknown[] = [];
		await watcher.shared.events.on("tick", ({ payload }) => heard.push(payload)).ready;
		const revisions: number[] = [];
		for (let i = 0; i < 20; i++) {
			revisions.push(await writer.shared.events.emit("tick", i));
			await writer.shared.events.emit("tock", i);
			await writer.shared.set("a", i);
		}
		shaking.heal();
		shaking.signal("wake");
		await trial.eventually("all events are heard", () => expect(heard).toHaveLength(20));
		expect(heard).toEqual(Array.from({ length: 20 }, (_, i) => i));
		const from = revisions[9] as number;
		const recalled: unknown[] = [];
		for await (const { payload } of watcher.shared.events.history({ from, type: "tick" }))
			recalled.push(payload);
		expect(recalled).toEqual(heard.slice(10));
		const late: unknown[] = [];
		await watcher.shared.events.on("tick", ({ payload }) => late.push(payload), { from }).ready;
		await trial.eventually("a later listener is told the rest", () => expect(late).toEqual(heard.slice(10)));
		const last: unknown[] = [];
		for await (const { payload } of watcher.shared.events.history({ last: 2, type: "tick" }))
			last.push(payload);
		expect(last).toEqual([18, 19]);
	}),

	check(
		6,
		"managers that write at once, through lost, late and repeated signals, end with one state in all mirrors",
		async (trial) => {
			const shaking = await Promise.all(
				Array.from({ length: 3 }, (_, i) =>
					shaken(trial, { random: seeded(i), dropSignals: 0.3, repeatSignals: 0.3, delaySignals: 5 }),
				),
			);
			const folds = await Promise.all(
				shaking.map(async ({ manager }) => {
					const fold = new Fold();
					await manager.shared.subscribe("**", fold.hear).ready;
					return fold;
				}),
			);
			const mirrors = shaking.map(({ manager }) => manager.shared.mirror());
			await Promise.all(mirrors.map(({ ready }) => ready));
			await Promise.all(shaking.map(({ manager }, i) => write(manager, 10 + i, 30)));
			const last = await (shaking[0] as { manager: StateManager }).manager.shared.set("last", true);
			for (const { chaos: one } of shaking) one.heal();
			for (let i = 0; i < 2; i++) await trial.advance(10_000);
			const entries = await entriesOf((shaking[1] as { manager: StateManager }).manager);
			for (const [i, mirror] of mirrors.entries()) {
				await trial.within(`mirror ${i}`, mirror.at(last));
				expect(
					mirror.list().map(({ key, value }) => [key, value]),
					`what mirror ${i} shows`,
				).toEqual(entries);
				const fold = folds[i] as Fold;
				await trial.eventually(`subscriber ${i} hears the last change`, () =>
					expect(fold.state.get("last")).toBe(true),
				);
				expect(fold.sorted, `what subscriber ${i} was told`).toEqual(entries);
			}
			const [first] = folds as [Fold];
			const orders = folds.map(({ live }) => live.map(({ key, revision }) => `${revision} ${key}`));
			for (const order of orders) expect(order, "all subscribers hear the same").toEqual(orders[0]);
			expect(first.live.map(({ revision }) => revision)).toEqual(
				first.live.map(({ revision }) => revision).sort((a, b) => a - b),
			);
		},
	),

	check(6, "quiet commits are not told to listeners, and mirrors apply them", async (trial) => {
		const [writer, watcher] = [await trial.manager(), await trial.manager()];
		const fold = new Fold();
		await watcher.shared.subscribe("**", fold.hear).ready;
		const mirror = watcher.shared.mirror();
		await mirror.ready;
		await writer.shared.set("quiet", 1, { notify: false });
		await writer.shared.set("loud", 1);
		await trial.eventually("the loud one is heard", () => expect(fold.changes).not.toEqual([]));
		expect(fold.changes.map(({ key }) => key)).toEqual(["loud"]);
		await trial.eventually("the mirror shows both", () => expect(mirror.size).toBe(2));
	}),
];
