import { describe, expect } from "vitest";
import type { Backend } from "../backend.js";
import { memory } from "../memory.js";
import { around } from "../testing/around.js";
import { LineSplitter } from "../wire/event-stream.js";
import { linesType } from "../wire/messages.js";
import { type Page, test } from "./with-server.js";

const [slow, quick] = ["app/user/ada", "app/shared"];

/** A store in which one scope's answers wait until they are let go. */
function held(): { readonly backend: Backend; release(): void } {
	const { promise, resolve } = Promise.withResolvers<void>();
	const inner = memory();
	const after = async <T>(scope: string, answer: () => T): Promise<Awaited<T>> => {
		if (scope === slow) await promise;
		return await answer();
	};
	const backend = around(inner, {
		traits: { reach: "network", durable: false },
		read: (asks) => asks.map((ask) => after(ask.scope, () => inner.read([ask])[0] as never)),
		commit: (batches) => batches.map((batch) => after(batch.scope, () => inner.commit([batch])[0] as never)),
	});
	return { backend, release: resolve };
}

/** The lines of a response as they come. */
async function* linesOf(response: Response): AsyncGenerator<unknown> {
	const lines = new LineSplitter();
	const decoder = new TextDecoder();
	for await (const bytes of response.body as unknown as AsyncIterable<Uint8Array>)
		for (const line of lines.push(decoder.decode(bytes, { stream: true }))) yield JSON.parse(line);
}

const accept = { accept: `${linesType}, application/json` };
const put = { op: "put", key: "a", value: "1", ttl: null } as const;

const bodies = {
	read: () => JSON.stringify({ reads: [slow, quick, slow].map((s) => ({ s, keys: ["a"] })) }),
	commit: (ada: Page) => JSON.stringify({ batches: [slow, quick].map((s) => ada.batch(s as string, [put])) }),
};

describe.each(["read", "commit"] as const)("answers to a %s of several scopes", (route) => {
	test("come as each is there where that is asked for", async ({ serve }) => {
		const { backend, release } = held();
		const { page } = await serve({ manager: { backend } });
		const ada = page("ada");
		const response = await ada.send(route, bodies[route](ada), accept);
		expect(response.headers.get("content-type")).toBe(linesType);
		expect(response.headers.get("cache-control")).toContain("no-store");
		const lines = linesOf(response);
		expect((await lines.next()).value).toMatchObject({ user: "ada" });
		// The other is still held: what was asked with it does not wait.
		expect((await lines.next()).value).toMatchObject([1, { now: expect.any(Number) }]);
		release();
		const rest: unknown[] = [];
		for await (const line of lines) rest.push(line);
		const places = route === "read" ? [0, 2] : [0];
		expect(rest).toMatchObject(places.map((i) => [i, { now: expect.any(Number) }]));
	});

	test("are one JSON document where that is not asked for, or nothing waits", async ({ serve }) => {
		const { backend, release } = held();
		release();
		const { page } = await serve({ manager: { backend } });
		const ada = page("ada");
		for (const headers of [{}, accept]) {
			const response = await ada.send(route, bodies[route](ada), headers);
			expect(response.headers.get("content-type")).toBe("application/json");
			const { reads, batches } = (await response.json()) as { reads?: object[]; batches?: object[] };
			expect(reads ?? batches).toHaveLength(route === "read" ? 3 : 2);
		}
	});
});
