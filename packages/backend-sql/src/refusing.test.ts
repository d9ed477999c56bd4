/** What a database has no room for, or may not write, is refused by a typed error, and nothing is half written. */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createStateManager, isHoldfastError, type StateManager } from "@holdfast/core";
import { expect, onTestFinished, test } from "vitest";
import { SqlBackend } from "./backend.js";
import type { Order, Written } from "./crash-orders.js";
import { crashProgram } from "./crash-program.js";
import { openSqlite, type SqliteDriver } from "./drivers.js";
import { EmbeddedStore } from "./embedded-store.js";
import { languageOf } from "./engines.js";
import { sql } from "./sql.js";
import { sqliteEngine } from "./sqlite-engine.js";

function folder(): string {
	const made = mkdtempSync(join(tmpdir(), "holdfast-sqlite-"));
	onTestFinished(() => {
		chmodSync(made, 0o700);
		rmSync(made, { recursive: true, force: true });
	});
	return made;
}

/** A manager on a file, opened with a setting of the connection's. */
async function withSetting(file: string, driver: SqliteDriver, setting: string): Promise<StateManager> {
	const database = await openSqlite(file, driver);
	const statement = database.prepare(`pragma ${setting}`);
	if (statement.reader) statement.all([]);
	else statement.run([]);
	const store = new EmbeddedStore(database, languageOf(sqliteEngine, {}));
	const backend = new SqlBackend(async () => ({ store }), { reach: "device", durable: true }, {});
	return createStateManager({ backend, timeout: "1m" });
}

const codeOf = (work: Promise<unknown>): Promise<unknown> =>
	work.then(
		() => "done",
		(error) => (isHoldfastError(error) ? error.code : error),
	);

for (const driver of ["better-sqlite3", "node:sqlite"] as const) {
	test(`${driver}: what a full disk has no room for is \`full\`, and all that was answered stays`, async () => {
		const file = join(folder(), "state.db");
		const first = createStateManager({ backend: sql(`sqlite:${file}`, { driver }), timeout: "1m" });
		await first.shared.set("before", 1);
		await first.close();
		const full = await withSetting(file, driver, "max_page_count = 200");
		const { shared } = full;
		const written: string[] = [];
		let code: unknown = "done";
		for (let n = 0; code === "done" && n < 1000; n++) {
			code = await codeOf(
				shared.commit((tx) => {
					tx.set(`big/${n}`, "x".repeat(5000));
					tx.increment("count");
				}),
			);
			if (code === "done") written.push(`big/${n}`);
		}
		expect(code).toBe("full");
		expect(written.length).toBeGreaterThan(10);
		expect(full.health.status, "a store that refuses is not out of reach").toBe("ok");
		const keys = async ({ shared }: StateManager): Promise<string[]> => {
			const found: string[] = [];
			for await (const { key } of shared.list("big/*")) found.push(key);
			return found.sort();
		};
		expect(await keys(full)).toEqual([...written].sort());
		expect(await shared.get("count")).toBe(written.length);
		await full.close();

		const again = createStateManager({ backend: sql(`sqlite:${file}`, { driver }), timeout: "1m" });
		expect(await keys(again)).toEqual([...written].sort());
		expect(await again.shared.get("before")).toBe(1);
		await again.shared.set("after", 1);
		await again.close();
	});

	test(`${driver}: what may not be written is \`failed\`, and reads go on`, async () => {
		const file = join(folder(), "state.db");
		const first = createStateManager({ backend: sql(`sqlite:${file}`, { driver }), timeout: "1m" });
		await first.shared.set("a", 1);
		await first.close();
		const manager = await withSetting(file, driver, "query_only = on");
		const { shared } = manager;
		const error = await shared.set("a", 2).catch((error: unknown) => error);
		expect(isHoldfastError(error, "failed") && error.message).toContain("the database may not be written");
		expect(await shared.get("a")).toBe(1);
		await manager.close();
	});
}

const isRoot = process.getuid?.() === 0;

test.skipIf(!isRoot || process.platform !== "linux")(
	"a disk that is full is `full`, and serves again once it has room",
	async ({ skip }) => {
		const disk = folder();
		if (spawnSync("mount", ["-t", "tmpfs", "-o", "size=3m", "tmpfs", disk]).status !== 0)
			skip("no disk may be mounted here");
		onTestFinished(() => {
			spawnSync("umount", ["--lazy", disk]);
		});
		writeFileSync(join(disk, "filler"), Buffer.alloc(2 ** 20));
		const manager = createStateManager({ backend: sql(`sqlite:${join(disk, "state.db")}`), timeout: "1m" });
		const { shared } = manager;
		let written = 0;
		let code: unknown = "done";
		for (; code === "done"; written++)
			code = await codeOf(
				shared.commit((tx) => {
					tx.set(`big/${written}`, "x".repeat(5000));
					tx.increment("count");
				}),
			);
		written--;
		expect(code).toBe("full");
		expect(await shared.count("big/*")).toBe(written);
		expect(await shared.get("count")).toBe(written);
		// Not by a deletion: that, too, is written to SQLite's log before it makes room.
		rmSync(join(disk, "filler"));
		await shared.set("after", 1);
		await manager.close();

		const again = createStateManager({ backend: sql(`sqlite:${join(disk, "state.db")}`), timeout: "1m" });
		expect(await again.shared.get("after")).toBe(1);
		await again.close();
	},
);

test("a file that the process may not write is `failed`, and says so", async () => {
	const program = await crashProgram();
	onTestFinished(() => program.dispose());
	const place = folder();
	const file = join(place, "state.db");
	const first = createStateManager({ backend: sql(`sqlite:${file}`), timeout: "1m" });
	await first.shared.set("a", 1);
	await first.close();
	chmodSync(file, 0o444);
	chmodSync(place, 0o555);
	// Root may write whatever the file's mode says.
	const nobody = { uid: 65_534, gid: 65_534 };
	const worker = program.start<Order, Written | "ready">(
		{ task: "write", url: `sqlite:${file}`, key: "b" },
		isRoot ? nobody : {},
	);
	expect(await worker.next()).toBe("ready");
	worker.begin();
	expect(await worker.next()).toMatchObject({
		ended: "failed",
		message: expect.stringContaining("the database may not be written"),
	});
	chmodSync(place, 0o755);
	const again = createStateManager({ backend: sql(`sqlite:${file}`), timeout: "1m" });
	expect(await again.shared.get("a")).toBe(1);
	await again.close();
});
