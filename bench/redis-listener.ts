/** The other process of the Redis suite: hears what the suite's own process writes or publishes, and tells how late. */

import { redis } from "@holdfast/backend-redis";
import { createStateManager } from "@holdfast/core";
import { Redis } from "ioredis";

/** What the suite asks first: to listen so many times. */
export interface ListenOrder {
	readonly url: string;
	readonly listeners: number;
}

/** What it asks then: for what was heard since it asked last, so much of each. */
export interface ReportOrder {
	readonly Holdfast: number;
	readonly raw: number;
}

/** How late each was heard, in ms. */
export interface ListenerReport {
	readonly Holdfast: readonly number[];
	readonly raw: readonly number[];
}

/** Now, in ms of the machine's monotonic clock, which all processes share. */
export const machineTime = (): number => Number(process.hrtime.bigint()) / 1e6;

const heard = { Holdfast: [] as number[], raw: [] as number[] };
let enough: (() => void) | undefined;

async function listen({ listeners, url }: ListenOrder): Promise<void> {
	const manager = createStateManager({ backend: redis(url) });
	// The suite's server keeps nothing on disk, and says so.
	manager.on("error", () => {});
	const { shared } = manager;
	const subscriptions = Array.from({ length: listeners }, () =>
		shared.subscribe("sent", ({ value }) => {
			heard.Holdfast.push(machineTime() - Number(value));
			enough?.();
		}),
	);
	await Promise.all(subscriptions.map(({ ready }) => ready));
	const subscriber = new Redis(url);
	await subscriber.subscribe("sent");
	subscriber.on("message", (_channel, message: string) => {
		for (let i = 0; i < listeners; i++) heard.raw.push(machineTime() - Number(message));
		enough?.();
	});
}

/** Waits until that much was heard: what is on its way counts too. */
async function report({ Holdfast, raw }: ReportOrder): Promise<void> {
	await new Promise<void>((resolve) => {
		enough = () => {
			if (heard.Holdfast.length >= Holdfast && heard.raw.length >= raw) resolve();
		};
		enough();
	});
	enough = undefined;
	process.send?.({ Holdfast: heard.Holdfast.splice(0), raw: heard.raw.splice(0) } satisfies ListenerReport);
}

if (process.send !== undefined)
	process.on("message", (order: ListenOrder | ReportOrder) => {
		if ("listeners" in order) void listen(order).then(() => process.send?.("listening"));
		else void report(order);
	});
