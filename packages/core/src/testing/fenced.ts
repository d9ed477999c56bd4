/** Promise 7: at most one live lease, tokens that only grow, and a stale token that fails. */
import { expect } from "vitest";
import type { Lease } from "../lock.js";
import type { StateManager } from "../manager.js";
import { type Check, check } from "./check.js";
import { put, remove, touch } from "./client.js";
import type { Trial } from "./trial.js";

const lockKey = "!/lock/job";

/** Two managers, as of two processes. */
export const managers = async (trial: Trial): Promise<readonly [StateManager, StateManager]> => [
	await trial.manager(),
	await trial.manager(),
];

/** Takes the lock, which must be free; for longer than any machine stalls, since leases run on real time too. */
export const taken = async (manager: StateManager, ttl = 60_000): Promise<Lease> => {
	const attempt = await manager.shared.tryLock("job", { ttl });
	if (!attempt.acquired) throw new Error(`the lock is not free: ${JSON.stringify(attempt)}`);
	return attempt.lease;
};

export const fenced: readonly Check[] = [
	check(
		7,
		"a lock is a put on absence; its token is the put's revision and outlives renewals",
		async (trial) => {
			const client = await trial.client();
			const free = { key: lockKey, revision: 0 };
			const { revision: token } = await client.applyIf([free], put(lockKey, "one", 15_000));
			const held = await client.refuse({ if: [free], do: [put(lockKey, "two", 15_000)] });
			expect(held.entry, "the holder, in a refusal").toMatchObject({ key: lockKey, revision: token });
			const mine = { key: lockKey, revision: token };
			await client.applyIf([mine], touch(lockKey, 60_000));
			expect((await client.entry(lockKey))?.revision, "the token after a renewal").toBe(token);
			await client.applyIf([mine], put("guarded", 1));
			await client.applyIf([mine], remove(lockKey));
			const { revision: next } = await client.applyIf([free], put(lockKey, "two", 15_000));
			expect(next, "the next token").toBeGreaterThan(token);
			await client.refuse({ if: [mine], do: [put("guarded", 2)] });
			await client.refuse({ if: [mine], do: [touch(lockKey, 60_000)] });
			expect(await client.text("guarded")).toBe("1");
		},
	),

	check(
		7,
		"of many that want a lock at once, one has it, and the others are told who and for how long",
		async (trial) => {
			const all = await Promise.all(Array.from({ length: 6 }, () => trial.manager()));
			const attempts = await Promise.all(all.map(({ shared }) => shared.tryLock("job", { ttl: "30s" })));
			expect(attempts.filter(({ acquired }) => acquired)).toHaveLength(1);
			const holders = new Set<string>();
			for (const attempt of attempts) {
				if (attempt.acquired) continue;
				holders.add(attempt.holder);
				expect(attempt.expiresIn).toBeGreaterThan(0);
				expect(attempt.expiresIn).toBeLessThanOrEqual(31_000);
			}
			expect(holders.size, "how many holders they name").toBe(1);
		},
	),

	check(
		7,
		"those who wait get it one after another, each with a higher token, and nobody overlaps",
		async (trial) => {
			const all = await Promise.all(Array.from({ length: 4 }, () => trial.manager()));
			const tokens: number[] = [];
			let inside = 0;
			await Promise.all(
				all.flatMap(({ shared }) =>
					Array.from({ length: 3 }, () =>
						shared.lock("job", { wait: "10m", ttl: "10m" }, async (lease) => {
							expect(++inside, "how many are inside").toBe(1);
							tokens.push(lease.token);
							const n: number = (await shared.get("n")) ?? 0;
							await new Promise((resolve) => setTimeout(resolve, 0));
							await shared.set("n", n + 1, { fence: lease });
							inside--;
						}),
					),
				),
			);
			expect(await all[0]?.shared.get("n"), "what twelve that held the lock counted").toBe(12);
			expect(tokens).toEqual([...tokens].sort((a, b) => a - b));
			expect(new Set(tokens).size).toBe(12);
		},
	),

	check(7, "asking again for a lock that one holds is refused in time, never a deadlock", async (trial) => {
		const manager = await trial.manager();
		await manager.shared.lock("job", async () => {
			await expect(manager.shared.lock("job", { wait: 50 })).rejects.toMatchObject({
				code: "lock-held",
				holder: expect.any(String),
				expiresIn: expect.any(Number),
			});
		});
		const again = await manager.shared.lock("job", { wait: 50 });
		await again.release();
	}),

	check(
		7,
		"who waits gets a lock when it runs out, sweeper or none",
		async (trial) => {
			const client = await trial.client("conformance/shared");
			await client.apply(put(lockKey, { holder: "a process that died" }, 5000));
			const manager = await trial.manager();
			const waiting = manager.shared.lock("job", { wait: "10m" });
			waiting.catch(() => {});
			await trial.advance(5200);
			const lease = await trial.within("the lock of a dead holder", waiting);
			expect(lease.token).toBeGreaterThan(0);
		},
		"advance",
	),

	check(
		7,
		"who waits is told when the lock is let go, though other keys change all the time",
		async (trial) => {
			const [holder, other] = await managers(trial);
			const lease = await taken(holder);
			const waiting = other.shared.lock("job", { wait: "10m" });
			waiting.catch(() => {});
			for (let i = 0; i < 10; i++) await holder.shared.set("noise", i);
			await lease.release();
			expect((await trial.within("the lock that was let go", waiting)).token).toBeGreaterThan(lease.token);
		},
	),

	check(
		7,
		"a lock that is held keeps its session's scope open until it ends",
		async (trial) => {
			const client = await trial.client();
			await client.apply(touch(null, 60_000), put("a", 1));
			const { revision: token } = await client.apply(put(lockKey, "holder", 90_000));
			await trial.advance(70_000);
			expect((await client.entry(lockKey))?.revision, "the lock, past its scope's deadline").toBe(token);
			expect(await client.text("a"), "what the scope holds").toBe("1");
			await client.refuse({ if: [{ key: lockKey, revision: 0 }], do: [put(lockKey, "second", 1000)] });
			await trial.advance(25_000);
			expect(await client.read("a", lockKey), "once the lock has ended").toMatchObject({
				head: 0,
				entries: [null, null],
			});
			const { revision: next } = await client.applyIf(
				[{ key: lockKey, revision: 0 }],
				put(lockKey, "second", 1000),
			);
			expect(next).toBeGreaterThan(token);
		},
		"advance",
	),

	check(
		7,
		"a session in which a lock is held does not end before the lock does",
		async (trial) => {
			const [holder, other] = await managers(trial);
			const session = holder.session("s", { ttl: "1m" });
			await session.set("a", 1);
			const lease = await session.lock("job", { ttl: "30s" });
			// Renewals go on, and nobody uses the session otherwise.
			await trial.advance(100_000);
			expect(lease.signal.aborted, "whether the lease was lost").toBe(false);
			expect((await other.session("s").tryLock("job")).acquired, "whether another got it").toBe(false);
			await session.set("a", 2, { fence: lease });
			await lease.release();
			await trial.advance(100_000);
			expect(await other.session("s").count(), "what is left of the session").toBe(0);
		},
		"advance",
	),
];
