import { describe, expect } from "vitest";
import type { Backend, Unwatch } from "./backend.js";
import { around } from "./testing/around.js";
import { test } from "./with-trial.js";

/** A store that counts who is attached to it. */
function counting(inner: Backend) {
	const counts = { attempts: 0, attached: 0 };
	const attach = (...watching: Parameters<Backend["watch"]>): Unwatch => {
		counts.attached++;
		const unwatch = inner.watch(...watching) as Unwatch;
		return () => {
			counts.attached--;
			unwatch();
		};
	};
	return { counts, attach };
}

describe("an attachment", () => {
	test("that comes too late is let go", async ({ trial }) => {
		const inner = await trial.backend();
		const { counts, attach } = counting(inner);
		const { promise: late, resolve: come } = Promise.withResolvers<void>();
		const backend = around(inner, {
			watch: (...watching) =>
				++counts.attempts === 1 ? late.then(() => attach(...watching)) : attach(...watching),
		});
		const { shared } = await trial.manager({ backend, timeout: 1000 });
		const subscription = shared.subscribe("**", () => {});
		subscription.ready.catch(() => {});
		await trial.advance(3000);
		expect(counts).toEqual({ attempts: 2, attached: 1 });
		come();
		await trial.settle();
		expect(counts).toEqual({ attempts: 2, attached: 1 });
		subscription.stop();
		expect(counts.attached).toBe(0);
	});

	test("that is followed by a failed read is let go", async ({ trial }) => {
		const inner = await trial.backend();
		const { counts, attach } = counting(inner);
		const backend = around(inner, {
			read: (asks) =>
				counts.attempts === 1
					? asks.map(() => ({ failed: "unavailable", message: "it is down" }))
					: inner.read(asks),
			watch: (...watching) => {
				counts.attempts++;
				return attach(...watching);
			},
		});
		const { shared } = await trial.manager({ backend });
		const subscription = shared.subscribe("**", () => {});
		subscription.ready.catch(() => {});
		await trial.advance(3000);
		expect(counts).toEqual({ attempts: 2, attached: 1 });
		subscription.stop();
		expect(counts.attached).toBe(0);
	});
});
