/** What a backend on rows does when commits fail, pages go and come, and storage is taken away. */
import {
	type Batch,
	type BatchAnswer,
	type Failure,
	givenValue,
	lockUnder,
	type Mutation,
	type ReadAnswer,
	type Signal,
} from "@holdfast/core";
import { TestClock } from "@holdfast/core/testing";
import { expect, onTestFinished, test, vi } from "vitest";
import { Room } from "./room.js";
import { RowBackend, type RowBackendOptions } from "./row-backend.js";
import type { Work } from "./row-store.js";
import { SessionStore } from "./session-store.js";
import { StoreFailure } from "./store-failure.js";

type Events = Parameters<RowBackendOptions["open"]>[0];

/** A store whose transactions may fail once they were judged. */
class Failing extends SessionStore {
	fails = false;

	override run<T>(mode: IDBTransactionMode, work: Work<T>): T {
		if (this.fails && mode === "readwrite") {
			super.run(mode, () => work({ put() {}, delete() {}, deleteAll() {} }));
			throw new StoreFailure("unavailable", "cut off");
		}
		return super.run(mode, work);
	}
}

/** A tab on rows that others may share. */
class Tab {
	readonly rows: Failing;
	readonly backend: RowBackend;
	readonly channel: string;
	events: Events | undefined;

	constructor(room: Room, channel: string) {
		this.channel = channel;
		this.rows = new Failing(room, "p ");
		this.backend = new RowBackend({
			traits: { reach: "device", durable: true },
			clock: new TestClock(),
			open: (events) => {
				this.events = events;
				return { rows: this.rows, channel };
			},
		});
		onTestFinished(() => this.backend.close());
	}
}

function openTabs(): { readonly room: Room; open(): Tab } {
	const room = new Room();
	const channel = crypto.randomUUID();
	return { room, open: () => new Tab(room, channel) };
}

let commits = 0;

const batch = (scope: string, ...mutations: readonly Mutation[]): Batch => ({
	scope,
	writer: crypto.randomUUID(),
	sequence: 1,
	until: Number.MAX_SAFE_INTEGER,
	floor: 0,
	step: 1,
	commits: [{ id: `${commits++}`, do: mutations }],
	keep: { changes: { count: 100, age: 3_600_000 }, events: { count: 100, age: 3_600_000 } },
});

const put = (key: string, value: string, ttl: number | null = null): Mutation => ({
	op: "put",
	key,
	value: givenValue(value),
	ttl,
});

const commit = async ({ backend }: Tab, ...batches: readonly Batch[]) =>
	await Promise.all(backend.commit(batches));

const outcomesOf = (answer: BatchAnswer | Failure | undefined): readonly unknown[] =>
	(answer as BatchAnswer).outcomes;

const patience = { timeout: 30_000 };

test("a commit that finds no room fails alone", async () => {
	const { room, open } = openTabs();
	const tab = open();
	room.room = 20_000;
	const answers = await commit(
		tab,
		batch("a/1", put("k", "first")),
		batch("a/2", put("k", "x".repeat(50_000))),
		batch("a/3", put("k", "third")),
	);
	expect(answers.map((answer) => outcomesOf(answer)[0])).toMatchObject([
		{ ok: true },
		{ ok: false, why: "full", index: 0 },
		{ ok: true },
	]);
	const asks = ["a/1", "a/2", "a/3"].map((scope) => ({ scope, keys: ["k"] }));
	const read = (await Promise.all(tab.backend.read(asks))) as readonly ReadAnswer[];
	expect(read.map(({ entries: [entry] }) => entry?.value.text)).toEqual(['"first"', undefined, '"third"']);
});

test("a deadline that could not be extended is not taken for extended", async () => {
	const { open } = openTabs();
	const [tab, other] = [open(), open()];
	await commit(tab, batch("a/1", put("k1", "v", 10_000), put("k2", "v", 10_000)));
	const deadlines = async (): Promise<readonly unknown[]> => {
		const [answer] = (await Promise.all(
			tab.backend.read([{ scope: "a/1", keys: ["k1", "k2"] }]),
		)) as readonly ReadAnswer[];
		return answer?.entries.map((entry) => entry?.expiresAt) ?? [];
	};
	const [before] = await deadlines();
	tab.rows.fails = true;
	expect(await commit(tab, batch("a/1", { op: "touch", key: "k1", ttl: 100_000 }))).toMatchObject([
		{ failed: "unavailable" },
	]);
	tab.rows.fails = false;
	// So that as many were extended as the tab would have counted.
	await commit(other, batch("a/1", { op: "touch", key: "k2", ttl: 50_000 }));
	const [first, second] = await deadlines();
	expect(first).toBe(before);
	expect(second).toBeGreaterThan(before as number);
});

test("that storage was deleted is told to who asks later, too", async () => {
	const { open } = openTabs();
	const tab = open();
	await commit(tab, batch("a/1", put("k", "v")));
	tab.events?.disturbed(true);
	const told: string[] = [];
	const stop = tab.backend.problems((problem) => void told.push(problem));
	expect(told).toEqual([expect.stringContaining("was deleted")]);
	stop();
	tab.events?.disturbed(true);
	expect(told).toHaveLength(1);
});

/** A page that is left and comes back. */
function makePage() {
	const listeners = {
		pagehide: new Set<(event: object) => void>(),
		pageshow: new Set<(event: object) => void>(),
	};
	type Type = keyof typeof listeners;
	vi.stubGlobal("addEventListener", (type: Type, listener: () => void) => listeners[type].add(listener));
	vi.stubGlobal("removeEventListener", (type: Type, listener: () => void) =>
		listeners[type].delete(listener),
	);
	onTestFinished(() => void vi.unstubAllGlobals());
	const fire = (type: Type, persisted: boolean): void => {
		for (const listener of [...listeners[type]]) listener({ persisted });
	};
	return {
		fire,
		get count() {
			return listeners.pagehide.size + listeners.pageshow.size;
		},
	};
}

test("a page that is kept for the way back hears nothing while it is away, looks when it is back, and keeps its locks", async () => {
	const { open } = openTabs();
	const other = open();
	await commit(other, batch("a/1", put("k", "0")));
	const page = makePage();
	const kept = open();
	const lock = `${lockUnder}orders`;
	await commit(kept, batch("a/1", put(lock, "held", 600_000)));
	const signals: Signal[] = [];
	await kept.backend.watch("a/1", (signal) => void signals.push(signal));
	const told: object[] = [];
	const ear = new BroadcastChannel(kept.channel);
	ear.onmessage = (event) => void told.push(event.data as object);
	onTestFinished(() => ear.close());

	page.fire("pagehide", true);
	await commit(other, batch("a/1", put("k", "1")));
	await vi.waitFor(() => expect(told).toContainEqual(expect.objectContaining({ scope: "a/1" })), patience);
	page.fire("pageshow", false);
	expect(signals).toEqual([]);
	page.fire("pageshow", true);
	expect(signals).toEqual([{ type: "wake" }]);
	await vi.waitFor(async () => {
		await commit(other, batch("a/1", put("k", "2")));
		expect(signals.at(-1)).toMatchObject({ type: "records" });
	}, patience);
	await commit(kept, batch("a/2", put("k", "3")));
	await vi.waitFor(() => expect(told.at(-1)).toMatchObject({ scope: "a/2" }), patience);
	expect(
		told.some((message) => "left" in message),
		"its locks were given up",
	).toBe(false);

	// This time it does not come back: who is there releases what it held, and nothing else.
	await commit(kept, batch("a/1", put(`${lockUnder}done`, "held", 600_000)));
	await commit(kept, batch("a/1", { op: "delete", key: `${lockUnder}done` }));
	page.fire("pagehide", false);
	const left = (): readonly unknown[] => told.flatMap((message) => ("left" in message ? message.left : []));
	await vi.waitFor(() => expect(left()).toMatchObject([{ scope: "a/1", key: lock }]), patience);
	await vi.waitFor(async () => {
		const [answer] = (await Promise.all(
			other.backend.read([{ scope: "a/1", keys: [lock, "k"] }]),
		)) as readonly ReadAnswer[];
		expect(answer?.entries.map((entry) => entry?.value.text)).toEqual([undefined, '"2"']);
	}, patience);
	expect(page.count).toBe(2);
	await kept.backend.close();
	expect(page.count).toBe(0);
});

test("a lock that somebody else took meanwhile is not released with the page that had it", async () => {
	const { open } = openTabs();
	const tab = open();
	const lock = `${lockUnder}orders`;
	await commit(tab, batch("a/1", put(lock, "mine", 600_000)));
	const channel = new BroadcastChannel(tab.channel);
	onTestFinished(() => channel.close());
	// A message that is late: it names the token of an earlier holder.
	channel.postMessage({ left: [{ scope: "a/1", key: lock, revision: 1 }] });
	channel.postMessage({ left: [{ scope: "a/2", key: lock, revision: 1 }] });
	const heard = Promise.withResolvers<void>();
	await tab.backend.watch("a/3", () => heard.resolve());
	channel.postMessage({ scope: "a/3" });
	await heard.promise;
	const asks = ["a/1", "a/2"].map((scope) => ({ scope, keys: [lock] }));
	const [here, there] = (await Promise.all(tab.backend.read(asks))) as readonly ReadAnswer[];
	expect(here?.entries[0]?.value.text).toBe('"mine"');
	expect(there?.head).toBe(0);
});
