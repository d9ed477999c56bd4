/** Promise 12: close flushes what was accepted, lets go of everything, and settles whatever the store does. */
import { expect } from "vitest";
import { chaos } from "./chaos.js";
import { type Check, check } from "./check.js";
import { put } from "./client.js";

export const ending: readonly Check[] = [
	check(12, "a store's close settles, also a second time, and other handles go on", async (trial) => {
		const [one, other] = [await trial.client(), await trial.client()];
		await one.apply(put("a", 1));
		await one.watch();
		await trial.within("the close of a handle", one.backend.close({ timeout: 1000 }));
		await trial.within("a second close of it", one.backend.close({ timeout: 1000 }));
		expect(await other.text("a")).toBe("1");
		await other.apply(put("a", 2));
		await trial.within("the close of an unused handle", (await trial.backend()).close());
	}),

	check(12, "close writes what was accepted before it", async (trial) => {
		const manager = await trial.manager();
		const writes = Array.from({ length: 50 }, (_, i) => manager.user(`u${i % 5}`).set(`k${i}`, i));
		const { unflushed } = await trial.within("the close", manager.close({ timeout: trial.timeout }));
		expect(unflushed).toEqual([]);
		await trial.within("the writes", Promise.all(writes));
		const other = await trial.manager();
		let count = 0;
		for (let i = 0; i < 5; i++) count += await other.user(`u${i}`).count();
		expect(count, "what was written").toBe(50);
	}),

	check(12, "close releases leases and leaves no timer behind", async (trial) => {
		const [manager, other] = [await trial.manager(), await trial.manager()];
		const lease = await manager.shared.lock("job");
		const { signal } = lease;
		await manager.shared.subscribe("**", () => {}, { throttle: 60_000 }).ready;
		await manager.shared.mirror().ready;
		await manager.shared.events.on("*", () => {}).ready;
		await manager.session("s", { ttl: "1h" }).set("a", 1, { ttl: "1m" });
		await trial.within("the close", manager.close({ timeout: trial.timeout }));
		expect(signal.reason).toMatchObject({ code: "lease-lost", reason: "released" });
		expect(await other.shared.tryLock("job"), "the lock, for another").toMatchObject({ acquired: true });
		await trial.within("the other's close", other.close());
		await trial.eventually("no timer waits", () => expect(trial.clock.waiting).toBe(0));
	}),

	check(12, "after close every call is refused as closed, and what was open has ended", async (trial) => {
		const manager = await trial.manager();
		const { shared } = manager;
		await shared.set("a", 1);
		const heard: unknown[] = [];
		await shared.subscribe("**", (change) => heard.push(change)).ready;
		const held = await shared.lock("job");
		const mirror = shared.mirror();
		await mirror.ready;
		const changes = shared.changes()[Symbol.asyncIterator]();
		const next = changes.next().then(
			({ done }) => done,
			(error: { code?: string }) => error.code,
		);
		const waiting = shared.lock("job").catch((error: { code?: string }) => error.code);
		await trial.within("the close", manager.close());
		await trial.within("a second close", manager.close());
		expect(await trial.within("the end of changes()", next)).toBeOneOf([true, "closed"]);
		expect(await trial.within("who waited for a lock", waiting)).toBe("closed");
		expect(held.remaining, "what is left of a lease").toBe(0);
		await (await trial.manager()).shared.set("a", 2);
		expect(mirror.get("a"), "what a mirror shows").toBe(1);
		expect(heard).toEqual([]);
		const calls: Record<string, () => unknown> = {
			get: () => shared.get("a"),
			set: () => shared.set("a", 3),
			update: () => shared.update("a", () => 3),
			delete: () => shared.delete("a"),
			increment: () => shared.increment("n"),
			touch: () => shared.touch("a", 1000),
			commit: () => shared.commit((tx) => tx.set("a", 3)),
			count: () => shared.count(),
			list: () => shared.list()[Symbol.asyncIterator]().next(),
			emit: () => shared.events.emit("happened", 1),
			lock: () => shared.lock("other"),
			tryLock: () => shared.tryLock("other"),
			subscribe: () => shared.subscribe("**", () => {}).ready,
			mirror: () => shared.mirror().ready,
			changes: () => shared.changes()[Symbol.asyncIterator]().next(),
			drop: () => shared.drop(),
			ready: () => manager.ready(),
		};
		for (const [name, call] of Object.entries(calls)) {
			const outcome = (async () => call())().then(
				() => "answered",
				(error: { code?: string }) => error.code,
			);
			expect(await trial.within(`${name} after close`, outcome), `${name} after close`).toBe("closed");
		}
		expect(manager.health.status).toBe("closed");
	}),

	...(["hang", "unavailable"] as const).map((fault) =>
		check(
			12,
			`close settles in time when the store ${fault === "hang" ? "hangs" : "is out of reach"}, and names what was not flushed`,
			async (trial) => {
				const { backend, faults } = chaos(await trial.backend());
				const manager = await trial.manager({ backend });
				await manager.shared.set("a", 0);
				await manager.user("ada").set("a", 0);
				const lease = await manager.shared.lock("job");
				faults[fault] = true;
				const writes = [
					manager.shared.set("a", 1),
					manager.shared.set("b", 1),
					manager.user("ada").set("a", 1),
				];
				const codes = writes.map((write) =>
					write.then(
						() => "answered",
						(error: { code?: string }) => error.code,
					),
				);
				const close = manager.close({ timeout: 1000 });
				await trial.advance(1500);
				const { unflushed } = await trial.within("the close", close);
				for (const code of await trial.within("the writes", Promise.all(codes)))
					expect(code, "how a write ended").toBeOneOf(["timeout", "outcome-unknown", "unavailable"]);
				// What failed at once was told to its caller; what still waited is named.
				if (fault === "hang") {
					const scopes = new Map(unflushed.map(({ scope, commits }) => [scope, commits]));
					expect([...scopes.keys()].sort(), "the scopes that were not flushed").toEqual([
						"shared",
						"user/ada",
					]);
					expect(scopes.get("shared"), "commits that were not flushed").toBeGreaterThanOrEqual(2);
				}
				expect(lease.remaining, "what is left of a lease").toBe(0);
			},
		),
	),

	check(12, "managers share a backend, and closing one leaves it to the others", async (trial) => {
		const backend = await trial.backend();
		const [one, other] = [await trial.manager({ backend }), await trial.manager({ backend })];
		const heard: string[] = [];
		await other.shared.subscribe("**", ({ key }) => heard.push(key)).ready;
		await one.shared.set("a", 1);
		await trial.within("the close", one.close());
		await other.shared.set("b", 1);
		expect(await other.shared.getMany(["a", "b"])).toEqual([1, 1]);
		await trial.eventually("the other hears both", () => expect(heard).toEqual(["a", "b"]));
	}),
];
