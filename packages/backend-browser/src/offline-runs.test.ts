import { memory } from "@holdfast/core";
import { type CommitRequest, paths } from "@holdfast/core/wire";
import { describe, expect, test } from "vitest";
import type { Conflict } from "./offline-conflict.js";
import { Bank, deferred, eventually, load, sent } from "./offline-harness.js";
import { StateServer } from "./state-server.js";

const isCommit = (input: unknown): boolean => String(input).endsWith(paths.commit);

const failed = (): TypeError => new TypeError("Failed to fetch");

const plusOne = (n: unknown): number => ((n as number | undefined) ?? 0) + 1;

/** A page's fetch, whose next commits are held back: each until it is let go, at the server and on the way back. */
class Valve {
	readonly held: CommitRequest[] = [];
	isShut = false;
	#open = Promise.withResolvers<void>();
	readonly #bank: Bank;

	constructor(bank: Bank) {
		this.#bank = bank;
	}

	readonly fetch: typeof fetch = async (input, init) => {
		if (!this.isShut || !isCommit(input)) return this.#bank.fetch(input, init);
		this.held.push(JSON.parse(init?.body as string) as CommitRequest);
		const { promise } = this.#open;
		await promise;
		// Whoever asked has given it up; it arrives all the same.
		const { signal: _, ...bare } = init ?? {};
		return this.#bank.fetch(input, bare);
	};

	open(): void {
		this.isShut = false;
		this.#open.resolve();
	}
}

/** A page that knows its user, and whose commits are held. */
async function heldPage() {
	const bank = await Bank.open();
	const device = memory();
	const valve = new Valve(bank);
	const tab = load(bank, device, { fetch: valve.fetch });
	await tab.manager.shared.get("a");
	valve.isShut = true;
	return { bank, device, valve, tab };
}

describe("what waits is sent in runs", { timeout: 120_000 }, () => {
	test("of hundreds of writes, each once and in order, of all scopes in the same requests", async () => {
		const bank = await Bank.open();
		const tab = load(bank, memory());
		const { shared } = tab.manager;
		const mine = tab.manager.user("ada");
		for (const scope of [shared, mine]) await scope.get("n");
		await bank.server.stop();
		const count = 100;
		await Promise.all(
			Array.from({ length: count }, (_, i) => [
				shared.increment("sum", 1, deferred),
				shared.set("last", i, deferred),
				mine.update("n", plusOne, { ...deferred, timeout: "60s" }),
			]).flat(),
		);
		expect(tab.backend.status.pending.count).toBe(3 * count);
		const [commits, reads] = [bank.server.count("commit"), bank.server.count("read")];
		await bank.server.run();
		await sent(tab);
		expect(bank.server.count("commit") - commits).toBeLessThan(10);
		expect(bank.server.count("read") - reads).toBeLessThan(10);
		const history = (await bank.history()) as [string, number][];
		const of = (key: string): number[] => history.filter(([one]) => one === key).map(([, n]) => n);
		expect(of("last")).toEqual(Array.from({ length: count }, (_, i) => i));
		expect(of("sum")).toEqual(Array.from({ length: count }, (_, i) => i + 1));
		expect(await bank.history(bank.manager.user("ada"))).toEqual(
			Array.from({ length: count }, (_, i) => ["n", i + 1]),
		);
		expect(tab.queue.refused).toEqual([]);
	});

	test("that end where one is refused: those before it are stored, those behind it wait for what is decided", async () => {
		const bank = await Bank.open();
		await bank.manager.shared.set("text", "no number");
		const tab = load(bank, memory());
		const { shared } = tab.manager;
		await shared.get("text");
		await bank.server.stop();
		for (const key of ["a", "b"]) await shared.set(key, 1, deferred);
		await shared.increment("text", 1, deferred);
		for (const key of ["c", "d"]) await shared.set(key, 1, deferred);
		await bank.server.run();
		await eventually(() => expect(tab.queue.refused).toHaveLength(1));
		expect(tab.queue.refused[0]).toMatchObject({ keys: ["text"], code: "not-a-number" });
		expect(tab.backend.status.pending.count).toBe(2);
		expect((await bank.manager.shared.getMany(["a", "b", "c", "d"])).map(Boolean)).toEqual([
			true,
			true,
			false,
			false,
		]);
		await tab.queue.discard(tab.queue.refused[0]?.id as string);
		await sent(tab);
		expect(await bank.manager.shared.getMany(["c", "d", "text"])).toEqual([1, 1, "no number"]);
	});

	test("that are made smaller where the server takes less at once; what is too large alone is refused alone", async () => {
		const bank = await Bank.open();
		await bank.server.stop();
		const server = await StateServer.start(bank.store, {
			authorize: () => ({ subject: "ada", can: () => "write" }),
			limits: { bodyBytes: 20_000 },
		});
		const tab = load(bank, memory(), { url: server.url });
		const { shared } = tab.manager;
		const mine = tab.manager.user("ada");
		await shared.get("a");
		await server.stop();
		const text = "x".repeat(1000);
		for (let i = 0; i < 60; i++) await shared.set(`k/${i}`, text, deferred);
		await mine.set("a", text, deferred);
		await mine.set("b", "x".repeat(30_000), deferred);
		await server.run();
		await eventually(() => expect(tab.queue.refused).toHaveLength(1));
		await sent(tab);
		expect(tab.queue.refused[0]).toMatchObject({ scope: "user/ada", keys: ["b"], code: "too-large" });
		expect(await bank.history()).toHaveLength(60);
		expect(await bank.history(bank.manager.user("ada"))).toEqual([["a", text]]);
		await server.stop();
	});
});

describe("a run whose answer was lost", { timeout: 120_000 }, () => {
	/** Sends a run whose answer is lost, and lets the same page, or another one, go on. */
	async function goOn(isReloaded: boolean): Promise<void> {
		const bank = await Bank.open();
		let network: "there" | "away" | "losing" = "there";
		const losing: typeof fetch = async (input, init) => {
			if (network === "away") throw failed();
			const response = await bank.fetch(input, init);
			if (network === "there" || !isCommit(input)) return response;
			network = "away";
			throw failed();
		};
		const device = memory();
		const first = load(bank, device, { fetch: losing });
		for (const key of ["a", "b", "n"]) await first.manager.shared.get(key);
		const { shared } = first.manager;
		network = "away";
		await Promise.all([
			shared.update("a", plusOne, deferred),
			shared.increment("n", 5, deferred),
			shared.update("b", plusOne, deferred),
			shared.set("c", 1, deferred),
		]);
		network = "losing";
		// One of them may have gone before the others.
		await eventually(async () => expect(await bank.history()).not.toEqual([]));
		await eventually(() => expect(network).toBe("away"));
		await eventually(() => expect(first.backend.status.online).toBe(false));
		// Made of what is stored already, as nobody has told.
		for (const key of ["a", "b", "n"]) await shared.update(key, plusOne, deferred);
		if (isReloaded) await first.manager.close();
		const last = isReloaded ? load(bank, device) : first;
		network = "there";
		await last.manager.shared.get("a").catch(() => {});
		await sent(last);
		expect(last.queue.refused).toEqual([]);
		expect(await bank.manager.shared.getMany(["a", "b", "n", "c"])).toEqual([2, 2, 6, 1]);
		expect(await bank.history()).toHaveLength(7);
		// What the page shows goes on from there.
		expect(await last.manager.shared.update("b", plusOne)).toBe(3);
	}

	test("is known to the same page, and what was made of it stands", () => goOn(false));

	test("is known to another page, and what was made of it stands", () => goOn(true));

	test("does not arrive any more once another page has gone on", async () => {
		const { bank, device, valve, tab: late } = await heldPage();
		await Promise.all([1, 2, 3, 4].map((n) => late.manager.shared.increment("n", n, deferred)));
		await eventually(() => expect(valve.held).not.toEqual([]));
		const other = load(bank, device);
		await other.manager.shared.get("a");
		await other.manager.shared.increment("n", 5, deferred);
		await sent(other);
		await bank.manager.shared.set("n", 0);
		await other.manager.shared.update("n", plusOne, deferred);
		await sent(other);
		valve.open();
		await sent(late);
		expect(await bank.history()).toEqual([1, 3, 6, 10, 15, 0, 1].map((n) => ["n", n]));
	});

	test("does not arrive any more once a write of it was refused and given up", async () => {
		const { bank, device, valve, tab: late } = await heldPage();
		await bank.manager.shared.set("gone", 1);
		await bank.manager.shared.delete("gone");
		expect(await late.manager.shared.get("gone")).toBeUndefined();
		await Promise.all([
			late.manager.shared.update("gone", () => "mine", deferred),
			late.manager.shared.increment("n", 1, deferred),
		]);
		await eventually(() => expect(valve.held).not.toEqual([]));
		await bank.manager.shared.set("gone", "theirs");
		const other = load(bank, device);
		await other.manager.shared.get("a");
		await eventually(() => expect(other.queue.refused).toHaveLength(1));
		// By now it would be let through.
		await bank.manager.shared.delete("gone");
		valve.open();
		await eventually(() => expect(late.queue.refused).toHaveLength(1));
		await other.queue.discard(other.queue.refused[0]?.id as string);
		for (const tab of [late, other]) await sent(tab);
		expect(await bank.manager.shared.getMany(["gone", "n"])).toEqual([undefined, 1]);
	});

	test("is not sent on as somebody else who logs in meanwhile", async () => {
		const { bank, device, valve, tab } = await heldPage();
		await tab.manager.shared.set("a", 1, deferred);
		await eventually(() => expect(valve.held).not.toEqual([]));
		for (let i = 2; i < 5; i++) await tab.manager.shared.set("a", i, deferred);
		bank.user = "bob";
		valve.open();
		await eventually(() => expect(tab.backend.status.pending.count).toBe(0));
		await tab.manager.shared.set("b", "by bob", deferred);
		await eventually(async () => expect(await bank.manager.shared.get("b")).toBe("by bob"));
		expect(await bank.history()).toEqual([["b", "by bob"]]);
		await tab.manager.close();
		bank.user = "ada";
		const back = load(bank, device);
		await back.manager.shared.get("a");
		await eventually(async () => expect(await bank.manager.shared.get("a")).toBe(4));
		expect((await bank.history()).slice(1)).toEqual([1, 2, 3, 4].map((n) => ["a", n]));
	});
});

describe("an update", { timeout: 120_000 }, () => {
	test("of a sum that others have added to meets a conflict: what they added is not overwritten", async () => {
		const bank = await Bank.open();
		await bank.manager.shared.set("n", 10);
		const conflicts: Conflict[] = [];
		const conflict = (one: Conflict): unknown => {
			conflicts.push(one);
			return (one.theirs as number) * 2;
		};
		const tab = load(bank, memory(), {}, { conflict });
		const { shared } = tab.manager;
		expect(await shared.get("n")).toBe(10);
		await bank.server.stop();
		await shared.increment("n", 1, deferred);
		expect(await shared.update("n", (n: unknown) => (n as number) * 2, deferred)).toBe(22);
		await bank.manager.shared.increment("n", 5);
		await bank.server.run();
		await sent(tab);
		expect(conflicts).toEqual([{ scope: "shared", key: "n", mine: 22, theirs: 16, base: 11 }]);
		expect(await bank.manager.shared.get("n")).toBe(32);
	});

	test("is given up with all that was made of it, also where that takes several commits", async () => {
		const bank = await Bank.open();
		const tab = load(bank, memory());
		const { shared } = tab.manager;
		await shared.get("n");
		await bank.server.stop();
		await Promise.all(
			Array.from({ length: 410 }, () => shared.update("n", plusOne, { ...deferred, timeout: "90s" })),
		);
		await shared.set("after", 1, deferred);
		await bank.manager.shared.set("n", "theirs");
		await bank.server.run();
		await eventually(() => expect(tab.queue.refused).toHaveLength(1));
		expect(await tab.queue.discard(tab.queue.refused[0]?.id as string)).toBe(true);
		await sent(tab);
		expect(await bank.manager.shared.getMany(["n", "after"])).toEqual(["theirs", 1]);
	});
});
