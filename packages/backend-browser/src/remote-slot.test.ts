import { expect, test } from "vitest";
import type { Page } from "./remote-page.js";
import { Slot } from "./remote-slot.js";

const page = (locks: LockManager | undefined): Page => ({
	hidden: false,
	connected: true,
	locks,
	channel: () => undefined,
	listen: () => () => {},
});

test("four of an origin have a stream; the fifth gets one once another lets go", async () => {
	const slots = Array.from({ length: 5 }, () => new Slot(page(navigator.locks), "http://one.example/state"));
	const [first, , , , fifth] = slots as [Slot, Slot, Slot, Slot, Slot];
	for (const slot of slots.slice(0, 4)) expect(await slot.take()).toBe(true);
	expect(await fifth.take()).toBe(false);
	expect(await first.take()).toBe(true);
	expect(await fifth.take()).toBe(false);
	const other = new Slot(page(navigator.locks), "http://other.example/state");
	expect(await other.take()).toBe(true);
	first.release();
	// A lock is let go of a moment later.
	await expect.poll(() => fifth.take(), { timeout: 30_000 }).toBe(true);
	expect(await first.take()).toBe(false);
	for (const slot of [...slots, other]) slot.release();
});

test("where there are no locks, as on a server, nobody counts", async () => {
	const slots = Array.from({ length: 20 }, () => new Slot(page(undefined), "http://one.example"));
	for (const slot of slots) expect(await slot.take()).toBe(true);
});
