/** Promise 6, where changes were lost: who watches is told a reset with the present state. */
import { expect } from "vitest";
import { chaos } from "./chaos.js";
import { type Check, check } from "./check.js";
import { entriesOf, Fold, shaken, write } from "./told.js";

export const resetting: readonly Check[] = [
	check(
		6,
		"who is blind for longer than the log reaches is told a reset with the present state",
		async (trial) => {
			const keep = { scopes: { shared: { changes: { count: 5 } } } };
			const shaking = chaos(await trial.backend());
			const watcher = await trial.manager({ backend: shaking.backend, ...keep });
			const writer = await trial.manager(keep);
			await writer.shared.set("old", 1);
			const told: string[] = [];
			const options = {
				onReset: (entries: readonly { readonly key: string }[]) =>
					told.push(`reset ${entries.map(({ key }) => key).join(" ")}`),
			};
			await watcher.shared.subscribe("**", ({ type, key }) => told.push(`${type} ${key}`), options).ready;
			const difference: string[] = [];
			await watcher.shared.subscribe("**", ({ type, key, replayed }) =>
				difference.push(`${type} ${key}${replayed ? " again" : ""}`),
			).ready;
			const mirror = watcher.shared.mirror();
			await mirror.ready;
			// It must not look by itself either, however long the writes take.
			shaking.faults.dropSignals = 1;
			shaking.faults.unavailable = true;
			await writer.shared.delete("old");
			for (let i = 0; i < 20; i++) await writer.shared.set(`k${i % 3}`, i);
			shaking.heal();
			shaking.signal("wake");
			await trial.eventually("a reset is told", () => expect(told).toEqual(["reset k0 k1 k2"]));
			await trial.eventually("or the difference", () =>
				expect([...difference].sort()).toEqual([
					"delete old again",
					"set k0 again",
					"set k1 again",
					"set k2 again",
				]),
			);
			await trial.eventually("the mirror follows", () =>
				expect(mirror.list().map(({ key, value }) => `${key}=${value}`)).toEqual(["k0=18", "k1=19", "k2=17"]),
			);
			await writer.shared.set("k0", "after");
			await trial.eventually("it goes on", () => expect(told.at(-1)).toBe("set k0"));
		},
	),

	check(6, "a cursor behind the log, of another life or from nowhere is told a reset", async (trial) => {
		const manager = await trial.manager({ scopes: { shared: { changes: { count: 3 } } } });
		const first = await manager.shared.set("a", 0);
		for (let i = 0; i < 12; i++) await manager.shared.set("a", i);
		const resetFrom = async (from: number): Promise<void> => {
			const resets: string[][] = [];
			const told: string[] = [];
			const subscription = manager.shared.subscribe("**", ({ key }) => told.push(key), {
				from,
				onReset: (entries) => resets.push(entries.map(({ key, value }) => `${key}=${value}`)),
			});
			await subscription.ready;
			await trial.eventually(`a reset is told to cursor ${from}`, () => expect(resets).toHaveLength(1));
			expect(told, "changes beside the reset").toEqual([]);
			const entries: string[] = [];
			for await (const { key, value } of manager.shared.list()) entries.push(`${key}=${value}`);
			expect(resets[0], "the state that came with it").toEqual(entries);
			subscription.stop();
		};
		await resetFrom(first);
		await resetFrom(first - 1);
		await resetFrom(first + 10_000_000_000);
		const last = await manager.shared.set("a", "last");
		await manager.shared.drop();
		await resetFrom(last);
		await manager.shared.set("b", 1);
		await resetFrom(last);
	}),

	check(6, "a dropped scope is told as one reset to empty", async (trial) => {
		const [writer, watcher] = [await trial.manager(), await trial.manager()];
		await writer.shared.commit((tx) => {
			tx.set("a", 1);
			tx.set("b", 1);
		});
		const resets: (readonly unknown[])[] = [];
		await watcher.shared.subscribe("**", () => {}, { onReset: (entries) => resets.push(entries) }).ready;
		const mirror = watcher.shared.mirror();
		await mirror.ready;
		await writer.shared.drop();
		await trial.eventually("the reset is told", () => expect(resets).toEqual([[]]));
		await trial.eventually("the mirror is empty", () => expect(mirror.size).toBe(0));
		await writer.shared.set("c", 1);
		await trial.eventually("the mirror shows the next life", () =>
			expect(mirror.list().map(({ key }) => key)).toEqual(["c"]),
		);
	}),

	...(["forget", "save", "restart"] as const).map((ability) =>
		check(
			6,
			{
				forget: "of a store that lost everything, watchers are told a reset",
				save: "of a store that came back older and went on, watchers are told a reset, never other data as if nothing was",
				restart: "of a store that was restarted, watchers miss nothing",
			}[ability],
			async (trial) => {
				const [writer, watcher] = [await trial.manager(), await trial.manager()];
				await writer.shared.set("kept", 1);
				const fold = new Fold();
				const resets: string[][] = [];
				await watcher.shared.subscribe("**", fold.hear, {
					onReset: (entries) => resets.push(entries.map(({ key, value }) => `${key}=${value}`)),
				}).ready;
				const mirror = watcher.shared.mirror();
				await mirror.ready;
				const restore = ability === "save" ? await trial.harness.save?.() : undefined;
				await writer.shared.set("kept", 2);
				await writer.shared.set("lost", 1);
				await trial.eventually("the writes are heard", () => expect(fold.changes).toHaveLength(2));
				if (ability === "save") await restore?.();
				else await trial.harness[ability]?.();
				await writer.shared.set("new", 1);
				await trial.advance(10_000);
				const expected = {
					forget: ["new=1"],
					save: ["kept=1", "new=1"],
					restart: ["kept=2", "lost=1", "new=1"],
				}[ability];
				await trial.eventually("the mirror shows what is there", () =>
					expect(mirror.list().map(({ key, value }) => `${key}=${value}`)).toEqual(expected),
				);
				if (ability === "restart") {
					expect(resets, "resets without a reason").toEqual([]);
					expect(fold.changes.map(({ key }) => key)).toEqual(["kept", "lost", "new"]);
				} else {
					// By the time of the reset, what was written after the loss may be there or not.
					expect(resets.length, "resets").toBeGreaterThanOrEqual(1);
					const told = [
						...(resets.at(-1) ?? []),
						...fold.changes.slice(2).map(({ key, value }) => `${key}=${value}`),
					];
					expect([...new Set(told)].sort(), "the state as it was told").toEqual(expected);
				}
			},
			ability,
			...(ability === "restart" ? (["reconnects"] as const) : (["advance"] as const)),
		),
	),

	check(6, "what broke the connection is mended: who was blind catches up", async (trial) => {
		const { manager: watcher, chaos: shaking } = await shaken(trial, {});
		const writer = await trial.manager();
		const fold = new Fold();
		await watcher.shared.subscribe("**", fold.hear).ready;
		const mirror = watcher.shared.mirror();
		await mirror.ready;
		shaking.faults.dropSignals = 1;
		shaking.faults.unavailable = true;
		shaking.signal("lost");
		await trial.eventually("the mirror says that it may be behind", () => expect(mirror.stale).toBe(true));
		await write(writer, 5, 10);
		const last = await writer.shared.set("last", true);
		shaking.heal();
		shaking.signal("wake");
		await trial.advance(10_000);
		await trial.eventually("the last change is heard", () => expect(fold.state.get("last")).toBe(true));
		await trial.within("the mirror", mirror.at(last));
		expect(mirror.stale, "whether the mirror still may be behind").toBe(false);
		expect(fold.sorted).toEqual(await entriesOf(writer));
	}),
];
