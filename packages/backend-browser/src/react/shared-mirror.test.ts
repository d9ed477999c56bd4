/** How long a mirror of the components lives, and what it shows at either end. */
import { createStateManager, memory, type StateManager } from "@holdfast/core";
import { beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { MirrorPool } from "./mirror-pool.js";
import type { SharedMirror } from "./shared-mirror.js";

/** What a reader sees, in order. */
interface Reader {
	readonly seen: readonly unknown[];
	leave(): void;
}

function read(mirror: SharedMirror): Reader {
	const seen: unknown[] = [];
	return { seen, leave: mirror.subscribe(() => void seen.push(mirror.value)) };
}

const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

let manager: StateManager;
let pool: MirrorPool;
/** Whether the store is out of reach. */
let isAway: boolean;

const watched = (): number => manager.health.watched;

/** The mirror of one key, as a component finds it at each render. */
const note = (): SharedMirror => pool.mirror("shared", "note");

beforeEach(() => {
	vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
	isAway = false;
	const store = memory();
	const watch = store.watch.bind(store);
	store.watch = (scope, listener) =>
		isAway ? Promise.reject(new Error("out of reach")) : watch(scope, listener);
	const made = createStateManager({ backend: store, timeout: 3000 });
	made.on("error", () => {});
	manager = made;
	pool = new MirrorPool(manager);
	onTestFinished(async () => {
		vi.useRealTimers();
		await made.close();
	});
});

describe("a mirror that several read", () => {
	test("stays while one of them does", async () => {
		const [one, other] = [read(note()), read(note())];
		await note().shown;
		one.leave();
		await pass(60_000);
		expect(watched()).toBe(1);
		await manager.shared.set("note", "heard");
		await pass(0);
		expect(one.seen).not.toContain("heard");
		expect(other.seen.at(-1)).toBe("heard");
		other.leave();
		await pass(4999);
		expect(watched()).toBe(1);
		await pass(1);
		expect(watched()).toBe(0);
	});

	test("stays for who comes back in time", async () => {
		const mirror = note();
		read(mirror).leave();
		await mirror.shown;
		await pass(4000);
		const { seen } = read(mirror);
		await pass(60_000);
		await manager.shared.set("note", "heard");
		await pass(0);
		expect(seen.at(-1)).toBe("heard");
	});

	test("ends though nobody ever read it, and is another one then", async () => {
		const timers = vi.spyOn(globalThis, "setTimeout");
		onTestFinished(() => timers.mockRestore());
		const mirror = note();
		expect(note()).toBe(mirror);
		await mirror.shown;
		const end = timers.mock.results[timers.mock.calls.findIndex(([, ms]) => ms === 5000)]?.value;
		expect(end.hasRef(), "keeps a server's process").toBe(false);
		await pass(5000);
		expect(watched()).toBe(0);
		expect(note()).not.toBe(mirror);
	});

	test("that ended shows what it showed to who comes back to it, and then what is so", async () => {
		await manager.shared.set("note", "before");
		const mirror = note();
		read(mirror).leave();
		await mirror.shown;
		await pass(5000);
		expect(watched()).toBe(0);
		await manager.shared.set("note", "after");
		// As a component does that React hid and shows again without rendering it.
		const { seen } = read(mirror);
		expect(seen).toEqual(["before"]);
		await pass(0);
		expect(seen).toEqual(["before", "after"]);
		// The one that others opened meanwhile is not theirs to end.
		const other = note();
		expect(other).not.toBe(mirror);
		mirror.close();
		expect(note()).toBe(other);
	});

	test("that ended leaves the one that was opened after it to its readers", async () => {
		const mirror = note();
		await mirror.shown;
		await pass(5000);
		const back = read(mirror);
		const { seen } = read(note());
		back.leave();
		await pass(60_000);
		expect(watched()).toBe(1);
		await manager.shared.set("note", "heard");
		await pass(0);
		expect(seen.at(-1)).toBe("heard");
	});
});

describe("what a server handed over", () => {
	beforeEach(async () => {
		await manager.shared.set("note", "rendered");
		const rendering = new MirrorPool(manager, true);
		const mirror = rendering.mirror("shared", "note");
		expect(mirror.firstValue).toBeUndefined();
		await mirror.shown;
		expect(mirror.firstValue).toBe("rendered");
		await manager.shared.set("note", "now");
		await pass(0);
		expect([mirror.value, mirror.firstValue]).toEqual(["now", "rendered"]);
		// It was opened, but never shown.
		await rendering.mirror("shared", "other").shown;
		// Rendering may take longer than a mirror is kept.
		await pass(60_000);
		expect(watched()).toBe(0);
		expect(rendering.mirror("shared", "note").firstValue).toBe("rendered");
		const handedOver = new Map(rendering.rendered());
		expect([...handedOver.keys()]).toEqual(['["shared","note"]']);
		pool.take(handedOver);
		rendering.close();
	});

	test("is shown at once, and first by each part of the page, however late that is shown", async () => {
		const mirror = note();
		expect(mirror.isShown).toBe(true);
		expect(mirror.value).toBe("rendered");
		const { seen } = read(mirror);
		await pass(0);
		expect(seen.at(-1)).toBe("now");
		expect(mirror.firstValue).toBe("rendered");
		expect(mirror.firstMembers).toEqual([{ key: "note", value: "rendered" }]);
	});

	test("waits for a part of the page that is not there yet", async () => {
		await pass(0);
		expect(note().value).toBe("rendered");
		await pass(60_000);
		expect(watched()).toBe(0);
		expect(note().firstValue).toBe("rendered");
	});

	test("is not shown again once it was, and has grown old", async () => {
		const { seen, leave } = read(note());
		await pass(0);
		expect(seen.at(-1)).toBe("now");
		leave();
		await pass(5000);
		expect(watched()).toBe(0);
		expect(note().isShown).toBe(false);
		await note().shown;
		expect(note().value).toBe("now");
	});

	test("stays where the store is out of reach, and nobody waits for it again", async () => {
		isAway = true;
		const mirror = note();
		const { seen } = read(mirror);
		for (let second = 0; second < 10; second++) {
			expect(mirror.isShown).toBe(true);
			await pass(1000);
		}
		expect(seen).toEqual(["rendered"]);
		isAway = false;
		await pass(10_000);
		expect(seen).toEqual(["rendered", "now"]);
	});
});

describe("a mirror that heard nothing in time", () => {
	test("fails for a second, and is asked anew by who comes after that", async () => {
		isAway = true;
		const mirror = note();
		const failed = expect(mirror.shown).rejects.toMatchObject({ code: "timeout" });
		await pass(3000);
		await failed;
		expect(note(), "React renders again at once").toBe(mirror);
		await pass(1000);
		expect(note()).not.toBe(mirror);
	});

	test("goes on for who shows what there is, so that it is shown once it heard that there is nothing", async () => {
		isAway = true;
		const mirror = note();
		const { seen } = read(mirror);
		const failed = expect(mirror.shown).rejects.toMatchObject({ code: "timeout" });
		await pass(4000);
		await failed;
		expect(note()).toBe(mirror);
		isAway = false;
		// Of the scope nothing was ever written: its revision is 0.
		await pass(10_000);
		await note().shown;
		expect(note()).toBe(mirror);
		await manager.shared.set("note", "heard");
		await pass(0);
		expect(seen.at(-1)).toBe("heard");
	});
});
