/** Drivers are optional: who lacks one is told which package to install. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createStateManager } from "@holdfast/core";
import type { Program } from "@holdfast/test-servers/worker";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import type { Order, Written } from "./crash-orders.js";
import { crashProgram } from "./crash-program.js";
import type { SqlOptions } from "./options.js";
import { sql } from "./sql.js";

let program: Program;

beforeAll(async () => {
	// Outside of the repository no driver is found.
	program = await crashProgram(mkdtempSync(join(tmpdir(), "holdfast-drivers-")));
});

afterAll(() => program.dispose());

async function write(url: string, options: SqlOptions = {}): Promise<Written | "ready" | undefined> {
	const worker = program.start<Order, Written | "ready">({ task: "write", url, options, key: "a" });
	onTestFinished(() => worker.kill());
	expect(await worker.next()).toBe("ready");
	worker.begin();
	return worker.next();
}

test.each([
	["postgres://localhost/none", {}, "Postgres needs the package pg: npm install pg"],
	["mysql://localhost/none", {}, "MySQL needs the package mysql2: npm install mysql2"],
	[
		"sqlite::memory:",
		{ driver: "better-sqlite3" },
		"SQLite needs the package better-sqlite3: npm install better-sqlite3",
	],
] as const)("without its driver, %s %j is `failed`: %s", async (url, options, message) => {
	expect(await write(url, options)).toMatchObject({
		ended: "failed",
		message: expect.stringContaining(message),
	});
});

test("without better-sqlite3, SQLite is Node's own", async () => {
	expect(await write("sqlite::memory:")).toEqual({ ended: "done", found: 1 });
});

test.each(["foo://x", "./state.db", undefined as never])("%s is no URL, and refused as that", async (url) => {
	const manager = createStateManager({ backend: sql(url) });
	await expect(manager.ready()).rejects.toMatchObject({
		code: "invalid-argument",
		message: expect.stringMatching(/^the URL must begin with sqlite:, postgres:\/\/ or mysql:\/\//),
	});
	await manager.close();
});
