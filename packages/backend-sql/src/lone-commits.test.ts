/** What comes alone to SQLite is committed at once, by a path of its own; here is what must not show of that. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createStateManager } from "@holdfast/core";
import { expect, onTestFinished, test } from "vitest";
import { openSqlite } from "./drivers.js";
import { sql } from "./sql.js";

/** A manager on a new file, another one, and a connection to look by. */
async function open() {
	const folder = mkdtempSync(join(tmpdir(), "holdfast-sqlite-"));
	onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
	const file = join(folder, "state.db");
	const manager = createStateManager({ backend: sql(`sqlite:${file}`), timeout: "1m" });
	const another = createStateManager({ backend: sql(`sqlite:${file}`), timeout: "1m" });
	await manager.ready();
	const database = await openSqlite(file, undefined);
	onTestFinished(async () => {
		database.close();
		await manager.close();
		await another.close();
	});
	const rows = (text: string): object[] => database.prepare(text).all([]) as object[];
	const run = (text: string): void => void database.prepare(text).run([]);
	return { manager, another, rows, run };
}

test("its writer is remembered only where the answer may be lost, with others or by a batch", async () => {
	const { manager, rows } = await open();
	const { shared } = manager;
	const sequence = (): unknown => rows("select sequence from holdfast_writers").map((row) => ({ ...row }));
	await shared.set("a", 0);
	const first = sequence();
	for (let i = 1; i <= 3; i++) await shared.set("a", i);
	expect(sequence()).toEqual(first);
	expect(rows("select count(*) as logged from holdfast_changes")).toMatchObject([{ logged: 4 }]);
	await Promise.all([shared.set("a", 4), shared.set("b", 1)]);
	expect(sequence()).not.toEqual(first);
	expect(await shared.getMany(["a", "b"])).toEqual([4, 1]);
});

test("it sees what another connection committed", async () => {
	const { manager, another } = await open();
	const { shared } = manager;
	for (let i = 0; i < 3; i++) await shared.set("a", i);
	await another.shared.delete("a");
	const revision = await shared.set("a", 3);
	expect(await another.shared.entry("a")).toMatchObject({ revision, createdRevision: revision, value: 3 });
});

test("a refusal writes nothing", async () => {
	const { manager, rows } = await open();
	const { shared } = manager;
	await shared.set("a", 1);
	const before = rows("select * from holdfast_scopes");
	await expect(shared.set("a", 2, { ifAbsent: true })).rejects.toMatchObject({ code: "conflict" });
	expect(rows("select * from holdfast_scopes")).toEqual(before);
	expect(await shared.get("a")).toBe(1);
});

test("what was given up while others held the file is not applied behind what came after it", async () => {
	const { manager, run, rows } = await open();
	const { shared } = manager;
	await shared.set("a", 0);
	run("begin immediate");
	await expect(shared.set("a", "given up", { timeout: 2000 })).rejects.toMatchObject({
		code: "outcome-unknown",
	});
	const after = shared.set("a", "after");
	run("commit");
	const revision = await after;
	// Whoever still tried the first would have done so by the time of another.
	await shared.set("b", 1);
	expect(await shared.entry("a")).toMatchObject({ revision, value: "after" });
	const logged = rows("select records from holdfast_changes order by revision").map(
		(row) => Object.values(row)[0],
	);
	expect(logged.at(-2)).toContain('\\"after\\"');
});

test("what has no metadata is written over what had some, alone and with others", async () => {
	const { manager, rows } = await open();
	const { shared } = manager;
	const metadata = { by: "ada" };
	const told = { metadata: '{"by":"ada"}', quiet: 1 };
	const bare = { metadata: null, quiet: null };
	const entries = (): object[] =>
		rows("select metadata, expires_at, value from holdfast_entries order by key");
	await shared.set("a", 0);
	await shared.set("a", 1, { metadata, notify: false });
	expect(entries()).toMatchObject([{ metadata: told.metadata, expires_at: null, value: "1" }]);
	await shared.set("a", 2);
	expect(entries()).toMatchObject([{ metadata: null, expires_at: null, value: "2" }]);
	await Promise.all([shared.set("a", 3, { metadata, notify: false }), shared.set("b", 3)]);
	await Promise.all([shared.set("a", 4), shared.set("b", 4)]);
	expect(entries()).toMatchObject([
		{ metadata: null, expires_at: null, value: "4" },
		{ metadata: null, expires_at: null, value: "4" },
	]);
	const logged = rows(`
		select r.value ->> 'metadata' as metadata, r.value ->> 'quiet' as quiet
		from holdfast_changes l join json_each(l.records) r order by r.value ->> 'revision'
	`);
	expect(logged).toMatchObject([bare, told, bare, told, bare, bare, bare]);
});
