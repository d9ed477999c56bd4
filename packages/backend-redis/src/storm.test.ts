/**
 * Several processes write, lock and watch through a proxy that delays, cuts, resets and silences their connections. `HOLDFAST_STORM_SECONDS`
 * says for how long (default 5), `HOLDFAST_STORM_PROCESSES` how many (default 8).
 */
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { createStateManager } from "@holdfast/core";
import { Client, isLinearizable, register } from "@holdfast/core/testing";
import { RedisServer } from "@holdfast/test-servers/redis-server";
import { type Fault, TcpProxy } from "@holdfast/test-servers/tcp-proxy";
import { Program } from "@holdfast/test-servers/worker";
import { afterAll, beforeAll, expect, test } from "vitest";
import { redis } from "./redis.js";
import type { StormOrder, StormReport } from "./storm-worker.js";

const seconds = Number(process.env.HOLDFAST_STORM_SECONDS ?? 5);
const processes = Number(process.env.HOLDFAST_STORM_PROCESSES ?? 8);

let program: Program;
let server: RedisServer;
let proxy: TcpProxy;

beforeAll(async () => {
	program = await Program.of(join(import.meta.dirname, "storm-worker.ts"));
	server = await RedisServer.start();
	proxy = await TcpProxy.to(server.port);
});

afterAll(async () => {
	await proxy.close();
	await server.stop();
	program.dispose();
});

type Word = "ready" | "written" | { readonly report: StormReport };

test("no change is lost, doubled or out of order, locks exclude, each scope is linearizable", {
	timeout: (seconds + 60) * 1000,
}, async ({ onTestFinished }) => {
	const url = `redis://127.0.0.1:${proxy.port}`;
	const workers = Array.from({ length: processes }, (_, worker) =>
		program.start<StormOrder, Word>({ url, worker, seconds }),
	);
	onTestFinished(() => {
		for (const worker of workers) worker.kill();
	});
	for (const worker of workers) expect(await worker.next()).toBe("ready");
	for (const worker of workers) worker.begin();

	let struck = 0;
	const until = performance.now() + seconds * 1000;
	while (performance.now() < until) {
		await delay(100);
		proxy.delay = Math.random() < 0.5 ? 0 : 20;
		const fault = (["cut", "reset", "silence"] satisfies Fault[])[Math.floor(Math.random() * 3)] as Fault;
		struck += proxy.strike(fault, 0.1);
	}
	proxy.delay = 0;
	for (const worker of workers) expect(await worker.next()).toBe("written");

	const manager = createStateManager({
		backend: redis(server.url, { connectWithin: "1m" }),
		scopes: { room: { changes: { count: 1_000_000, age: "1h" } } },
		timeout: "1m",
	});
	onTestFinished(async () => void (await manager.close()));
	const room = manager.scope("room", "storm");
	await room.set("log/end", true);
	const reports = await Promise.all(
		workers.map(async (worker) => ((await worker.next()) as { report: StormReport }).report),
	);

	expect(reports.flatMap(({ uncaught }) => uncaught)).toEqual([]);

	const sum = (of: (report: StormReport) => number): number =>
		reports.reduce((total, report) => total + of(report), 0);
	const count = Number(await room.get("count"));
	expect(count).toBeGreaterThanOrEqual(sum(({ added }) => added.sure));
	expect(count).toBeLessThanOrEqual(sum(({ added }) => added.sure + added.unsure));

	const history: string[] = [];
	const { backend, scope } = new Client(redis(server.url, { connectWithin: "1m" }), "default/room/storm");
	for (let after = 0, more = true; more; ) {
		const page = await backend.log(scope, after, { of: "changes", limit: 1000, bytes: 2 ** 20 });
		for (const { revision, changes } of page.records)
			for (const { key } of changes) if (key.startsWith("log/")) history.push(`${revision} ${key}`);
		after = page.records.at(-1)?.revision ?? after;
		more = page.more;
	}
	await backend.close();
	const written = new Set(history.map((line) => line.split(" ")[1]));
	expect(written.size, "no write happened twice").toBe(history.length);
	for (const key of reports.flatMap(({ writes }) => writes.sure)) expect(written).toContain(key);
	for (const { told } of reports) expect(told).toEqual(history);

	const leases = reports.flatMap((report) => report.leases).sort((a, b) => a.token - b.token);
	for (const [i, lease] of leases.entries())
		expect(lease.from, "a lease begins after the last ended").toBeGreaterThanOrEqual(leases[i - 1]?.to ?? 0);

	const operations = Map.groupBy(
		reports.flatMap((report) => report.operations),
		({ key }) => key,
	);
	for (const [key, history] of operations)
		expect(isLinearizable(register, history), `the history of ${key} is linearizable`).toBe(true);
	console.log(
		`${processes} processes, ${seconds} s, ${struck} connections struck: ${history.length} writes, ${count} additions, ` +
			`${leases.length} leases, ${sum((report) => report.operations.length)} operations on registers, ` +
			`${sum(({ added, writes }) => added.unsure + writes.unsure.length)} outcomes unknown`,
	);
});
