/** Promise 7, when a lease is lost: its holder learns it in time, and its token fails. */
import { expect } from "vitest";
import type { Lease } from "../lock.js";
import type { StateManager } from "../manager.js";
import { chaos } from "./chaos.js";
import { type Check, check } from "./check.js";
import { managers, taken } from "./fenced.js";
import { pick, seeded } from "./random.js";

const reasonOf = (lease: Lease): string | undefined =>
	(lease.signal.reason as { readonly reason?: string } | undefined)?.reason;

export const losingLeases: readonly Check[] = [
	check(
		7,
		"a lease is renewed as long as its process runs, under the same token",
		async (trial) => {
			const [holder, other] = await managers(trial);
			const lease = await taken(holder);
			await trial.advance(240_000);
			expect(lease.signal.aborted, "whether it was lost").toBe(false);
			expect(lease.remaining, "how long it still lives").toBeGreaterThan(20_000);
			expect((await other.shared.tryLock("job")).acquired, "whether another got it").toBe(false);
			await holder.shared.set("a", 1, { fence: lease });
			await lease.release();
			expect(reasonOf(lease), "why it ended").toBe("released");
			const next = await taken(other);
			expect(next.token).toBeGreaterThan(lease.token);
			await expect(holder.shared.set("a", 2, { fence: lease })).rejects.toMatchObject({ code: "lease-lost" });
		},
		"advance",
	),

	check(
		7,
		"an event loop that stalled past the lease has lost it, and knows before it does anything",
		async (trial) => {
			const [holder, other] = await managers(trial);
			const lease = await taken(holder);
			const { signal } = lease;
			await trial.harness.advance?.(62_000);
			trial.clock.jump(62_000);
			expect(lease.remaining, "how long it lives").toBe(0);
			expect(signal.aborted, "whether its holder is told").toBe(true);
			expect(reasonOf(lease)).toBe("expired");
			expect(() => lease.check()).toThrow(expect.objectContaining({ code: "lease-lost", reason: "expired" }));
			const next = await taken(other);
			expect(next.token).toBeGreaterThan(lease.token);
			await expect(holder.shared.set("a", 1, { fence: lease })).rejects.toMatchObject({ code: "lease-lost" });
			expect(await other.shared.get("a")).toBeUndefined();
		},
		"advance",
	),

	check(
		7,
		"a holder that was paused has a stale token, which the store refuses whatever the holder believes",
		async (trial) => {
			const [holder, other] = await managers(trial);
			const lease = await taken(holder);
			await holder.shared.set("a", "mine", { fence: lease });
			// Only the store's time moves on: the paused holder believes that it has a minute left.
			await trial.harness.advance?.(64_000);
			const next = await taken(other);
			await other.shared.set("a", "theirs", { fence: next });
			expect(lease.remaining, "what the paused holder believes").toBeGreaterThan(0);
			await expect(holder.shared.set("a", "stale", { fence: lease })).rejects.toMatchObject({
				code: "lease-lost",
			});
			await expect(
				holder.shared.commit((tx) => tx.set("a", "stale"), { fence: lease }),
			).rejects.toMatchObject({ code: "lease-lost" });
			expect(await other.shared.get("a")).toBe("theirs");
			await other.shared.set("a", "theirs still", { fence: next });
			expect(next.signal.aborted, "whether the new holder lost it").toBe(false);
		},
		"advance",
	),

	check(
		7,
		"a holder whose lock was taken learns it at its next renewal",
		async (trial) => {
			const [holder, other] = await managers(trial);
			const lease = await taken(holder);
			const ended = new Promise((resolve) => lease.signal.addEventListener("abort", resolve));
			await trial.harness.advance?.(64_000);
			await taken(other, 240_000);
			await trial.advance(24_000);
			await trial.within("the signal of the lost lease", ended);
			expect(reasonOf(lease)).toBe("taken");
		},
		"advance",
	),

	check(
		7,
		"a holder that can't reach the store gives up before the store does",
		async (trial) => {
			const { backend, faults, heal } = chaos(await trial.backend());
			const holder = await trial.manager({ backend });
			const other = await trial.manager();
			const lease = await taken(holder);
			faults.unavailable = true;
			await trial.advance(60_000);
			expect(lease.signal.aborted).toBe(true);
			expect(reasonOf(lease)).toBe("unreachable");
			await trial.advance(200);
			const next = await taken(other);
			expect(next.token).toBeGreaterThan(lease.token);
			heal();
			await expect(holder.shared.set("a", 1, { fence: lease })).rejects.toMatchObject({ code: "lease-lost" });
		},
		"advance",
	),

	check(
		7,
		"a store that hangs ends a lease in time, too, and a short outage does not",
		async (trial) => {
			const { backend, faults, heal } = chaos(await trial.backend());
			const holder = await trial.manager({ backend });
			const lease = await taken(holder);
			faults.unavailable = true;
			// One renewal falls into it; what a loaded machine takes besides must not end the lease.
			await trial.advance(24_000);
			heal();
			await trial.advance(40_000);
			expect(lease.signal.aborted, "after an outage of 24 s").toBe(false);
			faults.hang = true;
			await trial.advance(60_000);
			expect(reasonOf(lease), "after the store hung for a minute").toBe("unreachable");
		},
		"advance",
	),

	check(
		7,
		"tokens grow though the store lost everything, and the lease of before is lost",
		async (trial) => {
			const [holder, other] = await managers(trial);
			const lease = await taken(holder);
			await trial.harness.forget?.();
			await trial.advance(1000);
			await expect(holder.shared.set("a", 1, { fence: lease })).rejects.toMatchObject({ code: "lease-lost" });
			const next = await taken(other);
			expect(next.token).toBeGreaterThan(lease.token);
			await trial.advance(24_000);
			expect(lease.signal.aborted, "whether the old holder learns it").toBe(true);
			expect(next.signal.aborted, "whether the new one keeps it").toBe(false);
		},
		"forget",
		"advance",
	),

	check(
		7,
		"tokens grow across a restart and a drop, and a live lease survives the restart",
		async (trial) => {
			const manager = await trial.manager();
			const lease = await taken(manager);
			await trial.harness.restart?.();
			const other = await trial.manager();
			expect((await other.shared.tryLock("job")).acquired, "whether another got it").toBe(false);
			await lease.release();
			expect(trial.errors, "what went wrong when it was let go").toEqual([]);
			const next = await taken(other);
			expect(next.token).toBeGreaterThan(lease.token);
			await other.shared.drop();
			// Steps put revisions some milliseconds ahead of the clock, which the next life begins with.
			await trial.advance(1000);
			expect((await taken(manager)).token).toBeGreaterThan(next.token);
		},
		"restart",
		"reconnects",
		"advance",
	),

	check(
		7,
		"in a random history of holders that pause, at most one lease lives at a time, and no write is stale",
		async (trial) => {
			const all = await Promise.all(Array.from({ length: 3 }, () => trial.manager()));
			const clock = await trial.client();
			const random = seeded(42);
			const leases: { readonly lease: Lease; readonly by: number; readonly granted: number }[] = [];
			let highest = 0;
			let written = 0;
			for (let i = 0; i < 60; i++) {
				const by = Math.floor(random() * all.length);
				const manager = all[by] as StateManager;
				const act = random();
				if (act < 0.4) {
					const attempt = await manager.shared.tryLock("job", { ttl: 3000 });
					if (attempt.acquired) {
						expect(attempt.lease.token, "the token of a new lease").toBeGreaterThan(highest);
						highest = attempt.lease.token;
						const { now } = await clock.read();
						leases.push({ lease: attempt.lease, by, granted: now });
					}
				} else if (act < 0.7) {
					// The store's time alone: to it, everybody was paused.
					await trial.harness.advance?.(Math.floor(random() * 2500));
				} else if (act < 0.8) await leases.at(-1)?.lease.release();
				else {
					const old = random() < 0.6 ? leases.at(-1) : leases[Math.floor(random() * leases.length)];
					if (old === undefined) continue;
					const done = await all[old.by]?.shared.set("a", old.lease.token, { fence: old.lease }).then(
						() => true,
						() => false,
					);
					if (done !== true) continue;
					written++;
					expect(old.lease.token, "the token of a write that was accepted").toBe(highest);
				}
			}
			expect(leases.length, "leases granted").toBeGreaterThan(5);
			expect(written, "writes accepted").toBeGreaterThan(0);
		},
		"advance",
	),

	check(
		7,
		"however holders stall and are cut off, no two believe at the same time that they hold a lock",
		async (trial) => {
			const random = seeded(7);
			const all = await Promise.all(
				Array.from({ length: 3 }, async () => {
					const { backend, faults, heal } = chaos(await trial.backend());
					return { manager: await trial.manager({ backend }), faults, heal };
				}),
			);
			const leases: Lease[] = [];
			let granted = 0;
			for (let i = 0; i < 150; i++) {
				const { manager, faults, heal } = pick(random, all);
				const act = random();
				if (act < 0.35) {
					const attempt = manager.shared.tryLock("job", { ttl: 20_000 + random() * 40_000, timeout: 10_000 });
					const waiting = attempt.then(
						(answer) => {
							if (!answer.acquired) return;
							granted++;
							leases.push(answer.lease);
						},
						() => {},
					);
					if (random() < 0.7) await Promise.race([waiting, trial.settle()]);
				} else if (act < 0.5) await trial.advance(Math.floor(random() * 25_000));
				else if (act < 0.65) {
					// A stall of everybody: timers come late, all at once.
					const ms = Math.floor(random() * 50_000);
					await trial.harness.advance?.(ms);
					trial.clock.jump(ms);
				} else if (act < 0.72) faults.unavailable = true;
				else if (act < 0.78) faults.hang = true;
				else if (act < 0.92) heal();
				else await Promise.race([leases.at(-1)?.release(), trial.settle()]);
				expect(
					leases.filter(({ remaining }) => remaining > 0).map(({ token }) => token),
					"tokens of leases that their holders take for live",
				).toSatisfy((tokens: readonly number[]) => tokens.length <= 1);
			}
			expect(granted, "leases granted").toBeGreaterThan(2);
			const tokens = leases.map(({ token }) => token);
			expect(new Set(tokens).size, "no token twice").toBe(tokens.length);
		},
		"advance",
	),
];
