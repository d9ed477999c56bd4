/** The connection that is kept at hand: the same one for who asks next, and never one that is gone. */
import { hasPostgres, PostgresServer } from "@holdfast/test-servers/postgres-server";
import pg, { type PoolClient } from "pg";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { Connections } from "./postgres-connections.js";

describe.skipIf(!hasPostgres())("connections of Postgres", () => {
	let server: PostgresServer;
	beforeAll(async () => {
		server = await PostgresServer.start();
	});
	afterAll(() => server.stop());

	function open(max: number) {
		const pool = new pg.Pool({ connectionString: server.url, max, pipeline: true });
		pool.on("error", () => {});
		pool.on("connect", (client) => client.on("error", () => {}));
		const connections = new Connections(pool);
		return { pool, connections };
	}
	const pidOf = async (client: PoolClient): Promise<number> =>
		(await client.query("select pg_backend_pid() as pid")).rows[0].pid;

	test("the one that was used last is at hand at once, and goes back to the pool when nobody uses it", async () => {
		const { pool, connections } = open(2);
		onTestFinished(() => connections.close());
		const [one, other] = await Promise.all([connections.take(), connections.take()]);
		connections.give(one, false);
		connections.give(other, false);
		expect(pool.idleCount).toBe(1);
		expect(connections.take()).toBe(one);
		connections.give(one, false);
		await vi.waitFor(() => expect(pool.idleCount).toBe(2), 20_000);
	});

	test("who waits for a pool that is full goes first", async () => {
		const { connections } = open(1);
		onTestFinished(() => connections.close());
		const one = await connections.take();
		const waiting = [connections.take(), connections.take()];
		const asked = connections.query("select $1::int", [1]);
		connections.give(one, false);
		for (const next of waiting) {
			const client = await next;
			expect(client).toBe(one);
			connections.give(client, false);
		}
		await asked;
	});

	test("one that ended is not handed out, whether it was at hand or not", async () => {
		const { connections } = open(2);
		onTestFinished(() => connections.close());
		for (const atHand of [true, false]) {
			const client = await connections.take();
			const pid = await pidOf(client);
			if (atHand) connections.give(client, false);
			const ended = new Promise((resolve) => client.once("end", resolve));
			await server.admin.query("select pg_terminate_backend($1)", [pid]);
			await ended;
			if (!atHand) connections.give(client, false);
			const next = await connections.take();
			expect(await pidOf(next)).not.toBe(pid);
			connections.give(next, false);
		}
	});

	test("a question that fails leaves none behind", async () => {
		const { pool, connections } = open(1);
		await expect(connections.query("select 1 / $1::int", [0])).rejects.toMatchObject({ code: "22012" });
		await connections.query("select 1 / $1::int", [1]);
		await connections.close();
		expect(pool.totalCount).toBe(0);
		await expect(connections.query("select $1::int", [1])).rejects.toThrow();
	});
});
