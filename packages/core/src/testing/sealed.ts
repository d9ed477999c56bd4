/** A seal keeps promise 2 while a scope moves: nothing that is acknowledged stays behind. */
import { expect } from "vitest";
import { type Check, check } from "./check.js";
import { add, Client, emit, isFailure, put, remove, seal, touch } from "./client.js";

export const sealed: readonly Check[] = [
	check(
		2,
		"a sealed scope refuses every commit, Touch included, with the seal's note, until it is unsealed",
		async (trial) => {
			const client = await trial.client();
			await client.apply(put("a", 1, 600_000), put("n", 1));
			const note = { to: "redis://elsewhere", by: ["ada", 1, null] };
			await client.apply(seal(note));
			const { head } = await client.read();
			const before = await client.entry("a");
			const drafts = [
				[put("b", 1)],
				[remove("a")],
				[touch("a", 900_000)],
				[touch(null, 900_000)],
				[add("n", 1)],
				[emit("e", 1)],
				{ if: [{ key: "a", revision: 1 }], do: [put("a", 2)] },
			];
			for (const draft of drafts) expect(await client.refuse(draft)).toMatchObject({ why: "sealed", note });
			expect(await client.read("a", "n"), "what a sealed scope can be read for").toMatchObject({
				head,
				next: null,
			});
			expect((await client.entry("a"))?.expiresAt).toBe(before?.expiresAt);
			expect(await client.list()).toHaveLength(2);
			await client.apply(seal(null));
			await client.apply(put("b", 1));
			expect(await client.list()).toHaveLength(3);
		},
	),

	check(
		2,
		"nothing is swept from a sealed scope, nor does it end",
		async (trial) => {
			const client = await trial.client();
			const { revision } = await client.apply(touch(null, 60_000), put("a", 1, 30_000), put("b", 1));
			await client.apply(seal("moved"));
			await trial.advance(90_000);
			expect(await client.sweep(), "a sweep").toMatchObject({ head: revision, next: null });
			expect(
				(await client.list()).map(({ key }) => key),
				"what is listed",
			).toEqual(["b"]);
			expect(await client.refuse([put("c", 1)])).toMatchObject({ why: "sealed", note: "moved" });
			const { scopes } = await client.backend.scopes({
				prefix: client.scope,
				after: null,
				limit: 9,
				due: true,
			});
			expect(scopes, "scopes that are due").toEqual([]);
		},
		"advance",
	),

	check(2, "a scope can be sealed before it holds anything, and a drop ends its seal", async (trial) => {
		const client = await trial.client();
		await client.apply(seal("moved"));
		expect(await client.refuse([put("a", 1)])).toMatchObject({ why: "sealed", note: "moved" });
		await client.backend.drop(client.scope);
		await client.apply(put("a", 1));
		expect(await client.text("a")).toBe("1");
	}),

	check(
		2,
		"a batch that was applied before the seal is answered as it was",
		async (trial) => {
			const client = await trial.client();
			const batch = await client.batch([[put("a", 1)]]);
			const answer = await client.deliver(batch);
			const mover = new Client(client.backend, client.scope);
			await mover.apply(seal("moved"));
			expect(await client.deliver(batch), "the answer to the same batch").toEqual(answer);
		},
		"losesAnswers",
	),

	check(2, "a scope that moves while it is written to leaves no acknowledged write behind", async (trial) => {
		const source = await trial.client("conformance/room/source");
		const target = await trial.client("conformance/room/target");
		const writers = await Promise.all(Array.from({ length: 4 }, () => trial.client(source.scope)));
		const acknowledged: string[] = [];
		const writing = writers.map(async (writer, i) => {
			let to = writer;
			// Until it has moved, however long that takes, and some more.
			for (let j = 0, left = 10; left > 0; j++) {
				const key = `${i}/${j}`;
				const [outcome] = await to.commit([put(key, 1)]);
				if (outcome?.ok === false) {
					expect(outcome).toMatchObject({ why: "sealed", note: target.scope });
					to = new Client(writer.backend, target.scope);
					await to.apply(put(key, 1));
				}
				if (to !== writer) left--;
				acknowledged.push(key);
				await new Promise((resolve) => setTimeout(resolve, 0));
			}
		});
		await trial.eventually("some writes are there", () => expect(acknowledged.length).toBeGreaterThan(20));
		await source.apply(seal(target.scope));
		const { head } = await source.read();
		const moved = await source.list();
		target.floor = head;
		const copy = await target.batch(
			moved.map(({ key, value }) => ({ if: [{ key, revision: 0 }], do: [put(key, value.text)] })),
		);
		const answer = await target.deliver(copy);
		expect(isFailure(answer)).toBe(false);
		await Promise.all(writing);
		const there = new Set((await target.list()).map(({ key }) => key));
		expect(
			acknowledged.filter((key) => !there.has(key)),
			"acknowledged writes that were left behind",
		).toEqual([]);
		expect(there.size).toBe(acknowledged.length);
		expect(moved.length, "writes before the move").toBeGreaterThan(20);
	}),

	check(11, "a manager is told that a scope is sealed, and where it went", async (trial) => {
		const manager = await trial.manager();
		await manager.user("ada").set("a", 1);
		const client = await trial.client("conformance/user/ada");
		await client.apply(seal({ to: "elsewhere" }));
		const ada = manager.user("ada");
		const sealedError = { code: "sealed", scope: "user/ada", note: { to: "elsewhere" } };
		await expect(ada.set("a", 2)).rejects.toMatchObject(sealedError);
		await expect(ada.increment("a")).rejects.toMatchObject(sealedError);
		await expect(ada.touch("a", 1000)).rejects.toMatchObject(sealedError);
		await expect(ada.commit((tx) => tx.delete("a"))).rejects.toMatchObject(sealedError);
		await expect(ada.tryLock("job")).rejects.toMatchObject(sealedError);
		expect(await ada.get("a")).toBe(1);
	}),
];
