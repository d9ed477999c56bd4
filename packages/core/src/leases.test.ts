import { expect, vi } from "vitest";
import { test } from "./with-trial.js";

test("locks taken and let go of again and again share one timer, and each is renewed in time", async ({
	trial,
}) => {
	const { shared } = await trial.manager();
	await shared.set("a", 1);
	const after = vi.spyOn(trial.clock, "after");
	for (let i = 0; i < 100; i++) await shared.lock("job", { ttl: 3000 }, () => i);
	// A commit to a store that answers later has a time-out of its own, which is no timer of a lease.
	const background = after.mock.calls.filter(([, , isBackground]) => isBackground === true);
	expect(background.length).toBeLessThanOrEqual(2);
	const leases = await Promise.all(
		[3000, 5000, 4000, 60_000].map((ttl, i) => shared.lock(`job-${i}`, { ttl })),
	);
	await trial.advance(20_000);
	for (const { signal, remaining } of leases) {
		expect(signal.aborted).toBe(false);
		expect(remaining).toBeGreaterThan(1000);
	}
	await Promise.all(leases.map((lease) => lease.release()));
});
