/** Trades what comes into the shared scope: every bar once, in order, also across a restart of the process. */
import type { Lease } from "@holdfast/core";
import type { Bar } from "./bar.ts";
import type { Account, Position } from "./broker.ts";
import { Desk, type DeskOptions, type Step } from "./desk.ts";
import type { Shared, Strategy } from "./state.ts";

/** A key with its value, as listings, changes and resets have them. */
interface Member {
	readonly key: string;
	readonly value: unknown;
}

/** Bars whose outcome goes into one commit. */
const batchSize = 200;

/** Follows the scope's log for as long as the lease lasts. */
export async function trade(
	shared: Shared,
	options: DeskOptions,
	lease: Lease,
	signal: AbortSignal,
): Promise<void> {
	const present = shared.mirror("**", { signal });
	await present.ready;
	const [members, from] = [present.list(), present.revision];
	present.close();

	let desk = openDesk(options, members);
	await advance(shared, desk, barsIn(members, options.symbol), lease);
	for await (const record of shared.changes({ from, signal })) {
		const changes: readonly Member[] = record.type === "commit" ? record.changes : record.entries;
		const run = changes.find(({ key }) => key === "run")?.value;
		const restarted = run !== undefined && run !== desk.run;
		if (record.type === "reset") desk = openDesk(options, changes);
		else if (restarted) desk = new Desk(Number(run), options);
		if (restarted) await write(shared, desk, [], lease);
		await advance(shared, desk, barsIn(changes, options.symbol), lease);
	}
}

/** A desk that goes on with the books in the store, if they are of the present run. */
function openDesk(options: DeskOptions, members: readonly Member[]): Desk {
	const stored = new Map(members.map(({ key, value }) => [key, value]));
	const run = (stored.get("run") as number | undefined) ?? 1;
	const strategy = stored.get("strategy") as Strategy | undefined;
	const account = stored.get("account") as Account | undefined;
	const position = stored.get(`positions/${options.symbol}`) as Position | undefined;
	const goesOn = strategy?.run === run && account !== undefined && position !== undefined;
	return new Desk(run, options, goesOn ? { account, position, date: strategy.date } : undefined);
}

/** The bars of a symbol with their days; what was deleted is none. */
const barsIn = (members: readonly Member[], symbol: string): (readonly [date: string, bar: Bar])[] =>
	members
		.filter(({ key, value }) => key.startsWith(`bars/${symbol}/`) && value !== undefined)
		.map(({ key, value }) => [key.slice(key.lastIndexOf("/") + 1), value as Bar]);

async function advance(
	shared: Shared,
	desk: Desk,
	bars: readonly (readonly [date: string, bar: Bar])[],
	lease: Lease,
): Promise<void> {
	for (let i = 0; i < bars.length; i += batchSize) {
		const steps = bars.slice(i, i + batchSize).flatMap(([date, bar]) => desk.step(date, bar) ?? []);
		if (steps.length > 0) await write(shared, desk, steps, lease);
	}
}

/** Money, position and facts in one commit: nobody ever sees one without the others, nor of a run that is over. */
async function write(shared: Shared, desk: Desk, steps: readonly Step[], lease: Lease): Promise<void> {
	await shared.commit(
		async (tx) => {
			const { run, account, position, strategy } = desk;
			if ((await tx.get("run")) !== run) return;
			tx.set("account", account);
			tx.set(`positions/${position.symbol}`, position);
			tx.set("strategy", strategy);
			for (const { date, equity, filled } of steps) {
				tx.set(`equity/${date}`, equity);
				if (filled === undefined) continue;
				tx.set(`trades/${date}`, filled.trade);
				tx.emit("order_placed", { ...filled.order, run });
				tx.emit("trade_executed", { ...filled.trade, run });
			}
		},
		{ fence: lease },
	);
}
