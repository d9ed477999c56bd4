/** A server that has no memory left lets go of what is deleted, whoever wrote it, and of nothing else. */
import { Client, put, remove } from "@holdfast/core/testing";
import { afterEach, expect, test } from "vitest";
import { withStore } from "./with-store.js";

const { store, admin } = await withStore();

afterEach(async () => void (await admin.config("SET", "maxmemory", "0")));

test.each([1, 2])(
	"%i deletions by another than the last writer go through, puts are refused as full",
	async (count) => {
		const scope = `full/room/${count}`;
		const [ada, bob, eve] = [new Client(store, scope), new Client(store, scope), new Client(store, scope)];
		await ada.commit({ do: [put("a", 1), put("b", 1), put("c", 1)] });
		const last = await ada.batch([[put("d", 1)]]);
		const answer = await ada.send(last);
		const deletions = await bob.batch([[remove("a")], [remove("b")]].slice(0, count));
		const one = await eve.batch([[put("e", 1)]]);
		await admin.config("SET", "maxmemory", "1");
		expect(await eve.send(one)).toMatchObject({ outcomes: [{ ok: false, why: "full" }] });
		expect(await bob.send(deletions)).toMatchObject({
			outcomes: Array(count).fill({ ok: true, changes: 1 }),
		});
		expect((await bob.list()).map(({ key }) => key)).toEqual(["a", "b", "c", "d"].slice(count));
		// What the last writer was answered is still known.
		expect(await ada.send(last)).toEqual(answer);
	},
);
