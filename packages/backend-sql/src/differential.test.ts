/** What a database stores of random batches is what core's reducer makes of them in memory. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Backend, ReadAnswer } from "@holdfast/core";
import { agreesWithMemory, around } from "@holdfast/core/testing";
import { type SqlServer, sqlServers } from "@holdfast/test-servers/sql-servers";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import type { SqlOptions } from "./options.js";
import { sql } from "./sql.js";

const alike = "random batches end alike in it and in memory: answers, entries, logs";

async function compare(
	open: (options: SqlOptions) => Backend,
	layer = (store: Backend, _offset: () => number): Backend => store,
): Promise<void> {
	let offset = 0;
	const store = open({ clockOffset: () => offset });
	onTestFinished(() => store.close());
	await agreesWithMemory(
		layer(store, () => offset),
		{
			advance: (ms) => {
				offset += ms;
			},
			time: 8000,
		},
	);
}

for (const driver of ["better-sqlite3", "node:sqlite"] as const) {
	const open = (options: SqlOptions): Backend => {
		const folder = mkdtempSync(join(tmpdir(), "holdfast-sqlite-"));
		onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
		return sql(`sqlite:${join(folder, "state.db")}`, { ...options, driver });
	};

	test(`${driver}: ${alike}`, () => compare(open));

	test(`${driver}: the same where what comes alone is committed at once`, async () => {
		let atOnce = 0;
		await compare(open, (store, offset) => {
			const read = (scope: string) => store.read([{ scope, keys: [] }]) as [ReadAnswer];
			return around(store, {
				commit: (batches) =>
					batches.flatMap((batch) => {
						const [commit, second] = batch.commits;
						if (commit === undefined || second !== undefined) return store.commit([batch]);
						// An outcome does not say when it was.
						const [{ now }] = read(batch.scope);
						const clock = vi.spyOn(Date, "now").mockReturnValue(now - offset());
						const outcome = store.commitNow?.(batch, commit, batch.step);
						clock.mockRestore();
						if (outcome === undefined) return store.commit([batch]);
						atOnce++;
						const [{ head, next }] = read(batch.scope);
						return [{ head, now, next, outcomes: [outcome] }];
					}),
			});
		});
		expect(atOnce).toBeGreaterThan(0);
	});
}

for (const { name, isThere, start } of sqlServers)
	describe.skipIf(!isThere)(name, () => {
		let server: SqlServer;
		beforeAll(async () => {
			server = await start();
		});
		afterAll(() => server.stop());

		test(alike, () => compare((options) => sql(server.url, options)));
	});
