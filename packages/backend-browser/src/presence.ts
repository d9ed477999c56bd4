/**
 * Who else uses a store: known for sure, so that a tab that is alone need not ask the store for what it knows, nor tell it to anybody.
 *
 * Each tab holds a Web Lock of its own; all of them can be listed. A tab that finds nobody else may believe that for the length of a lease,
 * and who comes does nothing before all leases are over that others may have: because they say so, or by waiting (Gray and Cheriton,
 * "Leases", 1989). So a tab that stands still, or runs out of its lease without a word, hinders nobody and believes nothing wrong.
 */

/** How long after it looked around a tab may believe to be alone, in ms. */
const lease = 250;

/** By how much longer others wait, in ms: browsers round what a clock says, some of them to 100 ms. */
const margin = 250;

/** How long a tab that is not alone does not look again, in ms. */
const pause = 500;

/** What tabs tell one another about it. */
export type PresenceMessage =
	/** Somebody came, and waits until others no longer believe to be alone. */
	| { readonly entered: string }
	/** One of them does not. */
	| { readonly yielded: string; readonly to: string };

/** This tab among those that use a store. */
export class Presence {
	readonly #id = crypto.randomUUID();
	readonly #name: string;
	readonly #tell: (message: PresenceMessage) => void;
	/** Lets go of the lock; another one each time that it comes. */
	#leave: (() => void) | undefined;
	#entering: Promise<void> | undefined;
	#isHere = false;
	#until = 0;
	#era: object | undefined;
	/** How often others were told that this tab does not believe to be alone. */
	#yields = 0;
	#lookAt = 0;
	#isLooking = false;
	/** Notes that another tab yielded to this one. */
	#yielded: ((id: string) => void) | undefined;

	/** @param name - which store it is. */
	constructor(name: string, tell: (message: PresenceMessage) => void) {
		this.#name = name;
		this.#tell = tell;
	}

	/**
	 * A time through which nobody else was there, without a break: what was read of the store within it is as it was read, but for what this tab
	 * wrote. `undefined`: somebody may be there.
	 */
	get alone(): object | undefined {
		if (!this.#isHere) return undefined;
		const now = performance.now();
		if (!this.#isLooking && now > Math.max(this.#until - lease / 2, this.#lookAt)) void this.#look();
		return now < this.#until ? this.#era : undefined;
	}

	/** Comes, `undefined` where it did before: from the answer on nobody else believes to be alone. */
	enter(): Promise<void> | undefined {
		if (this.#isHere) return undefined;
		this.#entering ??= this.#enter();
		return this.#entering;
	}

	/** Goes: others may be alone from now on. */
	leave(): void {
		this.#leave?.();
		this.#leave = undefined;
		this.#entering = undefined;
		this.#isHere = false;
		this.#until = 0;
	}

	/** Takes what another tab told. */
	hear(message: PresenceMessage): void {
		if ("entered" in message) {
			this.#yields++;
			this.#until = 0;
			this.#lookAt = performance.now() + pause;
			this.#tell({ yielded: this.#id, to: message.entered });
		} else if (message.to === this.#id) this.#yielded?.(message.yielded);
	}

	async #enter(): Promise<void> {
		const { promise: left, resolve: leave } = Promise.withResolvers<void>();
		this.#leave = leave;
		const { promise: held, resolve } = Promise.withResolvers<boolean>();
		const hold = (): Promise<void> => {
			resolve(true);
			return left;
		};
		try {
			void navigator.locks.request(this.#id + this.#name, hold).catch(() => resolve(false));
		} catch {
			// Only a secure context has locks: without them nobody of this origin has, and nobody believes to be alone.
			resolve(false);
		}
		if (await held) await this.#announce(await this.#look());
		else this.#lookAt = Number.POSITIVE_INFINITY;
		if (this.#leave === leave) this.#isHere = true;
	}

	/** Waits until none of those who were there when it came believes to be alone. */
	async #announce(others: ReadonlySet<string> | undefined): Promise<void> {
		if (others?.size === 0) return;
		// Who could not look waits for somebody that does not answer.
		const missing = new Set(others ?? [""]);
		const { promise, resolve } = Promise.withResolvers<void>();
		this.#yielded = (id) => {
			missing.delete(id);
			if (missing.size === 0) resolve();
		};
		setTimeout(resolve, lease + margin);
		this.#tell({ entered: this.#id });
		await promise;
	}

	/** Looks who else is there; `undefined`: there is no telling. */
	async #look(): Promise<ReadonlySet<string> | undefined> {
		this.#isLooking = true;
		const leave = this.#leave;
		const yields = this.#yields;
		const asked = performance.now();
		const found = await navigator.locks.query().catch(() => undefined);
		const now = performance.now();
		this.#isLooking = false;
		this.#lookAt = now + pause;
		if (found === undefined) return undefined;
		const { length } = this.#id;
		const present = new Set(
			(found.held ?? []).flatMap(({ name = "" }) =>
				name.slice(length) === this.#name ? [name.slice(0, length)] : [],
			),
		);
		const isHere = present.delete(this.#id) && this.#leave === leave;
		if (isHere && present.size === 0 && this.#yields === yields) {
			// Who came after the last look can have done something only after that lease, so until then nobody did.
			if (now > this.#until) this.#era = {};
			this.#until = asked + lease;
			this.#lookAt = 0;
		}
		return present;
	}
}
