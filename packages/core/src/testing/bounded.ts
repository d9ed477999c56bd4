/** Promise 10: every queue, log and buffer has a bound, and one limit for key, value and commit holds on all stores. */
import { expect } from "vitest";
import { chaos } from "./chaos.js";
import { type Check, check } from "./check.js";
import { put } from "./client.js";

const mebibyte = 2 ** 20;

export const bounded: readonly Check[] = [
	check(10, "a key of 1,024 bytes is stored, one of 1,025 refused", async (trial) => {
		const { shared } = await trial.manager();
		for (const key of ["k".repeat(1024), "é".repeat(512), "{".repeat(1024), "a/".repeat(512)]) {
			await shared.set(key, key);
			expect(await shared.get(key), `the value under ${key.slice(0, 4)}…`).toBe(key);
			await expect(shared.set(`${key}k`, 1)).rejects.toMatchObject({ code: "too-large" });
			await expect(shared.get(`${key}k`)).rejects.toMatchObject({ code: "too-large" });
		}
		expect(await shared.count()).toBe(4);
	}),

	check(10, "so with a scope's id", async (trial) => {
		const manager = await trial.manager();
		for (const id of ["i".repeat(1024), "é".repeat(512), "}".repeat(1024)]) {
			await manager.user(id).set("id", id);
			expect(await manager.user(id).get("id")).toBe(id);
			expect(() => manager.user(`${id}i`)).toThrow(expect.objectContaining({ code: "too-large" }));
		}
	}),

	check(10, "a value of 1 MiB encoded is stored whole, one of a byte more refused", async (trial) => {
		const [writer, reader] = [await trial.manager(), await trial.manager()];
		// Two quotes around it.
		const most = "v".repeat(mebibyte - 2);
		await writer.shared.set("text", most);
		expect((await reader.shared.get("text")) === most, "whether it came back whole").toBe(true);
		const wide = "é".repeat(mebibyte / 2 - 1);
		await writer.shared.set("wide", wide);
		expect((await reader.shared.get("wide")) === wide, "whether it came back whole").toBe(true);
		const refused = [
			`${most}v`,
			`${wide}é`,
			"\0".repeat(Math.ceil(mebibyte / 6)),
			new Uint8Array(mebibyte * 0.75),
		];
		for (const value of refused) {
			await expect(writer.shared.set("more", value)).rejects.toMatchObject({
				code: "too-large",
				key: "more",
			});
			await expect(writer.shared.commit((tx) => tx.set("more", value))).rejects.toMatchObject({
				code: "too-large",
			});
			await expect(writer.shared.events.emit("more", value)).rejects.toMatchObject({ code: "too-large" });
		}
		expect(await reader.shared.count(), "what was written").toBe(2);
	}),

	check(10, "a commit of 1,000 mutations is made, one of 1,001 refused", async (trial) => {
		const { shared } = await trial.manager();
		const commit = (count: number, to: string): Promise<unknown> =>
			shared.commit((tx) => {
				for (let i = 0; i < count; i++) tx.set(`${to}/${i}`, i);
			});
		await commit(1000, "most");
		expect(await shared.count("most/*")).toBe(1000);
		await expect(commit(1001, "more")).rejects.toMatchObject({ code: "too-large" });
		expect(await shared.count("more/*")).toBe(0);
	}),

	check(10, "a commit of nearly 2 MiB is made, one of more refused", async (trial) => {
		const { shared } = await trial.manager();
		const commit = (bytes: number, to: string): Promise<unknown> =>
			shared.commit((tx) => {
				for (let i = 0; i < 4; i++) tx.set(`${to}/${i}`, "v".repeat(bytes / 4));
			});
		await commit(2 * mebibyte - 4096, "most");
		expect(await shared.count("most/*")).toBe(4);
		await expect(commit(2 * mebibyte + 4, "more")).rejects.toMatchObject({ code: "too-large" });
		expect(await shared.count("more/*")).toBe(0);
	}),

	check(10, "the store holds, lists and logs the greatest commit", async (trial) => {
		const client = await trial.client();
		const text = "v".repeat(mebibyte - 2);
		await client.apply(put("k".repeat(1024), text), put("z".repeat(1024), "v".repeat(mebibyte - 8000)));
		const entries = await client.list();
		expect(entries.map(({ value }) => value.text.length)).toEqual([mebibyte, mebibyte - 7998]);
		const { records } = await client.log();
		expect(records[0]?.changes.map(({ entry }) => entry?.value.text.length)).toEqual([
			mebibyte,
			mebibyte - 7998,
		]);
	}),

	check(10, "commits that wait for a slow store are bounded: the next is refused as busy", async (trial) => {
		const { backend, faults, heal } = chaos(await trial.backend());
		const manager = await trial.manager({ backend, limits: { queue: 5 } });
		await manager.shared.set("a", 0);
		faults.hang = ["commit"];
		const codes: unknown[] = [];
		for (let i = 0; i < 20; i++)
			manager.shared
				.set(`waiting/${i}`, i)
				.catch((error: { readonly code?: unknown }) => codes.push(error.code));
		// Five are in flight at most, five wait.
		await trial.eventually("those over the bound are refused", () =>
			expect(codes.length).toBeGreaterThanOrEqual(10),
		);
		expect(new Set(codes), "how they are refused").toEqual(new Set(["busy"]));
		heal();
	}),

	check(
		10,
		"a listener that is slow is told the latest of each key, or a reset, and nobody waits for it",
		async (trial) => {
			const [writer, watcher] = [await trial.manager(), await trial.manager()];
			const free = Promise.withResolvers<void>();
			const latest: string[] = [];
			const slow = async (line: string[], change: { key: string; value: unknown }): Promise<void> => {
				line.push(`${change.key}=${change.value}`);
				await free.promise;
			};
			await watcher.shared.subscribe("**", (change) => slow(latest, change), { queue: 10 }).ready;
			const reset: string[] = [];
			await watcher.shared.subscribe("**", (change) => slow(reset, change), {
				queue: 10,
				coalesce: "reset",
				onReset: (entries) =>
					reset.push(`reset ${entries.map(({ key, value }) => `${key}=${value}`).join(" ")}`),
			}).ready;
			const quick: string[] = [];
			await watcher.shared.subscribe("**", ({ key, value }) => quick.push(`${key}=${value}`)).ready;
			await writer.shared.set("k0", 0);
			// A store that only wakes hands over many records at once: the first must be under way before the others come.
			await trial.eventually("the first change is heard", () =>
				expect([latest.length, reset.length, quick.length]).toEqual([1, 1, 1]),
			);
			for (let i = 1; i < 60; i++) await writer.shared.set(`k${i % 3}`, i);
			await trial.eventually("a quick listener hears all", () => expect(quick).toHaveLength(60));
			expect([latest, reset], "what slow ones heard so far").toEqual([["k0=0"], ["k0=0"]]);
			free.resolve();
			await trial.eventually("the latest of each key", () =>
				expect([...latest].sort().slice(-3)).toEqual(["k0=57", "k1=58", "k2=59"]),
			);
			expect(latest.length, "how much a slow listener is told").toBeLessThanOrEqual(14);
			await trial.eventually("or a reset", () => expect(reset).toEqual(["k0=0", "reset k0=57 k1=58 k2=59"]));
			await writer.shared.set("after", 1);
			await trial.eventually("both go on", () =>
				expect([latest.at(-1), reset.at(-1)]).toEqual(["after=1", "after=1"]),
			);
		},
	),

	check(10, "a throttled listener is told the latest of each key, once a while", async (trial) => {
		const [writer, watcher] = [await trial.manager(), await trial.manager()];
		const heard: string[] = [];
		const options = { throttle: 60_000 };
		await watcher.shared.subscribe("**", ({ key, value }) => heard.push(`${key}=${value}`), options).ready;
		let changes = 0;
		await watcher.shared.subscribe("**", () => changes++).ready;
		for (let i = 0; i < 10; i++) await writer.shared.set(`k${i % 2}`, i);
		// Its while begins when the first change reaches the watcher, which no answer to the writer says.
		await trial.eventually("the watcher hears all", () => expect(changes).toBe(10));
		expect(heard, "before the while is over").toEqual([]);
		await trial.advance(60_000);
		await trial.eventually("the latest of each key", () =>
			expect([...heard].sort()).toEqual(["k0=8", "k1=9"]),
		);
	}),
];
