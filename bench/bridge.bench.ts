/** From a change on the server to listeners in pages, beside socket.io: how late, and what it costs the server. */
import { type ChildProcess, fork, type Serializable } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { launchChromium } from "../scripts/chromium.ts";
import type { ConnectOrder, HeardOrder, HeardReport } from "./bridge-clients.ts";
import type { BridgePage } from "./bridge-page.ts";
import type { ChangeOrder, ChangeReport, Side } from "./bridge-server.ts";
import { Suite } from "./suite.ts";

const sides = ["Holdfast", "socket.io", "socket.io, 10 ms at once"] as const satisfies readonly Side[];
const perSecond = 1000;
const seconds = { warmUp: 2, measured: 5 } as const;
const rounds = 3;

type Found = ChangeReport & HeardReport;

const ask = async (child: ChildProcess, order: Serializable): Promise<unknown> => {
	child.send(order);
	return answer(child);
};

async function answer(child: ChildProcess): Promise<unknown> {
	const [told] = await Promise.race([
		once(child, "message"),
		once(child, "exit").then(() => Promise.reject(new Error(`${child.spawnargs.slice(1)} has ended`))),
	]);
	return told;
}

async function withServer<T>(
	side: Side,
	work: (port: number, change: (length: number) => Promise<ChangeReport>) => Promise<T>,
): Promise<T> {
	const server = fork(join(import.meta.dirname, "bridge-server.ts"), [side]);
	try {
		const port = (await answer(server)) as number;
		return await work(
			port,
			(length) => ask(server, { perSecond, seconds: length } satisfies ChangeOrder) as Promise<ChangeReport>,
		);
	} finally {
		await end(server);
	}
}

async function end(child: ChildProcess): Promise<void> {
	if (child.exitCode !== null) return;
	const exit = once(child, "exit");
	child.disconnect();
	await exit;
}

const toClients = (side: Side, clients: number): Promise<Found> =>
	withServer(side, async (port, change) => {
		const process = fork(join(import.meta.dirname, "bridge-clients.ts"));
		try {
			await ask(process, { side, port, clients } satisfies ConnectOrder);
			let found: Found | undefined;
			for (const length of [seconds.warmUp, seconds.measured]) {
				const changed = await change(length);
				const { changes } = changed;
				const heard = (await ask(process, { changes } satisfies HeardOrder)) as HeardReport;
				found = { ...changed, ...heard };
			}
			return found as Found;
		} finally {
			await end(process);
		}
	});

const toPage = (side: Side): Promise<readonly number[]> =>
	withServer(side, async (port, change) => {
		const browser = await launchChromium({ whole: true });
		try {
			const page = await browser.newPage();
			await page.goto(`http://127.0.0.1:${port}/`);
			await page.waitForFunction(() => "bench" in globalThis);
			await page.evaluate(
				(asked) => (globalThis as unknown as { bench: BridgePage }).bench.listen(asked),
				side,
			);
			let late: readonly number[] = [];
			for (const length of [seconds.warmUp, seconds.measured]) {
				const { changes } = await change(length);
				late = await page.evaluate(
					(expected) => (globalThis as unknown as { bench: BridgePage }).bench.heard(expected),
					changes,
				);
			}
			return late;
		} finally {
			await browser.close();
		}
	});

const median = (figures: readonly number[]): number =>
	[...figures].sort((a, b) => a - b)[figures.length >> 1] as number;

const suite = new Suite("bridge");
const beside = { "socket.io": 1 };

for (const clients of [1, 100, 1000]) {
	const found = new Map<Side, Found[]>(sides.map((side) => [side, []]));
	for (let round = 0; round < rounds; round++)
		for (const side of sides) found.get(side)?.push(await toClients(side, clients));
	const middle = (figure: keyof Found) => {
		const [ours = 0, ...theirs] = sides.map((side) =>
			median((found.get(side) ?? []).map((one) => one[figure])),
		);
		return [ours, Object.fromEntries(sides.slice(1).map((side, i) => [side, theirs[i] ?? 0]))] as const;
	};
	const name = `to ${clients.toLocaleString("en")} client${clients === 1 ? "" : "s"}`;
	const bars = clients === 1000 ? beside : {};
	suite.record(`${name}, p50`, "ms", ...middle("p50"));
	suite.record(`${name}, p99`, "ms", ...middle("p99"), bars);
	suite.record(`${name}, the server's CPU`, "cpu %", ...middle("cpu"), bars);
	const [Holdfast, peers] = middle("perSecond");
	suite.add(`${name}, changes`, { Holdfast, ...peers }, {});
}

const late = new Map<Side, number[]>(sides.map((side) => [side, []]));
for (let round = 0; round < rounds; round++)
	for (const side of sides) late.get(side)?.push(...(await toPage(side)));
const quantile = (side: Side, part: number): number => {
	const sorted = (late.get(side) ?? []).sort((a, b) => a - b);
	return sorted[Math.floor((sorted.length - 1) * part)] as number;
};
for (const [name, part] of [
	["p50", 0.5],
	["p99", 0.99],
] as const)
	suite.record(
		`to a page in Chromium, ${name}`,
		"ms",
		quantile("Holdfast", part),
		Object.fromEntries(sides.slice(1).map((side) => [side, quantile(side, part)])),
	);
suite.end();
