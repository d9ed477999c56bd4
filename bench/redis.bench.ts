/** Redis, beside what else keeps state there: each as it comes, on one server that the suite starts, with nothing on disk. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { registerHooks } from "node:module";
import { join } from "node:path";
import { redis } from "@holdfast/backend-redis";
import { createStateManager, nearCache } from "@holdfast/core";
import { RedisServer } from "@holdfast/test-servers/redis-server";
import KeyvRedis from "@keyv/redis";
import { BentoCache, bentostore } from "bentocache";
import { memoryDriver } from "bentocache/drivers/memory";
import { Redis } from "ioredis";
import { Keyv } from "keyv";
import { Mutex } from "redis-semaphore";
import Redlock from "redlock";
import { createStorage } from "unstorage";
import { type ListenerReport, type ListenOrder, machineTime, type ReportOrder } from "./redis-listener.ts";
import { Suite } from "./suite.ts";

// Two of the peers want an older ioredis, which is not installed, and do as well with this one.
registerHooks({
	resolve: (specifier, context, next) =>
		next(specifier, specifier === "ioredis" ? { ...context, parentURL: import.meta.url } : context),
});
const { redisBusDriver, redisDriver } = await import("bentocache/drivers/redis");
const { default: unstorageRedis } = await import("unstorage/drivers/redis");

const server = await RedisServer.start(["--appendonly", "no"]);
const { url } = server;
const manager = createStateManager({ backend: redis(url) });
// It says that nothing is kept on disk.
manager.on("error", () => {});
const { shared } = manager;
const plain = new Redis(url);
const pipelined = new Redis(url, { enableAutoPipelining: true });
const keyv = new Keyv({ store: new KeyvRedis(url) });
const storage = createStorage({ driver: unstorageRedis({ url }) });
// Its memory of its own is another case: here it asks Redis.
const bento = new BentoCache({
	default: "redis",
	ttl: null,
	stores: {
		redis: bentostore()
			.useL2Layer(redisDriver({ connection: plain }))
			.useBus(redisBusDriver({ connection: { host: "127.0.0.1", port: server.port } })),
		both: bentostore()
			.useL1Layer(memoryDriver({ maxItems: 10_000 }))
			.useL2Layer(redisDriver({ connection: plain }))
			.useBus(redisBusDriver({ connection: { host: "127.0.0.1", port: server.port } })),
	},
});

const suite = new Suite("redis");

const raw = "ioredis, auto-pipelined";
const position = (i: number) => ({ symbol: "AAPL", quantity: i, price: 189.5 });
const keys = Array.from({ length: 512 }, (_, i) => `positions/${i}`);
const key = (i: number) => keys[i & 511] as string;
const parsed = async (text: Promise<string | null>): Promise<unknown> => JSON.parse(String(await text));

// ─── Reading: all callers of a scope go as one HMGET, those of ioredis as one HGET each ───

for (const [i, key] of keys.entries()) {
	await shared.set(key, position(i));
	await plain.hset("positions", key, JSON.stringify(position(i)));
	await keyv.set(key, position(i));
	await storage.setItem(key, position(i));
	await bento.set({ key, value: position(i) });
}
for (const together of [1, 64, 512])
	await suite.compare(
		`get, ${together} at once`,
		{
			Holdfast: (i) => shared.get(key(i)),
			ioredis: (i) => parsed(plain.hget("positions", key(i))),
			[raw]: (i) => parsed(pipelined.hget("positions", key(i))),
			"@keyv/redis": (i) => keyv.get(key(i)),
			unstorage: (i) => storage.getItem(key(i)),
			bentocache: (i) => bento.get({ key: key(i) }),
		},
		{ gives: (i) => position(i & 511), together, bars: together === 1 ? {} : { [raw]: 0.9 } },
	);

// ─── Writing: with conditions, revisions, a log and a push to who watches; the peers set ───

let last = "";
const lately = (i: number): string => {
	last = key(i);
	return last;
};
const written = {
	ioredis: () => parsed(plain.get(last)),
	[raw]: () => parsed(plain.get(last)),
	"@keyv/redis": () => keyv.get(last),
	unstorage: () => storage.getItem(last),
	bentocache: () => bento.get({ key: last }),
};
const writers = {
	ioredis: (i: number) => plain.set(lately(i), JSON.stringify(position(i))),
	[raw]: (i: number) => pipelined.set(lately(i), JSON.stringify(position(i))),
	"@keyv/redis": (i: number) => keyv.set(lately(i), position(i)),
	unstorage: (i: number) => storage.setItem(lately(i), position(i)),
	bentocache: (i: number) => bento.set({ key: lately(i), value: position(i) }),
};
for (const [together, bar] of [
	[1, 0.8],
	[512, 0.3],
] as const)
	await suite.compare(
		`commit, ${together} at once on one scope`,
		{ Holdfast: (i) => shared.set(lately(i), position(i)), ...writers },
		{
			after: { Holdfast: () => shared.get(last), ...written },
			gives: position,
			together,
			bars: { [raw]: bar },
		},
	);
{
	const rooms = new Map(keys.map((key) => [key, manager.scope("room", key)]));
	const room = (key: string) => rooms.get(key) as typeof shared;
	await suite.compare(
		"commit, 512 at once on 512 scopes",
		{ Holdfast: (i) => room(lately(i)).set("position", position(i)), ...writers },
		{
			after: { Holdfast: () => room(last).get("position"), ...written },
			gives: position,
			together: 512,
			bars: { [raw]: 0.2 },
		},
	);
}

// ─── Near caches ───

{
	const near = createStateManager({ backend: nearCache(redis(url)) });
	near.on("error", () => {});
	await near.shared.subscribe("none", () => {}).ready;
	const both = bento.use("both");
	for (const [i, key] of keys.entries()) {
		await both.set({ key, value: position(i) });
		await keyv.set(key, position(i));
		await storage.setItem(key, position(i));
		await near.shared.set(key, position(i));
		// The second read fills the cache.
		for (let read = 0; read < 2; read++) await near.shared.get(key);
	}
	await suite.compare(
		"get of what this process watches",
		{
			Holdfast: (i) => near.shared.get(key(i)),
			"bentocache, from memory": (i) => both.get({ key: key(i) }),
			ioredis: (i) => parsed(plain.hget("positions", key(i))),
			"@keyv/redis": (i) => keyv.get(key(i)),
			unstorage: (i) => storage.getItem(key(i)),
		},
		{
			gives: (i) => position(i & 511),
			bars: { ioredis: 20, "@keyv/redis": 20, unstorage: 20 },
		},
	);
	await near.close();
}

// ─── Locks: the peers ask again and again while another holds it, and give no token to guard a write with ───

{
	// As long and as often as the others: by default it gives up after ten times.
	const redlock = new Redlock([plain], { retryCount: -1, retryDelay: 10 });
	const locks = {
		Holdfast: (i: number) => shared.lock("orders", () => i),
		"redis-semaphore": async (i: number) => {
			const mutex = new Mutex(plain, "orders");
			await mutex.acquire();
			await mutex.release();
			return i;
		},
		redlock: async (i: number) => {
			const lock = await redlock.lock("redlock", 30_000);
			await lock.unlock();
			return i;
		},
	};
	const bars = { "redis-semaphore": 1 };
	await suite.compare("lock and unlock", locks, { gives: (i) => i, bars });
	await suite.compare("lock and unlock, 32 contenders", locks, { gives: (i) => i, together: 32, bars });
}

// ─── From a set in this process to a listener in another ───

const quantile = (values: readonly number[], part: number): number =>
	[...values].sort((a, b) => a - b)[Math.floor((values.length - 1) * part)] as number;

/** A process with so many listeners. */
async function listening(listeners: number): Promise<ChildProcess> {
	const child = fork(join(import.meta.dirname, "redis-listener.ts"));
	child.send({ url, listeners } satisfies ListenOrder);
	await once(child, "message");
	return child;
}

async function heardBy(child: ChildProcess, expected: ReportOrder): Promise<ListenerReport> {
	child.send(expected);
	const [report] = (await once(child, "message")) as [ListenerReport];
	return report;
}

const send = () => shared.set("sent", machineTime());
const publish = () => plain.publish("sent", String(machineTime()));
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

{
	const child = await listening(1);
	const times = 1000;
	for (let i = 0; i < times; i++) {
		await (i % 2 === 0 ? Promise.all([send(), pause(2)]) : Promise.all([publish(), pause(2)]));
		await (i % 2 === 0 ? Promise.all([publish(), pause(2)]) : Promise.all([send(), pause(2)]));
	}
	const heard = await heardBy(child, { Holdfast: times, raw: times });
	for (const [name, part, bar] of [
		["median", 0.5, 1.5],
		["99 %", 0.99, undefined],
	] as const)
		suite.record(
			`set to listener elsewhere, ${name}`,
			"ms",
			quantile(heard.Holdfast, part),
			{ "publish to message": quantile(heard.raw, part) },
			bar === undefined ? {} : { "publish to message": bar },
		);
	child.kill();
}

{
	const listeners = 100;
	const child = await listening(listeners);
	/** A thousand a second, for some seconds. */
	const storm = async (send: () => Promise<unknown>): Promise<number> => {
		const started = machineTime();
		const sent = [];
		while (sent.length < 3000) {
			while (sent.length < machineTime() - started) sent.push(send());
			await pause(1);
		}
		await Promise.all(sent);
		return sent.length * listeners;
	};
	const ours = [];
	const theirs = [];
	for (let round = 0; round < 3; round++) {
		ours.push((await heardBy(child, { Holdfast: await storm(send), raw: 0 })).Holdfast);
		theirs.push((await heardBy(child, { Holdfast: 0, raw: await storm(publish) })).raw);
	}
	suite.record(
		"99 % of 1,000 sets a second, 100 listeners",
		"ms",
		quantile(ours.flat(), 0.99),
		{ "20 ms": 20, "publish to message": quantile(theirs.flat(), 0.99) },
		{ "20 ms": 1 },
	);
	child.kill();
}

// ─── Watching many scopes ───

{
	// However slow the machine is: this is about how many connections there are.
	const patient = redis(url, {
		connectWithin: "1m",
		answerWithin: "1m",
		connection: { connectionName: "watcher" },
	});
	const watcher = createStateManager({ backend: patient, timeout: "1m" });
	watcher.on("error", () => {});
	let heard = 0;
	const scopes = Array.from({ length: 10_000 }, (_, i) => watcher.scope("watched", String(i)));
	const watching = scopes.map((scope) => scope.subscribe("seen", () => heard++));
	await Promise.all(watching.map(({ ready }) => ready));
	suite.record(
		"connections for 10,000 watched scopes",
		"connections",
		String(await plain.call("client", "list", "type", "pubsub")).split("name=watcher ").length - 1,
		{ one: 1 },
		{ one: 1 },
	);
	await Promise.all(scopes.map((scope, i) => scope.set("seen", i)));
	while (heard < scopes.length) await pause(10);
	await watcher.close();
}

// ─── Memory of the server ───

{
	const sessions = 1000;
	const values = {
		user: "ada",
		theme: "dark",
		locale: "en-GB",
		symbol: "AAPL",
		quantity: 100,
		side: "buy",
		page: "/orders",
		tab: 2,
		filters: { minVolume: 10 },
		columns: ["price", "size"],
		sound: true,
		seen: 1732195535123,
	};
	const sessionOf = createStateManager({ backend: redis(url, { prefix: "weighed" }) });
	sessionOf.on("error", () => {});
	for (let i = 0; i < sessions; i++) {
		const session = sessionOf.session(`s${i}`);
		await session.commit((tx) => {
			for (const [key, value] of Object.entries(values)) tx.set(key, value);
		});
		const texts = Object.entries(values).map(([key, value]) => [key, JSON.stringify(value)] as const);
		await plain.hset(`hash:s${i}`, Object.fromEntries(texts));
	}
	await sessionOf.close();
	const bytes = async (pattern: string): Promise<number> => {
		let sum = 0;
		for (const name of await plain.keys(pattern)) sum += Number(await plain.call("memory", "usage", name));
		return sum / sessions;
	};
	suite.record(
		"session of 12 values in the server",
		"bytes",
		await bytes("weighed:*"),
		{ "a hash": await bytes("hash:*") },
		{ "a hash": 2 },
	);
}

suite.end();
await manager.close();
await bento.disconnectAll();
await storage.dispose();
await keyv.disconnect();
plain.disconnect();
pipelined.disconnect();
await server.stop();
