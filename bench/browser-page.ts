/** What the browser suite measures, in the page: ours and its peers, on the same device. */
import { browser } from "@holdfast/backend-browser";
import { createStateManager } from "@holdfast/core";
import * as idbKeyval from "idb-keyval";
import localforage from "localforage";
import { persist } from "zustand/middleware";
import { createStore } from "zustand/vanilla";
import { measure, type Operation } from "./measure.ts";

/** Operations a second by side. */
type Figures = Readonly<Record<string, number>>;

/** How many sets a turn of the event loop has. */
const turn = 1000;

/** How many entries a listing has. */
const listed = 10_000;

const manager = createStateManager({ backend: browser({ name: "bench" }) });
const { shared } = manager;
const list = manager.scope("list", "entries");
const turns = manager.scope("list", "turns");
const idbList = idbKeyval.createStore("bench list", "entries");
const forageList = localforage.createInstance({ name: "bench forage list" });
const zustand = createStore<Record<string, unknown>>()(persist(() => ({}), { name: "bench zustand" }));

const position = (i: number) => ({ symbol: "AAPL", quantity: i, price: i + 0.5 });

/** Measures operations of which each counts for several. */
async function rates(sides: Readonly<Record<string, readonly [Operation, number]>>): Promise<Figures> {
	const names = Object.keys(sides);
	const measured = await measure(Object.values(sides).map(([operation]) => operation));
	return Object.fromEntries(names.map((name, i) => [name, (measured[i] ?? 0) * (sides[name]?.[1] ?? 1)]));
}

/** Fails where a side did not do what it was measured at. */
function expectSame(what: string, found: unknown, expected: unknown): void {
	if (JSON.stringify(found) !== JSON.stringify(expected))
		throw new Error(`${what}: ${JSON.stringify(found)} is not ${JSON.stringify(expected)}`);
}

async function forage(): Promise<number> {
	let count = 0;
	await forageList.iterate(() => {
		count++;
	});
	return count;
}

const ours = async (): Promise<number> => {
	let count = 0;
	for await (const _ of list.list()) count++;
	return count;
};

const idbEntries = async (): Promise<number> => (await idbKeyval.entries(idbList)).length;

async function fill(): Promise<void> {
	const entries = Array.from({ length: listed }, (_, i) => [`key/${i}`, position(i)] as const);
	await Promise.all(entries.map(([key, value]) => list.set(key, value)));
	await idbKeyval.setMany([...entries] as [string, unknown][], idbList);
	for (const [key, value] of entries) await forageList.setItem(key, value);
	for (const [side, count] of Object.entries({ ours, idbEntries, forage }))
		expectSame(side, await count(), listed);
}

const cases: Readonly<Record<string, () => Promise<Figures>>> = {
	async set() {
		const figures = await rates({
			Holdfast: [(i) => shared.set("position", position(i)), 1],
			"idb-keyval": [(i) => idbKeyval.set("position", position(i)), 1],
			localforage: [(i) => localforage.setItem("position", position(i)), 1],
		});
		for (const value of [await shared.get("position"), await idbKeyval.get("position")])
			expectSame("the symbol", (value as { symbol: string }).symbol, "AAPL");
		return figures;
	},
	// Apart: what it leaves to be written would slow down whoever comes next.
	zustand: () =>
		rates({
			Holdfast: [(i) => shared.set("position", position(i)), 1],
			"zustand persist": [(i) => zustand.setState({ position: position(i) }), 1],
		}),
	async turn() {
		const keys = Array.from({ length: turn }, (_, i) => `key/${i}`);
		const figures = await rates({
			Holdfast: [(i) => Promise.all(keys.map((key) => turns.set(key, position(i)))), turn],
			"idb-keyval, one by one": [(i) => idbKeyval.set("position", position(i)), 1],
			"idb-keyval, at once": [(i) => Promise.all(keys.map((key) => idbKeyval.set(key, position(i)))), turn],
			"idb-keyval setMany": [(i) => idbKeyval.setMany(keys.map((key) => [key, position(i)])), turn],
		});
		expectSame("the count", await turns.count(), turn);
		return figures;
	},
	async get() {
		const mirror = shared.mirror();
		await mirror.ready;
		expectSame("the mirror", mirror.get("position"), await shared.get("position"));
		return rates({
			Holdfast: [() => shared.get("position"), 1],
			"idb-keyval": [() => idbKeyval.get("position"), 1],
			localforage: [() => localforage.getItem("position"), 1],
		});
	},
	async mirror() {
		const mirror = shared.mirror();
		await mirror.ready;
		return rates({
			Holdfast: [() => mirror.get("position"), 1],
			"zustand persist": [() => zustand.getState().position, 1],
		});
	},
	async list() {
		await fill();
		return rates({ Holdfast: [ours, 1], "idb-keyval": [idbEntries, 1], localforage: [forage, 1] });
	},
};

const raw = new BroadcastChannel("bench raw");
const stored = new BroadcastChannel("bench stored");

/** Answers what the other tab asks, each way in its own. */
async function echo(): Promise<void> {
	raw.onmessage = ({ data }) => raw.postMessage(-data);
	stored.onmessage = async () => {
		const asked: number = (await idbKeyval.get("ping")) ?? 0;
		await idbKeyval.set("pong", asked);
		stored.postMessage(0);
	};
	await shared.subscribe("ping", ({ value }) => shared.set("pong", value)).ready;
}

/** Asks the other tab and waits for the answer, over and over. */
async function roundTrips(): Promise<Figures> {
	let answered: (() => void) | undefined;
	const answer = (): Promise<void> =>
		new Promise((resolve) => {
			answered = resolve;
		});
	raw.onmessage = () => answered?.();
	stored.onmessage = () => answered?.();
	let expected: unknown;
	await shared.subscribe("pong", ({ value }) => {
		if (value === expected) answered?.();
	}).ready;
	let count = 0;
	return rates({
		Holdfast: [
			async () => {
				expected = ++count;
				const heard = answer();
				await shared.set("ping", count);
				await heard;
			},
			1,
		],
		BroadcastChannel: [
			async (i) => {
				const heard = answer();
				raw.postMessage(i + 1);
				await heard;
			},
			1,
		],
		"idb-keyval and BroadcastChannel": [
			async (i) => {
				const heard = answer();
				await idbKeyval.set("ping", i);
				stored.postMessage(0);
				await heard;
			},
			1,
		],
	});
}

/** What the suite calls in the page. */
export interface BenchPage {
	run(name: string): Promise<Figures>;
	echo(): Promise<void>;
	roundTrips(): Promise<Figures>;
}

const page: BenchPage = {
	run: (name) => (cases[name] as () => Promise<Figures>)(),
	echo,
	roundTrips,
};
Object.assign(globalThis, { bench: page });
