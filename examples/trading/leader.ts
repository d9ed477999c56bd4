/** Work that only one process of a fleet may do at a time. */
import { setTimeout as sleep } from "node:timers/promises";
import { isHoldfastError, type Lease } from "@holdfast/core";
import type { Shared } from "./state.ts";

/**
 * Does the work whenever this process holds the lock, until the signal aborts. The work must end when its own signal aborts, which
 * tells that too; where it fails because the lease was lost or the store was out of reach, it starts again.
 */
export async function lead(
	shared: Shared,
	name: string,
	signal: AbortSignal,
	work: (lease: Lease, signal: AbortSignal) => Promise<void>,
): Promise<void> {
	while (!signal.aborted) {
		try {
			await shared.lock(name, { signal }, (lease) => work(lease, AbortSignal.any([signal, lease.signal])));
		} catch (error) {
			if (signal.aborted) return;
			if (!isHoldfastError(error)) throw error;
			if (error.code !== "lock-held") console.error(`${name}: ${error.message}`);
			await sleep(1000, undefined, { signal }).catch(() => {});
		}
	}
}
