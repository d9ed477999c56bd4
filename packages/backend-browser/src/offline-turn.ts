/**
 * Which of the tabs sends: the one that holds a Web Lock, and says so all the while. A tab that is frozen in the middle keeps its lock and falls
 * silent: another one takes it. What the frozen tab sends when it goes on is known to the server, which counts.
 */
import type { Cancel, Clock } from "@holdfast/core";
import type { Page } from "./remote-page.js";

/** How often a tab says that it is at it, in ms. */
const beatEvery = 1000;

/** The turns of one tab. */
export class SendingTurn {
	readonly #page: Page;
	readonly #clock: Clock;
	/** How long a tab may be silent, in ms. */
	readonly #silence: number;
	#name: string | undefined;
	#channel: BroadcastChannel | undefined;
	readonly #end = Promise.withResolvers<undefined>();
	#closed = false;
	/** Since when another tab is known to be at it, by the monotonic clock. */
	#heardAt: number | undefined;

	constructor(page: Page, clock: Clock, silence: number) {
		this.#page = page;
		this.#clock = clock;
		this.#silence = silence;
	}

	/** Does the work if it is this tab's turn, else answers `false`. `mine` tells whether it still is. */
	async take(name: string, work: (mine: () => boolean) => Promise<boolean>): Promise<boolean> {
		const { locks } = this.#page;
		if (this.#closed) return false;
		if (locks === undefined) return work(() => true);
		this.#listen(name);
		let held = true;
		let working: Promise<boolean> | undefined;
		const begin = (lock: Lock | null): Promise<boolean> | undefined => {
			if (lock === null || this.#closed) return undefined;
			this.#heardAt = undefined;
			working = work(() => held).finally(this.#beat());
			return working;
		};
		try {
			// A page that is rendered ahead is not answered before it is shown, which may be never.
			const done = await Promise.race([locks.request(name, { ifAvailable: true }, begin), this.#end.promise]);
			if (this.#closed) return (await working) ?? false;
			if (done !== undefined) return done;
			const now = this.#clock.monotonic();
			this.#heardAt ??= now;
			if (now - this.#heardAt <= this.#silence) return false;
			return (await locks.request(name, { steal: true }, begin)) ?? false;
		} catch (error) {
			if ((error as Error).name !== "AbortError") throw error;
			// Another tab has taken it: what this one was at it leaves as soon as it can.
			held = false;
			await working;
			return false;
		}
	}

	/** Takes none any more: who waits for one waits no longer. */
	close(): void {
		this.#closed = true;
		this.#end.resolve(undefined);
		this.#channel?.close();
		this.#channel = undefined;
	}

	#listen(name: string): void {
		if (name === this.#name) return;
		this.#name = name;
		this.#heardAt = undefined;
		this.#channel?.close();
		this.#channel = this.#page.channel(name);
		this.#channel?.addEventListener("message", () => {
			this.#heardAt = this.#clock.monotonic();
		});
	}

	#beat(): Cancel {
		let cancel: Cancel = () => {};
		const beat = (): void => {
			this.#channel?.postMessage(null);
			cancel = this.#clock.after(beatEvery, beat, true);
		};
		beat();
		return () => cancel();
	}
}
