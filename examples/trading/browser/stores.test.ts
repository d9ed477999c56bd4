import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createStateManager } from "@holdfast/core";
import { hasMysql, MysqlServer, mysqlName } from "@holdfast/test-servers/mysql-server";
import { hasPostgres, PostgresServer } from "@holdfast/test-servers/postgres-server";
import { beforeAll, test } from "vitest";
import { openBackend } from "../backend.ts";
import { index } from "../datasets.ts";
import { state } from "../state.ts";
import { buildPackages, runDashboard } from "./dashboard.ts";

interface Store {
	readonly url: string;
	stop(): Promise<void>;
}

const engines: readonly [name: string, there: boolean, start: () => Promise<Store>][] = [
	[
		"SQLite",
		true,
		async () => {
			const folder = mkdtempSync(join(tmpdir(), "holdfast-trading-"));
			const stop = async (): Promise<void> => rmSync(folder, { recursive: true, force: true });
			return { url: `sqlite:${join(folder, "state.db")}`, stop };
		},
	],
	["Postgres", hasPostgres(), () => PostgresServer.start()],
	[mysqlName(), hasMysql(), () => MysqlServer.start()],
];

beforeAll(buildPackages);

// At once, since each mostly waits for the locks of what was killed.
test.concurrent.for(engines)(
	"on %s it trades, and after a kill goes on where it was",
	{ timeout: 240_000 },
	async ([, there, start], { expect, skip, onTestFinished }) => {
		if (!there) skip("its server is not installed: npm run provision");
		const store = await start();
		onTestFinished(() => store.stop());
		const manager = createStateManager({
			backend: await openBackend(store.url),
			state,
			namespace: "trading",
		});
		onTestFinished(async () => void (await manager.close()));
		const { shared } = manager;
		const strategyAfter = (day: string) => async (): Promise<boolean> =>
			((await shared.get("strategy"))?.date ?? "") > day;
		const count = async (pattern: "bars/*/*" | "equity/*"): Promise<number> => {
			let found = 0;
			for await (const { key } of shared.list(pattern))
				if (pattern === "equity/*" || key.startsWith(`bars/${index}/`)) found++;
			return found;
		};

		const first = await runDashboard("--backend", store.url, "--speed", "50");
		onTestFinished(() => first.kill());
		await expect.poll(strategyAfter("2000-03"), { timeout: 60_000 }).toBe(true);
		await first.kill();
		const before = (await shared.get("replay"))?.date ?? "";

		const second = await runDashboard("--backend", store.url);
		onTestFinished(async () => void (await second.stop()));
		expect(await shared.get("pace"), "as it was left").toMatchObject({ speed: 50 });
		// The locks of what was killed run out after 15 s.
		await expect.poll(strategyAfter(before), { timeout: 60_000 }).toBe(true);
		await shared.set("pace", { speed: 50, paused: true });
		// What the feed had sent before it heard of the pause still arrives.
		await expect
			.poll(
				async () => {
					const day = (await shared.get("replay"))?.day;
					return day === (await count("bars/*/*")) && day === (await count("equity/*"));
				},
				{ timeout: 60_000 },
			)
			.toBe(true);
		const { code, output } = await second.stop();
		expect({ code, output: output.trim() }).toEqual({ code: 0, output: `The dashboard is at ${second.url}` });
	},
);
