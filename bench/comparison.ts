/** Writes the figures of docs/comparison.md from `results/`, so that the page says what was measured last. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { figures, type Row } from "./report.ts";

const page = join(import.meta.dirname, "../docs/comparison.md");

const ratioOf = new Intl.NumberFormat("en", { maximumSignificantDigits: 2 });

/** What the page shows of each suite, cases and peers by their names, also where we are behind. */
const shown = {
	core: [
		["set, small object", "Keyv", "unstorage", "cache-manager", "bentocache", "zustand", "TinyBase"],
		["get, small object", "Keyv", "unstorage", "cache-manager", "bentocache", "zustand", "TinyBase"],
		["commit of 10 keys", "Keyv", "unstorage", "cache-manager"],
		["set, 1 subscriber that hears it", "unstorage", "zustand"],
		["set, 100,000 on other keys", "zustand", "TinyBase"],
		["lock and unlock", "async-mutex"],
		["mirror read", "Map", "zustand"],
		["memory of 1,000,000 keys", "Map", "Keyv", "unstorage"],
	],
	redis: [
		["get, 1 at once", "ioredis", "@keyv/redis", "unstorage"],
		["get, 512 at once", "ioredis, auto-pipelined", "@keyv/redis", "unstorage"],
		["get of what this process watches", "ioredis", "bentocache, from memory"],
		["commit, 1 at once on one scope", "ioredis", "@keyv/redis"],
		["commit, 512 at once on one scope", "ioredis, auto-pipelined", "@keyv/redis"],
		["commit, 512 at once on 512 scopes", "ioredis, auto-pipelined", "@keyv/redis"],
		["lock and unlock", "redis-semaphore", "redlock"],
		["lock and unlock, 32 contenders", "redis-semaphore", "redlock"],
		["set to listener elsewhere, median", "publish to message"],
		["session of 12 values in the server", "a hash"],
	],
	sql: [
		["SQLite: set", "by hand", "@keyv/sqlite, WAL"],
		["SQLite: get", "by hand", "@keyv/sqlite, WAL"],
		["Postgres: set", "pg, by hand", "@keyv/postgres"],
		["Postgres: get", "pg, by hand", "@keyv/postgres"],
		["Postgres: 512 at once, one hot scope", "pg, plain upsert", "@keyv/postgres"],
		["Postgres: 512 gets at once", "pg, pooled selects", "@keyv/postgres"],
		["Postgres: set to another process, p50", "pg, LISTEN and a select"],
	],
	browser: [
		["set", "idb-keyval", "localforage"],
		["set, 1,000 in a turn", "idb-keyval, one by one", "idb-keyval setMany"],
		["get", "idb-keyval"],
		["to another tab and back", "idb-keyval and BroadcastChannel"],
	],
	bridge: [
		["to 1 client, p50", "socket.io", "socket.io, 10 ms at once"],
		["to 1,000 clients, p50", "socket.io", "socket.io, 10 ms at once"],
		["to 1,000 clients, the server's CPU", "socket.io", "socket.io, 10 ms at once"],
	],
} as const;

interface Results {
	readonly machine: Readonly<Record<"cpu" | "cores" | "node" | "date", string | number>>;
	readonly rows: readonly Row[];
}

function table(suite: keyof typeof shown): string[] {
	const file = join(import.meta.dirname, `results/${suite}.json`);
	const { machine, rows } = JSON.parse(readFileSync(file, "utf8")) as Results;
	const lines = shown[suite].flatMap(([name, ...peers]) =>
		peers.flatMap((peer) => {
			// A case that a suite no longer has leaves the page, too.
			const row = rows.find((each) => each.case === name && each.peer === peer);
			if (row === undefined) return [];
			const [ours, theirs] = figures(row);
			const kind = row.sync ? `${peer} (at once, no promise)` : peer;
			return [`| ${name} | ${ours} | ${kind} | ${theirs} | ${ratioOf.format(row.ratio)} |`];
		}),
	);
	return [
		`### ${suite}`,
		"",
		"| case | Holdfast | beside | its figure | ratio |",
		"| --- | ---: | --- | ---: | ---: |",
		...lines,
		"",
		`${machine.cpu}, ${machine.cores} cores, Node ${machine.node}, ${String(machine.date).slice(0, 10)}.`,
		"",
	];
}

/** Puts the newest figures between the page's marks. */
export function writeComparison(): void {
	const [begin, end] = ["<!-- figures: npm run bench writes them -->", "<!-- end of the figures -->"];
	const text = readFileSync(page, "utf8");
	const found = (Object.keys(shown) as (keyof typeof shown)[]).flatMap(table).join("\n");
	const [before = "", rest = ""] = text.split(begin);
	const [, after] = rest.split(end);
	if (after === undefined) throw new Error(`${page} lacks its marks.`);
	writeFileSync(page, `${before}${begin}\n\n${found}\n${end}${after}`);
}
