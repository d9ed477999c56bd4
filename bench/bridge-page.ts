/** The page of the bridge suite: a listener in Chromium. */
import { remote } from "@holdfast/backend-browser";
import { createStateManager } from "@holdfast/core";
import { io } from "socket.io-client";
import type { Now, Side, Told } from "./bridge-server.ts";

/** What the suite calls in the page. */
export interface BridgePage {
	/** Listens from now on. */
	listen(side: Side): Promise<void>;
	/** How late so many changes were heard, in ms. */
	heard(changes: number): Promise<number[]>;
}

/** How often the machine's clock is asked for. */
const asks = 300;

/** How far the machine's monotonic clock is ahead of the page's. */
let ahead = 0;
const late: number[] = [];

const hear = ({ at }: Told): void => {
	late.push(performance.now() + ahead - at);
};

/**
 * Both clocks are known by the wall clock, which may have been set since. An answer of the server lies between question and answer: what
 * contradicts that is corrected.
 */
async function setClock(): Promise<void> {
	let least = Number.NEGATIVE_INFINITY;
	let most = Number.POSITIVE_INFINITY;
	let byWall = 0;
	for (let i = 0; i < asks; i++) {
		const from = performance.now();
		const now: Now = await (await fetch("/now", { cache: "no-store" })).json();
		const to = performance.now();
		least = Math.max(least, now.machine - to);
		most = Math.min(most, now.machine - from);
		byWall = performance.timeOrigin + now.machine - now.wall;
	}
	ahead = Math.min(most, Math.max(least, byWall));
}

const page: BridgePage = {
	async listen(side) {
		await setClock();
		if (side === "Holdfast") {
			const { shared } = createStateManager({ backend: remote({ url: "/" }) });
			await shared.subscribe("positions/*", ({ value }) => hear(value as Told), { queue: 100_000 }).ready;
		} else {
			const socket = io({ transports: ["websocket"] });
			socket.on("change", hear);
			socket.on("changes", (told: readonly Told[]) => told.forEach(hear));
			await new Promise((resolve) => socket.once("connect", () => resolve(undefined)));
		}
	},
	async heard(changes) {
		while (late.length < changes) await new Promise((resolve) => setTimeout(resolve, 10));
		return late.splice(0);
	},
};
Object.assign(globalThis, { bench: page });
