/** A server with users, and pages of theirs that keep what they do without a network: for tests. */
import {
	type Backend,
	createStateManager,
	isHoldfastError,
	memory,
	type StateDefinition,
	type StateManager,
	type StateShape,
} from "@holdfast/core";
import { remembering, TestClock } from "@holdfast/core/testing";
import { afterEach, expect, vi } from "vitest";
import type { OfflineOptions, OfflineQueue } from "./offline.js";
import { offlineQueue } from "./offline-queue.js";
import { type RemoteOptions, remote } from "./remote.js";
import type { RemoteBackend } from "./remote-backend.js";
import type { Page } from "./remote-page.js";
import { StateServer } from "./state-server.js";

/** What ends with the test, the last first. */
export const ends: (() => unknown)[] = [];

/** The clocks of the test's pages. */
const clocks = new Set<TestClock>();

afterEach(async () => {
	for (const end of ends.splice(0).reverse()) await end();
	clocks.clear();
});

export const deferred = { durability: "deferred" } as const;

/** Waits for it; meanwhile the pages' time passes ten times as fast, so that the pauses between their attempts are short. */
export const eventually = <T>(assertion: () => T | Promise<T>): Promise<T> => {
	const look = (): T | Promise<T> => {
		for (const clock of clocks) clock.jump(100);
		return assertion();
	};
	return vi.waitFor(look, { timeout: 30_000, interval: 10 });
};

/** A clock for managers, whose calls then end by what comes of them: however long the machine takes, it is no time-out. */
export const stillClock = (): TestClock => new TestClock({ still: true });

/** An answer of a manager with a clock that stands still: the pauses between its attempts pass at once. */
export async function withoutPauses<T>(clock: TestClock, answer: Promise<T>): Promise<T> {
	let isOver = false;
	const over = answer.finally(() => {
		isOver = true;
	});
	over.catch(() => {});
	while (!isOver) {
		const { untilNext } = clock;
		if (untilNext !== null && untilNext <= 250) clock.jump(Math.ceil(untilNext));
		await new Promise((resolve) => setTimeout(resolve, 1));
	}
	return over;
}

/** How a call ended: its error's code, or `done`. */
export const codeOf = (answer: Promise<unknown>): Promise<unknown> =>
	answer.then(
		() => "done",
		(error) => (isHoldfastError(error) ? error.code : error),
	);

/** A server that knows who asks by a cookie, what it stores, and whom it grants what. */
export class Bank {
	/** The browser's cookie; `undefined`: nobody is logged in. */
	user: string | undefined = "ada";
	readonly closed = new Set<string>();
	readonly store = remembering(memory());
	/** What is stored, as the server sees it. */
	readonly manager = createStateManager({ backend: this.store });
	server!: StateServer;

	/** `state`: what the server checks. */
	static async open(state?: StateDefinition<StateShape>): Promise<Bank> {
		const bank = new Bank();
		const source =
			state === undefined
				? bank.store
				: (createStateManager({ backend: bank.store, state }) as unknown as StateManager);
		bank.server = await StateServer.start(source, {
			authorize: (request) => {
				const subject = request.headers.get("cookie");
				if (subject === null) return undefined;
				return {
					subject,
					can: ({ kind, id }) =>
						(kind === "shared" || id === subject) && !bank.closed.has(kind) ? "write" : "none",
				};
			},
		});
		ends.push(
			() => bank.manager.close(),
			() => bank.server.stop(),
		);
		return bank;
	}

	/** `fetch` as the browser does it, with its cookie. */
	readonly fetch: typeof fetch = (input, init) => {
		const headers = new Headers(init?.headers);
		if (this.user !== undefined) headers.set("cookie", this.user);
		headers.set("origin", new URL(String(input)).origin);
		return fetch(input, { ...init, headers });
	};

	/** The server comes back with nothing of what it held. */
	async lose(): Promise<void> {
		await this.server.stop();
		const { scopes } = await this.store.scopes({ prefix: "", after: null, limit: 1000 });
		for (const { scope } of scopes) await this.store.drop(scope);
		await this.server.run();
	}

	/** Keys and values in the order in which they were stored. */
	async history(scope = this.manager.shared): Promise<unknown[]> {
		const seen: unknown[] = [];
		const { revision } = await scope.commit(() => {});
		if (revision === 0) return seen;
		for await (const record of scope.changes({ from: 0 })) {
			if (record.type === "reset") throw new Error("the log was cut");
			for (const change of record.changes)
				seen.push([change.key, change.type === "set" ? change.value : change.type]);
			if (record.revision >= revision) break;
		}
		return seen;
	}
}

export interface Tab {
	readonly manager: StateManager;
	readonly backend: RemoteBackend;
	readonly queue: OfflineQueue;
}

/** A page, or the same after a reload: with the same store of the device. */
export function load(
	bank: Bank,
	device: Backend,
	options: Partial<RemoteOptions> & { readonly clock?: TestClock } = {},
	offline: OfflineOptions = {},
): Tab {
	const { clock = new TestClock() } = options;
	clocks.add(clock);
	// A server that is slow because the machine is has not fallen silent, and no call is given up for that.
	const queue = offlineQueue(device, { grace: "1h", ...offline });
	const backend = remote({
		url: bank.server.url,
		fetch: bank.fetch,
		offline: queue,
		answerWithin: "1h",
		...options,
		clock,
	});
	const manager = createStateManager({ backend, clock, timeout: "1h" });
	manager.on("error", () => {});
	ends.push(() => manager.close({ timeout: 1000 }));
	return { manager, backend, queue };
}

/** A page that has other tabs beside it, in the same process. */
export const tabPage: Page = {
	hidden: false,
	connected: true,
	get locks() {
		return navigator.locks;
	},
	channel: (name) => new BroadcastChannel(name),
	listen: () => () => {},
};

/** Waits until nothing waits to be sent. */
export const sent = ({ backend }: Tab): Promise<void> =>
	eventually(() => expect(backend.status.pending.count).toBe(0));
