/** Records that are larger than what may wait for a client. */
import { describe, expect, onTestFinished, vi } from "vitest";
import type { ScopeId } from "../backend.js";
import { createStateManager } from "../manager.js";
import { memory } from "../memory.js";
import { TestClock } from "../testing/test-clock.js";
import { EventSplitter } from "../wire/event-stream.js";
import type { StreamMessage } from "../wire/messages.js";
import { createStateHandler } from "./handler.js";
import type { StreamSink } from "./sink.js";
import { test } from "./with-server.js";

const [shared, room] = ["default/shared", "default/room/1"];
const bufferBytes = 100_000;
const large = "x".repeat(5 * bufferBytes);
const patient = { timeout: 20_000, interval: 5 };

/** Reads a response of a handler piece by piece, and not before it is asked to. */
class Reading {
	readonly messages: StreamMessage[] = [];
	readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
	readonly #decoder = new TextDecoder();
	readonly #splitter = new EventSplitter((message) => this.messages.push(message));

	constructor({ body }: Response) {
		this.#reader = (body as ReadableStream<Uint8Array>).getReader();
	}

	/** Takes the next piece; answers whether there was one. */
	async next(): Promise<boolean> {
		const { done, value } = await this.#reader.read();
		this.#splitter.push(this.#decoder.decode(value, { stream: true }));
		return !done;
	}

	/** Reads until a message comes that fits. */
	async until(fits: (message: StreamMessage) => boolean): Promise<void> {
		while (!this.messages.some(fits)) if (!(await this.next())) throw new Error("the stream has ended");
	}

	/** Reads until a scope was told up to a revision. */
	upTo(scope: ScopeId, revision: number): Promise<void> {
		return this.until((told) => told.t === "r" && told.s === scope && told.records.at(-1)?.r === revision);
	}

	get types(): readonly string[] {
		return this.messages.map(({ t }) => t);
	}
}

function serving() {
	const clock = new TestClock({ still: true });
	const manager = createStateManager({ backend: memory({ clock }), clock });
	const authorize = () => ({ subject: "ada", can: () => "read" as const });
	const handler = createStateHandler(manager, { authorize, limits: { bufferBytes } });
	onTestFinished(async () => {
		await handler.close();
		await manager.close();
	});
	const request = (subs: readonly { s: ScopeId; c?: number }[], once = false): Request =>
		new Request("http://localhost/v1/stream", {
			method: "POST",
			headers: { "content-type": "application/json" },
			body: JSON.stringify({ subs, once }),
		});
	const open = async (...asked: Parameters<typeof request>) => new Reading(await handler(request(...asked)));
	/** Opens a stream, and reads until all scopes are ready. */
	const opened = async (subs: Parameters<typeof request>[0]): Promise<Reading> => {
		const reading = await open(subs);
		for (const { s } of subs) await reading.until((told) => told.t === "ready" && told.s === s);
		return reading;
	};
	return { clock, manager, handler, request, open, opened };
}

describe("who reads", () => {
	test("is told one, and what comes before and after it, in one stream", async () => {
		const { manager, opened } = serving();
		const reading = await opened([{ s: shared }, { s: room }]);
		await manager.scope("room", "1").set("n", 1);
		const revision = await manager.shared.set("large", large);
		const last = await manager.scope("room", "1").set("n", 2);
		await reading.upTo(shared, revision);
		await reading.upTo(room, last);
		expect(reading.types).not.toContain("bye");
	});

	test("over HTTP/1.1 and at full speed is told many", async ({ serve }) => {
		const { manager, page } = await serve({ handler: { limits: { bufferBytes } } });
		const scopes = ["app/shared", "app/user/ada"] as const;
		const stream = await page("ada").stream(scopes.map((s) => ({ s })));
		for (const s of scopes) await stream.told("ready", (told) => told.s === s);
		for (let i = 0; i < 5; i++) {
			const told = await Promise.all([
				manager.user("ada").set("n", i),
				manager.shared.set("large", `${large}${i}`),
			]);
			await vi.waitFor(() => {
				expect(stream.records(scopes[1]).at(-1)).toBe(told[0]);
				expect(stream.records(scopes[0]).at(-1)).toBe(told[1]);
			}, patient);
		}
		expect(stream.messages.map(({ t }) => t)).not.toContain("bye");
		stream.stop();
	});

	test("is told one of the log while another scope goes on", async () => {
		const { manager, opened } = serving();
		const first = await manager.shared.set("n", 0);
		const revision = await manager.shared.set("large", large);
		const both = await opened([{ s: shared, c: first }, { s: room }]);
		const last = await manager.scope("room", "1").set("n", 2);
		await both.upTo(room, last);
		await both.upTo(shared, revision);
		expect(both.types).not.toContain("bye");
	});
});

describe("who is too slow for what comes behind one", () => {
	test("hears it to its end, and goes on behind it", async () => {
		const { clock, manager, opened } = serving();
		const reading = await opened([{ s: shared }, { s: room }]);
		const revision = await manager.shared.set("large", large);
		for (let i = 0; i < 5; i++) await manager.scope("room", "1").set("n", "y".repeat(bufferBytes / 4));
		// Longer than who takes nothing of a short end is waited for.
		clock.jump(10_000);
		await reading.until(({ t }) => t === "bye");
		expect(reading.messages.at(-1)).toMatchObject({ t: "bye", why: "slow" });
		await reading.upTo(shared, revision);
		const again = await opened([{ s: shared, c: revision }]);
		expect(again.types).toEqual(["hello", "ready"]);
	});

	test("hears it to its end where it asks for what there is once", async () => {
		const { clock, manager, open } = serving();
		const first = await manager.shared.set("n", 0);
		const revision = await manager.shared.set("large", large);
		const reading = await open([{ s: shared, c: first }], true);
		await reading.until(({ t }) => t === "hello");
		clock.jump(10_000);
		await reading.until(({ t }) => t === "bye");
		await reading.upTo(shared, revision);
		expect(reading.messages.at(-1)).toMatchObject({ t: "bye", why: "once" });
	});
});

test("who reads nothing has one of them kept, and is sent away at the next", async () => {
	const { manager, handler, request } = serving();
	let waiting = 0;
	let drained = (): void => {};
	const said: string[] = [];
	const cuts: number[] = [];
	await handler.serve(request([{ s: shared }]), (_, events) => {
		({ drained } = events);
		const sink: StreamSink = {
			write(bytes) {
				waiting += bytes.length;
				said.push(new TextDecoder().decode(bytes.subarray(0, 100)));
			},
			get waiting() {
				return waiting;
			},
			end: (grace) => cuts.push(grace),
		};
		return sink;
	});
	await vi.waitFor(() => expect(said.at(-1)).toContain('"t":"ready"'), patient);
	const records = () => said.filter((text) => text.includes('"t":"r"')).length;
	for (let i = 1; i <= 3; i++) {
		// Who takes them one by one gets them all.
		waiting = 0;
		drained();
		await manager.shared.set("large", `${large}${i}`);
		await vi.waitFor(() => expect(records()).toBe(i), patient);
	}
	expect(cuts).toEqual([]);
	await manager.shared.set("large", large);
	await vi.waitFor(() => expect(cuts).toHaveLength(1), patient);
	expect(said.at(-1)).toContain('"why":"slow"');
	expect(records()).toBe(3);
	expect(waiting).toBeLessThan(large.length + bufferBytes);
	// As long as a link of 256 kbit/s takes, and a little.
	expect(cuts[0]).toBeGreaterThan(waiting / 32);
	expect(cuts[0]).toBeLessThan(60_000);
});
