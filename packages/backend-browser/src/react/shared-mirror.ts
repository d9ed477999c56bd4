/** A mirror that several components read: opened by the first, kept for a while after the last. */
import type { Mirror, StateEntry } from "@holdfast/core";

// Its keys and values are typed by the hooks.
// biome-ignore lint/suspicious/noExplicitAny: the types of a scope's keys exist in its interface only
export type AnyMirror = Mirror<any, string>;

type Members = ReturnType<AnyMirror["list"]>;

/**
 * How long a mirror outlives its last reader, in ms: React unmounts and mounts again (StrictMode, a hidden Activity, a change of page), and
 * a mirror that was only suspended on has no reader yet.
 */
const keptFor = 5000;

/** How long a failure stands, in ms: React renders again at once and must find it; who asks later asks anew. */
const failedFor = 1000;

/** What a server rendered, and the first render in the browser must show again, whatever came since: it meets the server's HTML. */
interface FirstView {
	readonly members: Members;
	/** The value, if the pattern is one key. */
	readonly value: unknown;
	readonly entries: readonly StateEntry[];
}

/** A promise as React's `use` looks at it: one that says it is fulfilled does not suspend. */
interface Usable extends Promise<void> {
	status?: "fulfilled";
	value?: undefined;
}

function fulfil(promise: Usable): void {
	promise.status = "fulfilled";
	promise.value = undefined;
}

/** Opens a mirror that shows some entries until it heard the store. */
export type OpenMirror = (initial: readonly StateEntry[]) => AnyMirror;

/** One mirror and who reads it. */
export class SharedMirror {
	/** Whether a component ever followed it. */
	wasRead = false;
	readonly #pattern: string;
	readonly #open: OpenMirror;
	readonly #closed: (mirror: SharedMirror) => void;
	readonly #isRendering: boolean;
	#first: FirstView | undefined;
	#mirror: AnyMirror;
	#isOpen = true;
	#shown: Usable;
	#readers = 0;
	#timer: ReturnType<typeof setTimeout> | undefined;

	constructor(
		pattern: string,
		open: OpenMirror,
		handedOver: readonly StateEntry[] | undefined,
		isRendering: boolean,
		closed: (mirror: SharedMirror) => void,
	) {
		this.#pattern = pattern;
		this.#open = open;
		this.#isRendering = isRendering;
		this.#closed = closed;
		this.#mirror = open(handedOver ?? []);
		if (handedOver !== undefined) this.#first = this.#view;
		const heard = this.#whenShown(this.#mirror.ready);
		this.#shown = handedOver === undefined ? heard : Promise.resolve();
		if (handedOver !== undefined) fulfil(this.#shown);
	}

	/**
	 * Resolves when it can be shown; what a server handed over can be at once. The same promise each time, and to be used at each render:
	 * React knows the promises of a component by their order.
	 */
	get shown(): Promise<void> {
		return this.#shown;
	}

	/** The mirror as it is now. */
	get mirror(): AnyMirror {
		return this.#mirror;
	}

	/** Whether it can be shown. */
	get isShown(): boolean {
		return this.#shown.status === "fulfilled";
	}

	/** The members now. */
	get members(): Members {
		return this.#mirror.list();
	}

	/** The value now, of a mirror of one key. */
	get value(): unknown {
		return this.#pattern.includes("*") ? undefined : this.#mirror.get(this.#pattern);
	}

	/** The members as they are rendered on a server, and by a render that meets its HTML. */
	get firstMembers(): Members {
		return this.#meet().members;
	}

	/** The value as it is rendered on a server, and by a render that meets its HTML. */
	get firstValue(): unknown {
		return this.#meet().value;
	}

	/** What was rendered of it, to be handed over. */
	get rendered(): readonly StateEntry[] | undefined {
		return this.#first?.entries;
	}

	// Bound: useSyncExternalStore subscribes again whenever it is given another function.
	readonly subscribe = (listener: () => void): (() => void) => {
		this.#readers++;
		this.wasRead = true;
		clearTimeout(this.#timer);
		if (!this.#isOpen) this.#reopen();
		const unsubscribe = this.#mirror.subscribe(listener);
		return () => {
			unsubscribe();
			this.#readers--;
			this.#closeLater();
		};
	};

	/** Stops following. Who still reads it sees what it showed last. */
	close(): void {
		if (!this.#isOpen) return;
		this.#isOpen = false;
		clearTimeout(this.#timer);
		this.#mirror.close();
		this.#closed(this);
	}

	get #view(): FirstView {
		const { members, value } = this;
		return { members, value, entries: members.map(({ key }) => this.#mirror.entry(key) as StateEntry) };
	}

	#meet(): Pick<FirstView, "members" | "value"> {
		// The state goes on while a page is rendered and sent: all of its parts, and what is handed over, tell of one moment.
		if (this.#isRendering && this.isShown) this.#first ??= this.#view;
		return this.#first ?? this;
	}

	// A component that was hidden for longer comes back with the mirror that it had.
	#reopen(): void {
		this.#isOpen = true;
		this.#mirror = this.#open(this.#view.entries);
		void this.#whenShown(this.#mirror.ready);
	}

	#whenShown(heard: Promise<void>): Usable {
		const mirror = this.#mirror;
		const promise: Usable = heard.then(
			() => {
				fulfil(promise);
				this.#closeLater();
			},
			(error: unknown) => {
				setTimeout(() => this.#askAgain(mirror), failedFor);
				throw error;
			},
		);
		// Who suspends on it hears of it; who does not sees what there is, and manager.on("error") says why.
		promise.catch(() => {});
		return promise;
	}

	#askAgain(mirror: AnyMirror): void {
		if (!this.#isOpen || mirror !== this.#mirror) return;
		if (this.#readers === 0) this.close();
		// The mirror goes on trying for those that show what there is. What was shown once stays: nobody waits for it again.
		else if (!this.isShown) this.#shown = this.#whenShown(mirror.at(0));
	}

	#closeLater(): void {
		clearTimeout(this.#timer);
		if (this.#readers > 0 || !this.#isOpen) return;
		this.#timer = setTimeout(() => this.close(), keptFor);
		// On a server, rendering must not keep the process.
		(this.#timer as { unref?: () => void }).unref?.();
	}
}
