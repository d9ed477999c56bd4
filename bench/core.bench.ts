/** Core on the process's memory, beside what else keeps values there: each as it comes, with the options that its manual begins with. */
import { createStateManager, memory } from "@holdfast/core";
import { Mutex } from "async-mutex";
import { BentoCache, bentostore } from "bentocache";
import { memoryDriver } from "bentocache/drivers/memory";
import { createCache } from "cache-manager";
import { Keyv } from "keyv";
import { createStore as createTinyBase } from "tinybase";
import { createStorage } from "unstorage";
import { createStore } from "zustand/vanilla";
import { Suite } from "./suite.ts";

// Of bentocache the options that it needs to keep what it is given: by default a thousand entries, for 30 s.
const createBentoCache = () =>
	new BentoCache({
		default: "memory",
		ttl: null,
		stores: { memory: bentostore().useL1Layer(memoryDriver({ maxItems: 2_000_000 })) },
	});

const manager = createStateManager({ backend: memory() });
const { shared } = manager;
const keyv = new Keyv();
const storage = createStorage();
const cache = createCache();
const bento = createBentoCache();
const zustand = createStore<Record<string, unknown>>(() => ({}));
const tinybase = createTinyBase();
const map = new Map<string, unknown>();

const suite = new Suite("core");

await suite.weigh("memory of 1,000,000 keys", 1_000_000, {
	Holdfast: (key, value) => shared.set(key, value),
	Map: (key, value) => map.set(key, value),
	Keyv: (key, value) => keyv.set(key, value),
	unstorage: (key, value) => storage.setItem(key, value),
	"cache-manager": (key, value) => cache.set(key, value),
	bentocache: (key, value) => bento.set({ key, value }),
});

// ─── One key ───

// Two that differ, since some peers skip a write of what they hold.
const positions = [
	{ symbol: "AAPL", quantity: 100, price: 189.5 },
	{ symbol: "AAPL", quantity: 110, price: 190.25 },
] as const;
const position = (i: number) => positions[(i & 1) as 0 | 1];

const readObject = {
	Holdfast: () => shared.get("position"),
	Keyv: () => keyv.get("position"),
	unstorage: () => storage.getItem("position"),
	"cache-manager": () => cache.get("position"),
	bentocache: () => bento.get({ key: "position" }),
	zustand: () => zustand.getState().position,
	TinyBase: () => tinybase.getRow("positions", "AAPL"),
	Map: () => map.get("position"),
};
const setObject = {
	Holdfast: (i: number) => shared.set("position", position(i)),
	Keyv: (i: number) => keyv.set("position", position(i)),
	unstorage: (i: number) => storage.setItem("position", position(i)),
	"cache-manager": (i: number) => cache.set("position", position(i)),
	bentocache: (i: number) => bento.set({ key: "position", value: position(i) }),
	zustand: (i: number) => zustand.setState({ position: position(i) }),
	TinyBase: (i: number) => tinybase.setRow("positions", "AAPL", position(i)),
	Map: (i: number) => map.set("position", position(i)),
};
const readNumber = {
	Holdfast: () => shared.get("counter"),
	Keyv: () => keyv.get("counter"),
	unstorage: () => storage.getItem("counter"),
	"cache-manager": () => cache.get("counter"),
	bentocache: () => bento.get({ key: "counter" }),
	zustand: () => zustand.getState().counter,
	TinyBase: () => tinybase.getValue("counter"),
	Map: () => map.get("counter"),
};
const setNumber = {
	Holdfast: (i: number) => shared.set("counter", i),
	Keyv: (i: number) => keyv.set("counter", i),
	unstorage: (i: number) => storage.setItem("counter", i),
	"cache-manager": (i: number) => cache.set("counter", i),
	bentocache: (i: number) => bento.set({ key: "counter", value: i }),
	zustand: (i: number) => zustand.setState({ counter: i }),
	TinyBase: (i: number) => tinybase.setValue("counter", i),
	Map: (i: number) => map.set("counter", i),
};

/** The sides that answer by a promise: only these can be asked for several things at once. */
function later<T>({
	Holdfast,
	Keyv,
	unstorage,
	"cache-manager": cacheManager,
	bentocache,
}: Later<T>): Later<T> {
	return { Holdfast, Keyv, unstorage, "cache-manager": cacheManager, bentocache };
}
interface Later<T> {
	readonly [side: string]: T;
	readonly Holdfast: T;
	readonly Keyv: T;
	readonly unstorage: T;
	readonly "cache-manager": T;
	readonly bentocache: T;
}

await suite.compare("set, number", setNumber, { after: readNumber, gives: (i) => i });
await suite.compare("set, small object", setObject, { after: readObject, gives: position });
await suite.compare("set, small object, 64 at once", later(setObject), {
	after: readObject,
	gives: position,
	together: 64,
});

for (const set of Object.values(setObject)) await set(0);
await suite.compare("get, small object", readObject, { gives: () => positions[0] });
await suite.compare("get, small object, 64 at once", later(readObject), {
	gives: () => positions[0],
	together: 64,
});

// ─── Writing what was read ───

// The peers that answer by a promise lose an update when another comes between their get and set; Holdfast compares and sets.
const add = async (value: unknown): Promise<number> => Number(await value) + 1;

for (const set of Object.values(setNumber)) await set(0);
await suite.compare(
	"update of a number",
	{
		Holdfast: () => shared.update("counter", (n) => n + 1),
		Keyv: async () => keyv.set("counter", await add(keyv.get("counter"))),
		unstorage: async () => storage.setItem("counter", await add(storage.getItem("counter"))),
		"cache-manager": async () => cache.set("counter", await add(cache.get("counter"))),
		bentocache: async () => bento.set({ key: "counter", value: await add(bento.get({ key: "counter" })) }),
		zustand: () => zustand.setState(({ counter }) => ({ counter: Number(counter) + 1 })),
		TinyBase: () => tinybase.setValue("counter", (n) => Number(n) + 1),
	},
	{ after: readNumber, gives: (i) => i },
);

for (const set of Object.values(setNumber)) await set(0);
await suite.compare(
	"increment",
	{
		Holdfast: () => shared.increment("counter"),
		Keyv: async () => keyv.set("counter", await add(keyv.get("counter"))),
		unstorage: async () => storage.setItem("counter", await add(storage.getItem("counter"))),
		"cache-manager": async () => cache.set("counter", await add(cache.get("counter"))),
	},
	{ after: readNumber, gives: (i) => i },
);

// ─── Ten keys at once: all or nothing only in Holdfast, zustand and TinyBase ───

const ten = Array.from({ length: 10 }, (_, n) => `leg-${n}`);
const entries = (i: number) => ten.map((key) => ({ key, value: i }));

await suite.compare(
	"commit of 10 keys",
	{
		Holdfast: (i) =>
			shared.commit((tx) => {
				for (const key of ten) tx.set(key, i);
			}),
		Keyv: (i) => keyv.setMany(entries(i)),
		unstorage: (i) => storage.setItems(entries(i)),
		"cache-manager": (i) => cache.mset(entries(i)),
		bentocache: (i) => Promise.all(ten.map((key) => bento.set({ key, value: i }))),
		zustand: (i) => zustand.setState(Object.fromEntries(ten.map((key) => [key, i]))),
		TinyBase: (i) =>
			tinybase.transaction(() => {
				for (const key of ten) tinybase.setValue(key, i);
			}),
	},
	{
		after: {
			Holdfast: () => shared.getMany(ten),
			Keyv: () => keyv.getMany(ten),
			unstorage: () => Promise.all(ten.map((key) => storage.getItem(key))),
			"cache-manager": () => cache.mget(ten),
			bentocache: () => Promise.all(ten.map((key) => bento.get({ key }))),
			zustand: () => ten.map((key) => zustand.getState()[key]),
			TinyBase: () => ten.map((key) => tinybase.getValue(key)),
		},
		gives: (i) => ten.map(() => i),
	},
);

// ─── Locks: async-mutex's have no time-out, no fencing token and no second process ───

const mutex = new Mutex();
const locks = {
	Holdfast: (i: number) => shared.lock("orders", () => i),
	"async-mutex": (i: number) => mutex.runExclusive(() => i),
};
await suite.compare("lock and unlock", locks, { gives: (i) => i });
await suite.compare("lock and unlock, 64 at once", locks, { gives: (i) => i, together: 64 });

// ─── Mirrors ───

{
	const board = manager.scope("board", "1");
	const states = createStore<Record<string, number>>(() => ({}));
	const values = createTinyBase();
	const symbols = new Map<string, number>();
	const keys = Array.from({ length: 1024 }, (_, i) => `position-${i}`);
	for (const [i, key] of keys.entries()) {
		await board.set(key, i);
		states.setState({ [key]: i });
		values.setValue(key, i);
		symbols.set(key, i);
	}
	using mirror = board.mirror();
	await mirror.ready;
	const key = (i: number) => keys[i & 1023] as string;
	await suite.compare(
		"mirror read",
		{
			Holdfast: (i) => mirror.get(key(i)),
			Map: (i) => symbols.get(key(i)),
			zustand: (i) => states.getState()[key(i)],
			TinyBase: (i) => values.getValue(key(i)),
		},
		{ gives: (i) => i, bars: { Map: 0.5 } },
	);
}

// ─── Subscribers ───

{
	const heard = { Holdfast: 0, unstorage: 0, "cache-manager": 0, bentocache: 0, zustand: 0, TinyBase: 0 };
	const hear = (side: keyof typeof heard) => () => {
		heard[side]++;
	};
	const hasHeard = (side: keyof typeof heard) => async () => {
		const times = heard[side];
		heard[side] = 0;
		return times > 0;
	};
	using watching = shared.subscribe("counter", hear("Holdfast"));
	await watching.ready;
	const unwatch = await storage.watch(hear("unstorage"));
	cache.on("set", hear("cache-manager"));
	bento.on("cache:written", hear("bentocache"));
	const leave = zustand.subscribe(hear("zustand"));
	const listener = tinybase.addValueListener("counter", hear("TinyBase"));
	const {
		Holdfast,
		unstorage,
		"cache-manager": cacheManager,
		bentocache,
		zustand: set,
		TinyBase,
	} = setNumber;
	await suite.compare(
		"set, 1 subscriber that hears it",
		{ Holdfast, unstorage, "cache-manager": cacheManager, bentocache, zustand: set, TinyBase },
		{
			// A subscriber of Holdfast is not called in the middle of the writer's call.
			after: Object.fromEntries(
				(Object.keys(heard) as (keyof typeof heard)[]).map((side) => [side, hasHeard(side)]),
			),
			gives: () => true,
		},
	);
	await unwatch();
	leave();
	tinybase.delListener(listener);
}

for (const count of [1, 10_000, 100_000]) {
	const { shared: quiet } = createStateManager({ backend: memory() });
	const { shared: busy } = createStateManager({ backend: memory() });
	const others = Array.from({ length: count }, (_, i) => `other-${i}`);
	const hear = () => {};
	const watching = others.map((key) => busy.subscribe(key, hear));
	await Promise.all(watching.map(({ ready }) => ready));
	const bound = createStore<Record<string, unknown>>(() => ({}));
	for (const key of others)
		bound.subscribe((state, before) => {
			if (state[key] !== before[key]) hear();
		});
	const base = createTinyBase();
	for (const key of others) base.addValueListener(key, hear);
	await suite.compare(
		`set, ${count.toLocaleString("en")} on other keys`,
		{
			Holdfast: (i) => busy.set("counter", i),
			"Holdfast, no subscriber": (i) => quiet.set("counter", i),
			zustand: (i) => bound.setState({ counter: i }),
			TinyBase: (i) => base.setValue("counter", i),
		},
		{
			after: {
				Holdfast: () => busy.get("counter"),
				"Holdfast, no subscriber": () => quiet.get("counter"),
				zustand: () => bound.getState().counter,
				TinyBase: () => base.getValue("counter"),
			},
			gives: (i) => i,
			bars: {},
		},
	);
	for (const each of watching) each.stop();
}

// ─── A million keys ───

{
	const many = createStateManager({ backend: memory() });
	const stores = {
		keyv: new Keyv(),
		storage: createStorage(),
		cache: createCache(),
		bento: createBentoCache(),
	};
	const keys = Array.from({ length: 1_000_000 }, (_, i) => `position-${i}`);
	for (const [i, key] of keys.entries()) {
		await many.shared.set(key, i);
		await stores.keyv.set(key, i);
		await stores.storage.setItem(key, i);
		await stores.cache.set(key, i);
		await stores.bento.set({ key, value: i });
		map.set(key, i);
	}
	// Here and there, so that no cache of the processor holds what comes next.
	const place = (i: number) => (Math.imul(i, 7919) >>> 0) % 1_000_000;
	const key = (i: number) => keys[place(i)] as string;
	await suite.compare(
		"get of 1,000,000 keys",
		{
			Holdfast: (i) => many.shared.get(key(i)),
			Keyv: (i) => stores.keyv.get(key(i)),
			unstorage: (i) => stores.storage.getItem(key(i)),
			"cache-manager": (i) => stores.cache.get(key(i)),
			bentocache: (i) => stores.bento.get({ key: key(i) }),
			Map: (i) => map.get(key(i)),
		},
		{ gives: place },
	);
	await many.close();
}

await manager.close();
suite.end();
