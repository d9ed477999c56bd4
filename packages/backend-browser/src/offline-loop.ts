/** When an offline queue is sent: at once where there may be something to send, and again with growing pauses where that failed. */
import type { Cancel } from "@holdfast/core";
import type { Sending } from "./offline-sending.js";
import { SendingTurn } from "./offline-turn.js";
import type { OfflineWrites } from "./offline-writes.js";
import type { RemoteParts } from "./remote-backend.js";

/** The pause before another attempt, in ms: the first, and the longest. */
const pauses = { first: 500, longest: 20_000 } as const;

/** What is sent, one run at a time. */
export class SendingLoop {
	readonly #parts: RemoteParts;
	readonly #sending: Sending;
	readonly #writes: () => OfflineWrites | undefined;
	readonly #turn: SendingTurn;
	#running: Promise<void> | undefined;
	#again = false;
	#pause = pauses.first as number;
	#retry: Cancel | undefined;
	#closed = false;

	/** `writes`: those of who uses the page now. */
	constructor(parts: RemoteParts, sending: Sending, writes: () => OfflineWrites | undefined) {
		this.#parts = parts;
		this.#sending = sending;
		this.#writes = writes;
		this.#turn = new SendingTurn(parts.page, parts.clock, parts.answerWithin);
	}

	/** Sends what waits, now. */
	wake(): void {
		this.#again = true;
		this.#running ??= this.#run().finally(() => {
			this.#running = undefined;
			if (this.#again) this.wake();
		});
	}

	/** Begins nothing any more; resolves when what was begun has ended. */
	async close(): Promise<void> {
		this.#closed = true;
		this.#retry?.();
		this.#turn.close();
		await this.#running;
	}

	async #run(): Promise<void> {
		this.#retry?.();
		this.#retry = undefined;
		while (this.#again && !this.#closed) {
			this.#again = false;
			let done = false;
			try {
				done = await this.#sendOnce();
			} catch {
				// The device's store failed: what was sent is found out by what the server has counted.
			}
			if (done) this.#pause = pauses.first;
			else if (!this.#again && !this.#closed) this.#sendLater();
		}
		if (this.#closed) this.#again = false;
	}

	#sendLater(): void {
		const { clock, random } = this.#parts;
		const ms = this.#pause * (0.5 + random() / 2);
		this.#pause = Math.min(pauses.longest, this.#pause * 2);
		this.#retry = clock.after(ms, () => this.wake(), true);
	}

	async #sendOnce(): Promise<boolean> {
		const { identity, page, reads, url } = this.#parts;
		const writes = this.#writes();
		const scope = writes?.lines.sendable[0];
		if (writes === undefined || scope === undefined) return true;
		if (!page.connected) return false;
		// Who asks has to be known first: what one user wrote is never sent as another.
		if (identity.user === undefined) await reads.read([{ scope, keys: [] }])[0];
		if (identity.user !== writes.user) return identity.user !== undefined;
		// Where another tab sends, this one looks again later, for it may be closed meanwhile.
		return this.#turn.take(`holdfast:queue:${url} ${writes.user}`, (mine) =>
			this.#sending.send(writes, mine),
		);
	}
}
