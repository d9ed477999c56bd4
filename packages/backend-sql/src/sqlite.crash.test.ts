/** Processes on one file of SQLite: killed, and all at once. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createStateManager } from "@holdfast/core";
import type { Program } from "@holdfast/test-servers/worker";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import type { Order, Told } from "./crash-orders.js";
import { crashProgram } from "./crash-program.js";
import { killWriters } from "./kill-writers.js";
import { sql } from "./sql.js";

let program: Program;

beforeAll(async () => {
	program = await crashProgram();
});

afterAll(() => program.dispose());

function file(): string {
	const folder = mkdtempSync(join(tmpdir(), "holdfast-sqlite-"));
	onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
	return `sqlite:${join(folder, "state.db")}`;
}

test("writers that are killed among 10,000 commits leave every one that was answered, and none twice", () =>
	killWriters(program, file()));

test("eight processes on one file lose no change, and are told all in one order", async () => {
	const url = file();
	const times = 100;
	const total = 8 * times;
	const workers = Array.from({ length: 8 }, (_, worker) =>
		program.start<Order, Told | "ready">({ task: "increment", url, worker, times, total }),
	);
	onTestFinished(() => {
		for (const worker of workers) worker.kill();
	});
	for (const worker of workers) expect(await worker.next()).toBe("ready");
	for (const worker of workers) worker.begin();
	const told = await Promise.all(workers.map(async (worker) => (await worker.next()) as Told | undefined));
	const manager = createStateManager({ backend: sql(url), timeout: "1m" });
	expect(await manager.shared.get("count")).toBe(total);
	await manager.close();
	for (const one of told) {
		expect(one?.resets).toBe(0);
		expect(one?.counts).toEqual(told[0]?.counts);
	}
	const counts = told[0]?.counts.filter((line) => line.includes(" count ")) ?? [];
	expect(counts.map((line) => Number(line.split(" ")[2]))).toEqual(
		Array.from({ length: total }, (_, i) => i + 1),
	);
});
