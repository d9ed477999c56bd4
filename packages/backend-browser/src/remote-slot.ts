/**
 * One of the few streams that the tabs of an origin may hold. HTTP/1.1 gives an origin six connections: where six tabs each hold a
 * stream, the next request hangs. So four may, by Web Locks; HTTP/2 has no such limit.
 */
import type { Page } from "./remote-page.js";

/** How many streams an origin may hold over HTTP/1.1; the other two connections are for requests. */
const slots = 4;

/** Whether the browser has spoken HTTP/2 or newer with a server; it does not tell of other origins unless these allow it. */
function isMultiplexed(url: string): boolean {
	const { origin } = new URL(url);
	return performance.getEntriesByType("resource").some((entry) => {
		const { name, nextHopProtocol } = entry as PerformanceResourceTiming;
		return /^h[23]/.test(nextHopProtocol) && new URL(name).origin === origin;
	});
}

/** A place among the streams of an origin. */
export class Slot {
	readonly #page: Page;
	readonly #url: string;
	#release: (() => void) | undefined;
	#taking: Promise<boolean> | undefined;

	constructor(page: Page, url: string) {
		this.#page = page;
		this.#url = url;
	}

	/** Takes a place if one is free, or none is needed; keeps the one that it has. */
	take(): Promise<boolean> {
		this.#taking ??= this.#take().finally(() => {
			this.#taking = undefined;
		});
		return this.#taking;
	}

	/** Gives the place back. */
	release(): void {
		this.#release?.();
		this.#release = undefined;
	}

	async #take(): Promise<boolean> {
		const { locks } = this.#page;
		if (locks === undefined || this.#release !== undefined || isMultiplexed(this.#url)) return true;
		const { origin } = new URL(this.#url);
		for (let i = 0; i < slots; i++) {
			const release = await tryLock(locks, `holdfast:stream:${origin}:${i}`);
			if (release === undefined) continue;
			this.#release = release;
			return true;
		}
		return false;
	}
}

/** Takes a Web Lock if it is free; answers what gives it back. */
function tryLock(locks: LockManager, name: string): Promise<(() => void) | undefined> {
	return new Promise((resolve, reject) => {
		locks
			.request(name, { ifAvailable: true }, (lock) => {
				if (lock === null) {
					resolve(undefined);
					return undefined;
				}
				const { promise, resolve: release } = Promise.withResolvers<void>();
				resolve(release);
				return promise;
			})
			.catch(reject);
	});
}
