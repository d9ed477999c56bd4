/** Promise 5, of whole scopes and of managers: sessions that end as one, and who hears of an expiry when. */
import { expect } from "vitest";
import { type Check, check } from "./check.js";
import { anyScope, Client, put, touch } from "./client.js";
import { told } from "./expiring.js";

const minute = 60_000;

export const lifetimes: readonly Check[] = [
	check(
		5,
		"a scope past its deadline is gone, whatever longer ttl its entries had; its next life begins at 0",
		async (trial) => {
			const client = await trial.client();
			const { revision } = await client.apply(touch(null, minute), put("a", 1), put("b", 1, 60 * minute));
			const { next } = await client.read();
			const ear = await client.watch();
			await trial.advance(minute - 20_000);
			await client.apply(touch(null, minute));
			expect((await client.read()).next, "the scope's deadline after a Touch").toBeGreaterThan(next ?? 0);
			await trial.advance(minute - 20_000);
			expect(await client.text("a"), "within the extended deadline").toBe("1");
			await trial.advance(minute);
			expect(await client.read("a", "b"), "past it").toMatchObject({
				head: 0,
				next: null,
				entries: [null, null],
			});
			expect(await client.list()).toEqual([]);
			expect(await client.log(), "its log").toMatchObject({ records: [], head: 0 });
			expect((await client.refuse([touch(null, minute)])).why, "a Touch of a scope that is gone").toBe(
				"absent",
			);
			const born = await client.apply(put("c", 1));
			expect(born.revision, "the first revision of the next life").toBeGreaterThan(revision);
			expect(await client.log()).toMatchObject({ records: [{ previous: 0 }], head: born.revision });
			expect((await client.list()).map(({ key }) => key)).toEqual(["c"]);
			await trial.eventually("watchers are signalled", () => expect(ear.signals).not.toEqual([]));
			await trial.advance(10 * minute);
			expect(await client.text("c"), "the next life has no deadline unless it is given one").toBe("1");
		},
		"advance",
	),

	check(
		5,
		"a scope that was made without a deadline gets none",
		async (trial) => {
			const client = await trial.client();
			await client.apply(put("a", 1));
			await client.apply(touch(null, minute));
			expect((await client.read()).next).toBeNull();
			await trial.advance(2 * minute);
			expect(await client.text("a")).toBe("1");
		},
		"advance",
	),

	check(
		5,
		"scopes with a deadline that has passed are listed as due",
		async (trial) => {
			const backend = await trial.backend();
			const soon = new Client(backend, `${anyScope}-soon`);
			const later = new Client(backend, `${anyScope}-later`);
			const never = new Client(backend, `${anyScope}-never`);
			const ends = new Client(backend, `${anyScope}-ends`);
			await soon.apply(put("a", 1, minute));
			await later.apply(put("a", 1, 10 * minute));
			await never.apply(put("a", 1));
			await ends.apply(touch(null, minute), put("a", 1));
			const due = async (): Promise<readonly string[]> =>
				(await backend.scopes({ prefix: anyScope, after: null, limit: 100, due: true })).scopes.map(
					({ scope }) => scope,
				);
			expect(await due(), "before any deadline").toEqual([]);
			await trial.advance(minute);
			expect(await due(), "after two deadlines").toEqual([ends.scope, soon.scope]);
			for (const client of [soon, ends]) await client.sweep();
			expect(await due(), "after a sweep").toEqual([]);
		},
		"advance",
	),

	check(
		5,
		"who subscribes hears of an expiry within a second",
		async (trial) => {
			const { shared } = await trial.manager();
			const heard: string[] = [];
			await shared.subscribe("**", ({ type, key }) => heard.push(`${type} ${key}`)).ready;
			const mirror = shared.mirror();
			await mirror.ready;
			await shared.set("a", 1, { ttl: "1m" });
			await shared.set("b", 1, { ttl: "2m" });
			await trial.eventually("the writes are heard", () => expect(heard).toEqual(["set a", "set b"]));
			await trial.advance(minute + 1000);
			await trial.eventually("the first expiry is heard", () => expect(heard.slice(2)).toEqual(["expire a"]));
			await trial.eventually("the mirror follows", () => expect(mirror.size).toBe(1));
			await trial.advance(minute);
			await trial.eventually("the second expiry is heard", () =>
				expect(heard.slice(2)).toEqual(["expire a", "expire b"]),
			);
		},
		"advance",
	),

	check(
		5,
		"what expires in a scope that nobody watches is swept within two minutes",
		async (trial) => {
			const manager = await trial.manager();
			await manager.user("gone").set("a", 1, { ttl: "1m" });
			await trial.advance(3 * minute + 1000);
			const scope = "conformance/user/gone";
			const client = await trial.client(scope);
			await trial.eventually("the log tells the expiry", async () =>
				expect(told((await client.log()).records)).toEqual(["set a", "expire a"]),
			);
		},
		"advance",
	),

	check(
		5,
		"a session that is used slides as one, and ends as one",
		async (trial) => {
			const manager = await trial.manager();
			const session = manager.session("s", { ttl: "3m" });
			await session.set("a", 1);
			await session.set("b", 1, { ttl: "5h" });
			for (let i = 0; i < 4; i++) {
				await trial.advance(2 * minute);
				expect(await session.get("a"), `after ${2 * (i + 1)} minutes of use`).toBe(1);
			}
			let resets = 0;
			const other = (await trial.manager()).session("s");
			await other.subscribe("**", () => {}, { onReset: () => resets++ }).ready;
			await trial.advance(3 * minute + 1000);
			await trial.eventually("who watches is told a reset", () => expect(resets).toBe(1));
			expect(await other.count(), "what is left after it ended").toBe(0);
			await session.set("a", 2);
			expect(await session.get("a"), "its next life").toBe(2);
			expect(await session.has("b")).toBe(false);
		},
		"advance",
	),

	check(
		5,
		"ttls come from the write, else the scope's kind, else the manager",
		async (trial) => {
			const manager = await trial.manager({ ttl: "4m", scopes: { user: { ttl: "2m" } } });
			await manager.shared.set("manager", 1);
			await manager.user("ada").set("kind", 1);
			await manager.user("ada").set("write", 1, { ttl: "1m" });
			await manager.user("ada").set("never", 1, { ttl: null });
			await trial.advance(minute);
			expect(await manager.user("ada").getMany(["write", "kind"])).toEqual([undefined, 1]);
			await trial.advance(minute);
			expect(await manager.user("ada").getMany(["kind", "never"])).toEqual([undefined, 1]);
			expect(await manager.shared.get("manager")).toBe(1);
			await trial.advance(2 * minute);
			expect(await manager.shared.get("manager")).toBeUndefined();
		},
		"advance",
	),

	check(
		5,
		"touch extends through a manager, increment keeps a deadline, and an absent key is not touched",
		async (trial) => {
			const { shared } = await trial.manager();
			await shared.set("a", 1, { ttl: "1m" });
			await shared.set("n", 1, { ttl: "1m" });
			expect(await shared.touch("a", "5m")).toBe(true);
			expect(await shared.touch("absent", "5m")).toBe(false);
			expect(await shared.increment("n")).toBe(2);
			await trial.advance(minute);
			expect(await shared.getMany(["a", "n"])).toEqual([1, undefined]);
		},
		"advance",
	),
];
