/** A real cluster: calls by node, a slot that moves, a primary that fails, and servers without sharded channels. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createStateManager, type Signal, type StateManager } from "@holdfast/core";
import { Client, put } from "@holdfast/core/testing";
import { selfSigned } from "@holdfast/test-servers/certificate";
import { RedisCluster } from "@holdfast/test-servers/redis-cluster";
import { isRedisSince } from "@holdfast/test-servers/redis-server";
import { Cluster, Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { scopeKeys, slotOf } from "./keys.js";
import { type RedisOptions, redis } from "./redis.js";
import { clusterRules, userRules } from "./user-rules.js";

const patience = { timeout: 90_000, interval: 50 };

let trial = 0;

/** Hears a scope as the backend tells it, without core's own looks at its head. */
async function hear(cluster: RedisCluster, scope: string) {
	const backend = redis({ nodes: cluster.nodes, connectWithin: "20s" });
	onTestFinished(() => backend.close());
	const signals: Signal[] = [];
	await backend.watch(scope, (signal) => signals.push(signal));
	return {
		/** Resolves once it is told of commits: what it was told before is not what {@link heals} waits for. */
		async hears() {
			signals.length = 0;
			await vi.waitFor(() => expect(signals.some(({ type }) => type === "records")).toBe(true), patience);
			signals.length = 0;
		},
		/** Resolves once it is told that something may have been missed, and after it of a new commit. */
		async heals() {
			await vi.waitFor(() => expect(signals).toContainEqual({ type: "wake" }), patience);
			const client = new Client(backend, scope);
			await client.apply(put("healed", 1));
			const isTold = (signal: Signal): boolean =>
				signal.type === "records" && signal.records.some(({ changes }) => changes[0]?.key === "healed");
			await vi.waitFor(() => expect(signals.some(isTold)).toBe(true), patience);
		},
	};
}

/** A manager of a namespace of the test's own. */
function managerOf(cluster: RedisCluster, options: RedisOptions = {}): StateManager {
	const way = options.client === undefined ? { nodes: cluster.nodes } : {};
	const manager = createStateManager({
		backend: redis({ ...way, connectWithin: "20s", ...options }),
		namespace: `trial-${trial}`,
		timeout: "1m",
	});
	onTestFinished(async () => void (await manager.close({ timeout: 100 })));
	return manager;
}

const keysOf = (kind: string, id: string) => scopeKeys("hf", `trial-${trial}/${kind}/${id}`);

describe("a cluster with replicas", () => {
	let cluster: RedisCluster;

	beforeAll(async () => {
		cluster = await RedisCluster.start({ nodeTimeout: 2000 });
	});

	afterAll(() => cluster.stop());

	test("calls over many nodes go to each in one write, and are answered one by one", async () => {
		const backend = redis({ nodes: cluster.nodes, connectWithin: "20s" });
		onTestFinished(() => backend.close());
		const scopes = Array.from({ length: 300 }, (_, i) => `many-${trial}/room/${i}`);
		const asks = scopes.map((scope) => ({ scope, keys: ["a"] }));
		await Promise.all(backend.read(asks));
		const primaries = cluster.servers.slice(0, 3);
		const reads = () =>
			Promise.all(
				primaries.map(async (server) =>
					Number(/total_reads_processed:(\d+)/.exec(String(await server.ask("info", "stats")))?.[1]),
				),
			);
		// Those of replicas, that say each second how far they are, and of asking are among them: in a second more where the machine stalls.
		await vi.waitFor(async () => {
			const before = await reads();
			await Promise.all(backend.read(asks));
			for (const [i, count] of (await reads()).entries())
				expect(count - (before[i] as number)).toBeLessThan(60);
		}, patience);

		const writer = new Client(backend, scopes[0] as string);
		const batches = [];
		for (const scope of scopes) {
			const client = new Client(backend, scope);
			batches.push(await client.batch([[put("a", scope)]]));
		}
		const answers = await Promise.all(backend.commit(batches));
		expect(answers.every((answer) => "outcomes" in answer && answer.outcomes[0]?.ok)).toBe(true);
		const read = await Promise.all(backend.read(asks));
		expect(read.map((answer) => "entries" in answer && answer.entries[0]?.value.text)).toEqual(
			scopes.map((scope) => JSON.stringify(scope)),
		);
		expect(writer.scope).toBe(scopes[0]);

		const listed: string[] = [];
		for (let after: string | null = null; ; ) {
			const page = await backend.scopes({ prefix: `many-${trial}/`, after, limit: 70 });
			listed.push(...page.scopes.map(({ scope }) => scope));
			after = listed.at(-1) ?? null;
			if (!page.more) break;
		}
		expect(listed).toEqual([...scopes].sort());
	});

	test("a Cluster that was passed in is shared, stays open, and loses our listeners with the manager", async () => {
		const client = new Cluster(cluster.nodes);
		onTestFinished(() => client.disconnect());
		await vi.waitFor(() => expect(client.status).toBe("ready"), patience);
		const listeners = () => client.eventNames().map((name) => [name, client.listenerCount(name)]);
		const before = listeners();
		const manager = managerOf(cluster, { client });
		const heard = Promise.withResolvers<unknown>();
		await manager.shared.subscribe("n", ({ value }) => heard.resolve(value)).ready;
		await manager.shared.set("n", 1);
		expect(await heard.promise).toBe(1);
		await manager.close();
		await vi.waitFor(() => expect(listeners()).toEqual(before), patience);
		expect(await client.set("other", "1")).toBe("OK");
	});

	test("while a slot moves no commit is done by halves, and afterwards all goes on", async () => {
		trial++;
		const id = "moving";
		const { entries } = keysOf("room", id);
		const slot = slotOf(entries);
		const [manager, watcher] = [managerOf(cluster), managerOf(cluster)];
		const room = manager.scope("room", id);
		// All of the keys that a commit works on exist: then the server would run it while the slot moves.
		await room.commit((tx) => {
			tx.set("timed", 1, { ttl: "1h" });
			tx.set("lasting", 1);
			tx.emit("told", 1);
		});
		await (await cluster.primaryOf(slot)).ask("set", entries.replace(/}:e:.*$/, "}:floor"), "1");
		const told: string[] = [];
		const watching = watcher
			.scope("room", id)
			.subscribe("**", ({ key, value }) => told.push(`${key} ${value}`), {
				onReset: () => told.push("reset"),
			});
		await watching.ready;

		const move = await cluster.moveSlot(slot);
		let done = false;
		const writing = room
			.commit((tx) => {
				tx.increment("count");
				tx.delete("timed");
			})
			.then(() => {
				done = true;
			});
		// Whatever the servers say to it while the keys are here, there, or on both sides.
		for (const key of await move.keys()) {
			await expect(
				redisOf(cluster).read([{ scope: `trial-${trial}/room/${id}`, keys: ["count"] }])[0],
			).resolves.toBeDefined();
			await move.moveKey(key);
		}
		expect(done).toBe(false);
		await move.finish();
		await writing;
		expect(await room.get("count")).toBe(1);
		expect(await room.get("timed")).toBeUndefined();
		for (let i = 0; i < 20; i++) await room.increment("count");
		await vi.waitFor(() => expect(told.at(-1)).toBe("count 21"), patience);
		if (!told.includes("reset"))
			expect(told.filter((line) => line.startsWith("count"))).toEqual(
				Array.from({ length: 21 }, (_, i) => `count ${i + 1}`),
			);
	});

	test("of a slot that moves under load nothing is lost or doubled, and watchers hear all in order", async () => {
		trial++;
		const id = "busy";
		const slot = slotOf(keysOf("room", id).entries);
		const [manager, watcher] = [managerOf(cluster), managerOf(cluster)];
		const room = manager.scope("room", id);
		await room.set("begun", true);
		const told: string[] = [];
		const watching = watcher.scope("room", id).subscribe("done/*", ({ key }) => told.push(key), {
			onReset: () => told.push("reset"),
		});
		await watching.ready;
		const heard = await hear(cluster, `trial-${trial}/room/${id}`);
		let stop = false;
		let written = 0;
		const writing = Promise.all(
			Array.from({ length: 8 }, async () => {
				while (!stop) {
					await room.commit((tx) => {
						tx.set(`done/${written++}`, 1);
						tx.increment("count");
					});
				}
			}),
		);
		await heard.hears();
		for (let i = 0; i < 3; i++) {
			const before = written;
			await vi.waitFor(() => expect(written).toBeGreaterThan(before + 50), patience);
			await (await cluster.moveSlot(slot)).finish();
		}
		const before = written;
		await vi.waitFor(() => expect(written).toBeGreaterThan(before + 50), patience);
		stop = true;
		await writing;
		expect(await room.get("count")).toBe(written);
		await vi.waitFor(() => expect(told).toHaveLength(written), patience);
		expect(new Set(told).size).toBe(written);
		expect(told).not.toContain("reset");
		await heard.heals();
	});

	test("when a primary dies its replica goes on: nothing is doubled, watchers are whole", async () => {
		trial++;
		const [manager, watcher] = [managerOf(cluster), managerOf(cluster)];
		const client = new Cluster(cluster.nodes);
		client.on("error", () => {});
		onTestFinished(() => client.disconnect());
		const other = managerOf(cluster, { client });
		const ids = Array.from({ length: 12 }, (_, i) => `room-${i}`);
		const dying = await cluster.primaryOf(slotOf(keysOf("room", "room-0").entries));
		const mirrors = await Promise.all(
			ids.map(async (id) => {
				const mirror = watcher.scope("room", id).mirror();
				await mirror.ready;
				return mirror;
			}),
		);
		const heard = await hear(cluster, `trial-${trial}/room/room-0`);
		let stop = false;
		const answered = ids.map(() => 0);
		const writing = ids.flatMap((id, at) =>
			[manager, other].map(async (one, which) => {
				const room = one.scope("room", id);
				for (let i = 0; !stop; i++) {
					await room
						.commit((tx) => {
							tx.set(`done/${which}-${i}`, 1);
							tx.increment("count");
						})
						.then(
							() => (answered[at] as number)++ || true,
							() => false,
						);
					await new Promise((resolve) => setTimeout(resolve, 20));
				}
			}),
		);
		const everywhere = async (more: number): Promise<void> => {
			const before = [...answered];
			await vi.waitFor(
				() => expect(answered.every((count, i) => count > (before[i] as number) + more)).toBe(true),
				patience,
			);
		};
		await everywhere(5);
		await heard.hears();
		await dying.kill();
		await everywhere(10);
		await dying.run();
		await cluster.whenWhole();
		await everywhere(5);
		stop = true;
		await Promise.all(writing);
		// Behind these nothing comes any more that was given up.
		for (const id of ids)
			for (const one of [manager, other]) await one.scope("room", id).set("stopped", true);

		for (const [i, id] of ids.entries()) {
			const room = manager.scope("room", id);
			let done = 0;
			for await (const _ of room.list("done/*")) done++;
			expect(await room.get("count"), `${id}: each is counted once`).toBe(done);
			const head = await room.set("end", true);
			const mirror = mirrors[i] as (typeof mirrors)[number];
			await mirror.at(head);
			expect(mirror.size, `${id}: the mirror shows what is there`).toBe(await room.count());
			expect(mirror.get("count")).toBe(done);
		}
		await heard.heals();
	});

	test("a frozen primary is left for its replica, and closing leaves no socket", async () => {
		trial++;
		const sockets = (): number =>
			process.getActiveResourcesInfo().filter((name) => name === "TCPSocketWrap").length;
		const before = sockets();
		const backend = redis({ nodes: cluster.nodes, answerWithin: 500, connectWithin: "20s" });
		const manager = createStateManager({ backend, namespace: `trial-${trial}`, timeout: "1m" });
		const room = manager.scope("room", "frozen");
		const heard = Promise.withResolvers<void>();
		await room.subscribe("n", ({ value }) => value === 2 && heard.resolve()).ready;
		await room.increment("n");
		const frozen = await cluster.primaryOf(slotOf(keysOf("room", "frozen").entries));
		frozen.freeze();
		await room.increment("n");
		await heard.promise;
		await manager.close({ timeout: 500 });
		await vi.waitFor(() => expect(sockets()).toBeLessThanOrEqual(before), patience);
		frozen.thaw();
		await cluster.whenWhole();
	});

	test("a user of the namespace can do all in a cluster", async () => {
		trial++;
		for (const server of cluster.servers)
			await server.ask("acl", "setuser", "app", "reset", "on", ">secret", ...userRules, ...clusterRules);
		const nodes = cluster.nodes.map(({ host, port }) => `redis://app:secret@${host}:${port}`);
		const manager = createStateManager({ backend: redis({ nodes, connectWithin: "20s" }), timeout: "1m" });
		onTestFinished(async () => void (await manager.close()));
		const rooms = ["a", "b", "c", "d"].map((id) => manager.scope("room", id));
		for (const room of rooms) {
			const heard = Promise.withResolvers<unknown>();
			await room.subscribe("n", ({ value }) => heard.resolve(value)).ready;
			await room.increment("n");
			expect(await heard.promise).toBe(1);
		}
		const user = new Redis(cluster.servers[0]?.url.replace("//", "//app:secret@") as string);
		onTestFinished(() => user.disconnect());
		for (const [command, ...args] of [
			["cluster", "reset"],
			["cluster", "failover"],
			...(isRedisSince("7.0")
				? [
						["ssubscribe", "other"],
						["spublish", "other", "x"],
					]
				: []),
		] as [string, ...string[]][])
			await expect(user.call(command, args), command).rejects.toThrow(/NOPERM/);
	});
});

const redisOf = (cluster: RedisCluster) => {
	const backend = redis({ nodes: cluster.nodes, connectWithin: 50 });
	onTestFinished(() => backend.close());
	return backend;
};

test("where the servers have no sharded channels, watchers hear all the same", async () => {
	// Redis 6 has none by itself.
	const sharded = isRedisSince("7.0") ? ["ssubscribe", "sunsubscribe", "spublish"] : [];
	const options = sharded.flatMap((name) => ["--rename-command", name, `no-${name}`]);
	const cluster = await RedisCluster.start({ replicas: false, options });
	onTestFinished(() => cluster.stop());
	const [manager, watcher] = [managerOf(cluster), managerOf(cluster)];
	for (const id of ["a", "b", "c", "d", "e", "f"]) {
		const heard = Promise.withResolvers<unknown>();
		await watcher.scope("room", id).subscribe("n", ({ value }) => heard.resolve(value)).ready;
		await manager.scope("room", id).set("n", id);
		expect(await heard.promise).toBe(id);
	}
});

test("TLS: the scheme of the first node, and a trusted certificate, are for all nodes", async () => {
	const folder = mkdtempSync(join(tmpdir(), "holdfast-tls-"));
	onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
	const tls = selfSigned(folder);
	const cluster = await RedisCluster.start({ replicas: false, tls });
	onTestFinished(() => cluster.stop());
	const nodes = [`rediss://127.0.0.1:${cluster.tlsPorts[0]}`];
	const ca = readFileSync(tls.certificate, "utf8");
	const manager = createStateManager({
		backend: redis({ nodes, connectWithin: "15s", connection: { tls: { ca } } }),
		timeout: "1m",
	});
	onTestFinished(async () => void (await manager.close()));
	for (const id of ["a", "b", "c", "d", "e", "f"]) {
		const room = manager.scope("room", id);
		const heard = Promise.withResolvers<unknown>();
		await room.subscribe("n", ({ value }) => heard.resolve(value)).ready;
		await room.set("n", id);
		expect(await heard.promise).toBe(id);
	}
	const doubting = createStateManager({ backend: redis({ nodes, connectWithin: 500 }), timeout: "1m" });
	onTestFinished(async () => void (await doubting.close()));
	await expect(doubting.ready()).rejects.toMatchObject({ code: "unavailable" });
});

test("each node's settings are told once to each manager", async () => {
	const cluster = await RedisCluster.start({
		replicas: false,
		options: ["--maxmemory-policy", "allkeys-lru"],
	});
	onTestFinished(() => cluster.stop());
	const manager = managerOf(cluster);
	const problems: string[] = [];
	manager.on("error", ({ message }) => problems.push(message));
	for (let round = 0; round < 2; round++)
		for (let i = 0; i < 30; i++) await manager.scope("room", String(i)).set("n", round);
	await vi.waitFor(() => expect(problems).toHaveLength(3), patience);
	for (const { port } of cluster.servers)
		expect(problems.filter((problem) => problem.includes(`127.0.0.1:${port} may evict`))).toHaveLength(1);
});
