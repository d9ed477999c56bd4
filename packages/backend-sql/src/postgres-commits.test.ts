/** Commits that are guesses: one statement where the guess is right, and never another result where it is wrong. */
import { createStateManager, type Scope, type StateManager } from "@holdfast/core";
import { add, Client, put } from "@holdfast/core/testing";
import { hasPostgres, PostgresServer } from "@holdfast/test-servers/postgres-server";
import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { parseRecords } from "./log-rows.js";
import { sql } from "./sql.js";

describe.skipIf(!hasPostgres())("a commit to a scope of Postgres", () => {
	let server: PostgresServer;
	const managers: StateManager[] = [];
	let scopes = 0;

	beforeAll(async () => {
		server = await PostgresServer.start();
	});
	afterAll(() => server.stop());
	afterEach(async () => {
		vi.restoreAllMocks();
		await Promise.all(managers.splice(0).map((manager) => manager.close()));
	});

	const open = (): StateManager => {
		const manager = createStateManager({
			backend: sql(server.url),
			timeout: "60s",
			scopes: { book: { changes: { count: 100 } } },
		});
		managers.push(manager);
		return manager;
	};
	const newId = (): string => `${++scopes}`;

	/** Statements that leave while something is done, hints aside. */
	async function countStatements(act: () => Promise<unknown>): Promise<number> {
		const query = vi.spyOn(pg.Client.prototype, "query");
		await act();
		const texts = query.mock.calls.map(([what]) => (what as unknown as { readonly text: string }).text);
		query.mockRestore();
		return texts.filter((text) => !text.includes("pg_notify")).length;
	}

	/** Does it until it takes so many: a guess that comes late, as where the machine stalls, counts for nothing, and so may house-keeping fall into it. */
	const takes = (
		statements: number,
		act: () => Promise<unknown>,
		before?: () => Promise<unknown>,
	): Promise<void> =>
		vi.waitFor(
			async () => {
				await before?.();
				expect(await countStatements(act)).toBe(statements);
			},
			{ timeout: 60_000 },
		);

	/** The log as it is stored must be one chain, as long as the scope's row says and at most a part of a row longer, that ends at its head. */
	async function expectWhole(kind: string, id: string): Promise<{ readonly changes: number }> {
		const [row] = (await server.query(
			`select * from holdfast_scopes where scope like '%/${kind}/${id}'`,
		)) as { id: string; head: string; changes_total: string; changes_cut: string }[];
		const rows = (await server.query(
			`select * from holdfast_changes where scope_id = ${row?.id} order by revision`,
		)) as { revision: string; total: string; records: string }[];
		let before: { readonly revision: number; readonly total: number } | undefined;
		for (const logged of rows) {
			const records = parseRecords(logged);
			for (const { previous, revision } of records) {
				if (before !== undefined) expect(previous).toBe(before.revision);
				before = { revision, total: (before?.total ?? Number(logged.total) - records.length) + 1 };
			}
			expect(before).toEqual({ revision: Number(logged.revision), total: Number(logged.total) });
		}
		expect(before).toEqual({ revision: Number(row?.head), total: Number(row?.changes_total) });
		const cut = Number(row?.changes_cut);
		const [first] = rows;
		if (first !== undefined) {
			expect(Number(first.total)).toBeGreaterThan(cut);
			expect(Number(first.total) - parseRecords(first).length).toBeLessThanOrEqual(cut);
		}
		return { changes: Number(row?.changes_total) - cut };
	}

	test("that is as it was left is one statement", async () => {
		const id = newId();
		const room = open().scope("room", id);
		for (let i = 0; i < 3; i++) await room.set("seen", i);
		await takes(1, () => room.set("seen", 3));
		const increment = () => room.update("seen", (n) => Number(n) + 1);
		await takes(2, increment, () => room.set("seen", 3));
		await room.commit((tx) => tx.increment("count", 1));
		await takes(
			1,
			() => room.commit((tx) => tx.increment("count", 2)),
			() => room.set("count", 1),
		);
		expect(await room.get("seen")).toBe(4);
		expect(await room.get("count")).toBe(3);
		await expectWhole("room", id);
	});

	test("is of no time before one that was read", async () => {
		for (let i = 0; i < 30; i++) {
			// One that has heard little of the database's clock, and that late.
			const backend = sql(server.url);
			onTestFinished(() => backend.close());
			const client = new Client(backend, "default/clock");
			for (let n = 0; n < 5; n++) {
				const { now } = await client.read();
				const { head } = await client.deliver(await client.batch([[put("n", n)]]));
				expect(head).toBeGreaterThanOrEqual(now * 1000);
			}
		}
	});

	test("that adds keys is one statement, and finds those that were there after all", async () => {
		const id = newId();
		const room = open().scope("room", id);
		for (const key of ["a", "b", "c"]) await room.set(key, 1);
		let keys = 0;
		await takes(1, () => room.set(`d/${++keys}`, 1));
		await takes(1, () => Promise.all(["e", "f"].map((key) => room.set(`${key}/${++keys}`, 1))));
		for (const key of ["e", "f"]) await room.set(key, 1);
		const created = (await room.entry("a"))?.createdRevision;
		// It does not know what another left.
		const other = open().scope("room", id);
		for (const key of ["g", "h", "i"]) await other.set(key, 2);
		await takes(1, () => other.set(`j/${++keys}`, 2));
		expect(await countStatements(() => other.set("a", 2))).toBeGreaterThan(1);
		expect(await other.entry("a")).toMatchObject({ value: 2, createdRevision: created });
		expect(await countStatements(() => other.set("b", 2))).toBeGreaterThan(1);
		await expect(other.set("c", 3, { ifAbsent: true })).rejects.toMatchObject({ code: "conflict" });
		for (const key of ["k", "l"]) await other.set(key, 2);
		await expect(other.set("e", 3, { ifAbsent: true })).rejects.toMatchObject({ code: "conflict" });
		await other.commit((tx) => {
			tx.delete("f");
			tx.set("m", 2);
		});
		expect(await other.count()).toBe(keys + 10);
		await expectWhole("room", id);
	});

	test("that adds a key to many scopes finds the one that has it", async () => {
		const ids = [newId(), newId(), newId()];
		const [first, second] = [open(), open()];
		const there = first.scope("room", ids[1] as string);
		const created = await there.set("key", 1);
		const rooms = ids.map((id) => second.scope("room", id));
		for (const key of ["a", "b", "c"]) await Promise.all(rooms.map((room) => room.set(key, 1)));
		await Promise.all(rooms.map((room) => room.set("key", 2)));
		const entries = await Promise.all(rooms.map((room) => room.entry("key")));
		expect(entries.map((entry) => entry?.value)).toEqual([2, 2, 2]);
		expect(entries.map((entry) => entry?.createdRevision === created)).toEqual([false, true, false]);
		for (const id of ids) await expectWhole("room", id);
	});

	test("of which nothing is known is a look and one statement", async () => {
		const ids = Array.from({ length: 60 }, newId);
		const manager = open();
		const created = await Promise.all(
			ids.map((id) =>
				manager.scope("room", id).commit((tx) => {
					tx.set("seen", { by: "one" });
					tx.set("count", 1);
					for (let i = 0; i < 20; i++) tx.set(`key/${i}`, 1);
				}),
			),
		);
		await Promise.all(
			ids.map((id) => manager.scope("room", id).set("noted", 1, { metadata: { by: "one" } })),
		);
		await server.query(`insert into holdfast_writers (scope_id, writer, sequence, first_id, answer, until)
			select id, 'gone', 1, '', '', 1 from holdfast_scopes`);
		const other = open();
		let at = -1;
		let keys = 0;
		const room = (): Scope => other.scope("room", ids[at] as string);
		const another = async (): Promise<void> => {
			at++;
		};
		const expectCreated = async (key: string, value: unknown): Promise<void> => {
			const { revision } = created[at] as { revision: number };
			expect(await room().entry(key)).toMatchObject({ value, createdRevision: revision });
			await expectWhole("room", ids[at] as string);
		};
		await takes(2, () => room().set("seen", { by: "other" }), another);
		await expectCreated("seen", { by: "other" });
		const writers = (await server.query(
			`select w.writer from holdfast_writers w join holdfast_scopes s on s.id = w.scope_id
			where s.scope like '%/room/${ids[at]}'`,
		)) as { writer: string }[];
		expect(writers).toHaveLength(2);
		expect(writers).not.toContainEqual({ writer: "gone" });
		// Of the same scope another key.
		await takes(2, () => room().set(`key/${keys++}`, 2));
		await expectCreated(`key/${keys - 1}`, 2);
		await takes(2, () => room().set("noted", 2, { metadata: { by: "other" } }));
		expect(await room().entry("noted")).toMatchObject({ value: 2, metadata: { by: "other" } });
		await takes(2, () => room().commit((tx) => tx.increment("count", 2)), another);
		await expectCreated("count", 3);
		await takes(2, () => room().set("new", 1), another);
		await takes(1, () => room().set(`newer/${keys++}`, 1));
		await takes(2, () => room().delete("seen"), another);
		expect(await room().get("seen")).toBeUndefined();
		await expectWhole("room", ids[at] as string);
		const refused = expect.objectContaining({ code: "conflict" });
		await takes(2, () => expect(room().set("seen", 1, { ifAbsent: true })).rejects.toEqual(refused), another);
		await expectCreated("seen", { by: "one" });
		const three = (): readonly string[] => ids.slice(at, at + 3);
		await takes(
			2,
			() => Promise.all(three().map((id) => other.scope("room", id).set("seen", 3))),
			async () => {
				at += 3;
			},
		);
		for (const id of three()) await expectWhole("room", id);
	});

	test("to a scope that others write, too, is a look and one statement", async () => {
		const id = newId();
		const [one, other] = [open().scope("room", id), open().scope("room", id)];
		for (let i = 0; i < 3; i++) for (const each of [one, other]) await each.set("key", i);
		await takes(
			2,
			() => one.set("key", "one"),
			async () => void (await other.set("key", "other")),
		);
		expect(await other.get("key")).toBe("one");
		await expectWhole("room", id);
	});

	test("of many, of each in one statement together", async () => {
		const manager = open();
		const rooms = Array.from({ length: 20 }, () => manager.scope("many", newId()));
		const all = (n: number) => Promise.all(rooms.map((room) => room.set("seen", n)));
		for (let i = 0; i < 3; i++) await all(i);
		await takes(1, () => all(3));
		expect(await Promise.all(rooms.map((room) => room.get("seen")))).toEqual(rooms.map(() => 3));
	});

	test("of hundreds at once to one scope, in one statement, is answered as before where it is sent again", async () => {
		const id = newId();
		const room = open().scope("room", id);
		const all = (n: number) => Promise.all(Array.from({ length: 500 }, (_, i) => room.set(`key/${i}`, n)));
		for (let i = 0; i < 3; i++) await all(i);
		await takes(1, () => all(3));
		const { changes } = await expectWhole("room", id);
		const backend = sql(server.url);
		onTestFinished(() => backend.close());
		const client = new Client(backend, `default/room/${id}`);
		const drafts = Array.from({ length: 500 }, (_, i) => [add(`sum/${i}`, 1)]);
		for (let i = 1; i <= 3; i++) {
			const batch = await client.batch(drafts);
			const answer = await client.deliver(batch);
			expect(answer.outcomes.every((outcome) => outcome.ok && outcome.numbers[0] === i)).toBe(true);
			expect(await client.deliver(batch)).toEqual(answer);
			expect(await client.send({ ...batch, commits: batch.commits.slice(1) })).toMatchObject({
				failed: "conflict",
			});
		}
		expect((await expectWhole("room", id)).changes).toBe(changes + 1500);
	});

	test("that somebody else changed meanwhile goes on from there", async () => {
		const id = newId();
		const [one, other] = [open().scope("room", id), open().scope("room", id)];
		for (let i = 0; i < 3; i++) await one.set("key", i);
		const created = (await one.entry("key"))?.createdRevision;
		for (let i = 0; i < 10; i++) {
			await Promise.all([
				one.set("key", i),
				other.set("key", -i),
				other.commit((tx) => tx.increment("sum", 1)),
			]);
			await one.commit((tx) => tx.increment("sum", 1));
		}
		await other.delete("key");
		await one.set("key", "new");
		expect(await other.get("sum")).toBe(20);
		expect((await one.entry("key"))?.createdRevision).toBeGreaterThan(created ?? Number.POSITIVE_INFINITY);
		await expectWhole("room", id);
	});

	test("whose condition fails is refused with the entry and its value", async () => {
		const room = open().scope("room", newId());
		const first = await room.set("key", { text: "one" });
		for (const text of ["two", "three", "four"]) await room.set("key", { text });
		await expect(room.set("key", "five", { ifRevision: first })).rejects.toMatchObject({ code: "conflict" });
		expect(await room.get("key")).toEqual({ text: "four" });
	});

	test("whose row somebody holds waits for it, and no other does", async () => {
		const manager = open();
		const [held, free] = [manager.scope("held", newId()), manager.scope("free", newId())];
		for (let i = 0; i < 3; i++) await Promise.all([held.set("n", i), free.set("n", i)]);
		const client = await server.admin.connect();
		await client.query("begin");
		await client.query("select * from holdfast_scopes where scope like '%/held/%' for update");
		let answered = false;
		const waiting = held.set("n", 3).then(() => {
			answered = true;
		});
		for (let i = 3; i < 20; i++) await free.set("n", i);
		expect(answered).toBe(false);
		await client.query("commit");
		client.release();
		await waiting;
		expect(await held.get("n")).toBe(3);
	});

	test("that keeps a short log trims it in the same statement", async () => {
		const id = newId();
		const room = open().scope("book", id);
		for (let i = 0; i < 130; i++) await room.set(`key/${i % 7}`, i);
		expect((await expectWhole("book", id)).changes).toBeLessThanOrEqual(101);
		for (let i = 0; i < 10; i++)
			await Promise.all(Array.from({ length: 40 }, (_, n) => room.set(`key/${n}`, i)));
		expect((await expectWhole("book", id)).changes).toBeLessThanOrEqual(101);
		// More at once than are kept.
		for (let i = 0; i < 3; i++)
			await Promise.all(Array.from({ length: 300 }, (_, n) => room.set(`key/${n}`, i)));
		await room.set("key/0", "last");
		expect((await expectWhole("book", id)).changes).toBeLessThanOrEqual(101);
		await room.delete("key/1");
		expect(await room.count("key/*")).toBe(299);
	});

	test("has the database's time, whatever was guessed", async () => {
		const room = open().scope("room", newId());
		for (let i = 0; i < 3; i++) await room.set("key", i);
		const now = performance.now.bind(performance);
		for (const wrong of [60_000, -60_000, 0]) {
			vi.spyOn(performance, "now").mockImplementation(() => now() + wrong);
			const revision = await room.set("key", wrong);
			const [clock] = (await server.query(
				"select extract(epoch from clock_timestamp()) * 1000000 as now",
			)) as { now: string }[];
			const behind = Number(clock?.now) - revision;
			expect(behind).toBeGreaterThan(-100_000);
			expect(behind).toBeLessThan(30_000_000);
		}
	});
});
