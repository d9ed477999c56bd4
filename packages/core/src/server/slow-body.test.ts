import { describe, expect, test } from "vitest";
import { createStateManager } from "../manager.js";
import { memory } from "../memory.js";
import { TestClock } from "../testing/test-clock.js";
import { createStateHandler } from "./handler.js";

/** A request whose body never ends; `read` resolves once more of it is asked for than has come. */
function endless() {
	const read = Promise.withResolvers<void>();
	const cancelled = Promise.withResolvers<void>();
	let pieces = 0;
	const body = new ReadableStream<Uint8Array>(
		{
			pull(controller) {
				if (pieces++ === 0) controller.enqueue(new TextEncoder().encode("{"));
				else read.resolve();
				return pieces > 1 ? new Promise<void>(() => {}) : undefined;
			},
			cancel: () => cancelled.resolve(),
		},
		{ highWaterMark: 0 },
	);
	const headers = { "content-type": "application/json", authorization: "a" };
	const init = { method: "POST", headers, body, duplex: "half" };
	return { request: new Request("http://localhost/v1/read", init as RequestInit), read, cancelled };
}

describe("a request's body that does not come", () => {
	test.each([
		[30_000, {}],
		[500, { limits: { bodyWithin: 500 } }],
	])("within %d ms is answered as 408 and let go of", async (within, options) => {
		const clock = new TestClock({ still: true });
		await using manager = createStateManager({ backend: memory({ clock }), clock });
		await using handler = createStateHandler(manager, {
			authorize: () => ({ subject: "ada", can: () => "write" }),
			...options,
		});
		const { request, read, cancelled } = endless();
		const answer = handler(request);
		await read.promise;
		clock.jump(within);
		const response = await answer;
		expect(response.status).toBe(408);
		expect(await response.json()).toMatchObject({ error: { code: "timeout" } });
		await cancelled.promise;
	});

	test("for as long as is said, which must be a duration", async () => {
		await using manager = createStateManager({ backend: memory() });
		for (const bodyWithin of [0, Number.NaN, "5 s"])
			expect(() =>
				createStateHandler(manager, { authorize: () => null, limits: { bodyWithin: bodyWithin as number } }),
			).toThrow(expect.objectContaining({ code: "invalid-argument" }));
	});
});
