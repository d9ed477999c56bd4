/** Postgres behind a PgBouncer, in the modes and settings that hosts run it in. */
import { createStateManager } from "@holdfast/core";
import {
	canPgbouncerPrepare,
	hasPgbouncer,
	Pgbouncer,
	type PoolMode,
} from "@holdfast/test-servers/pgbouncer";
import { hasPostgres, PostgresServer } from "@holdfast/test-servers/postgres-server";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import type { SqlOptions } from "./options.js";
import { sql } from "./sql.js";

const ignored = { ignore_startup_parameters: "options" };

const kinds: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
	["refused", {}],
	["ignored", ignored],
	...(canPgbouncerPrepare()
		? ([
				["ignored, and what is prepared is lost", { ...ignored, max_prepared_statements: "0" }],
				["ignored, and what is prepared is handed on", { ...ignored, max_prepared_statements: "200" }],
				[
					"ignored, and most of what is prepared has to be again",
					{ ...ignored, max_prepared_statements: "2" },
				],
			] as const)
		: []),
];

describe.skipIf(!hasPostgres() || !hasPgbouncer())("PgBouncer", () => {
	let server: PostgresServer;
	beforeAll(async () => {
		server = await PostgresServer.start();
	});
	afterAll(() => server.stop());

	async function pool(mode: PoolMode, settings: Readonly<Record<string, string>> = {}): Promise<Pgbouncer> {
		const pooler = await Pgbouncer.before(server, mode, settings);
		onTestFinished(() => pooler.stop());
		return pooler;
	}

	function manage(url: string, options: SqlOptions = {}) {
		const manager = createStateManager({ backend: sql(url, options), timeout: "1m" });
		onTestFinished(async () => void (await manager.close()));
		const told: Error[] = [];
		manager.on("error", (error) => told.push(error));
		return { manager, told };
	}

	test("where connections are shared by transaction it finds changes by polling, and says so", async () => {
		const { url } = await pool("transaction");
		const { manager, told } = manage(url);
		const heard: unknown[] = [];
		await manager.shared.subscribe("n", ({ value }) => heard.push(value)).ready;
		const writer = manage(server.url).manager;
		await writer.shared.set("n", 7);
		await vi.waitFor(() => expect(heard).toEqual([7]), { timeout: 60_000 });
		await vi.waitFor(() => expect(told).toHaveLength(1), { timeout: 60_000 });
		expect(told[0]).toMatchObject({ code: "failed", message: expect.stringContaining("found by polling") });
	});

	test("where a client keeps its connection it listens", async () => {
		const { url } = await pool("session");
		const aMinute = { least: 60_000, most: 60_000 };
		const { manager, told } = manage(url, { poll: aMinute });
		const heard: unknown[] = [];
		await manager.shared.subscribe("n", ({ value }) => heard.push(value)).ready;
		const writer = manage(url).manager;
		await writer.shared.set("n", 8);
		// Before a look by itself is due.
		await vi.waitFor(() => expect(heard).toEqual([8]), { timeout: 60_000 });
		await writer.shared.set("n", 9);
		await vi.waitFor(() => expect(heard).toEqual([8, 9]), { timeout: 60_000 });
		expect(told).toEqual([]);
	});

	test.each(kinds)(
		"few connections serve many clients, though the session's options are %s",
		async (_, settings) => {
			const { url } = await pool("transaction", { ...settings, default_pool_size: "3" });
			const scopes = Array.from({ length: 4 }, () => manage(url).manager.shared);
			const turns = 20;
			const first = scopes[0] as (typeof scopes)[0];
			await first.set("added", 0);
			await first.set("locked", 0);
			const addLocked = (shared: typeof first) =>
				shared.lock("l", async () => shared.set("locked", Number(await shared.get("locked")) + 1));
			await Promise.all(
				scopes.map(async (shared) => {
					for (let turn = 0; turn < turns; turn++)
						await Promise.all([shared.increment("added"), shared.get("added"), addLocked(shared)]);
				}),
			);
			expect(await first.get("added")).toBe(4 * turns);
			expect(await first.get("locked")).toBe(4 * turns);
		},
	);
});
