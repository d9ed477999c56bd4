/** What a page tells about itself: whether it is seen, whether the device has a network, when it is put away. On a server: nothing. */

/** What happened to the page. `left`: it was closed, or put into the back/forward cache. */
export type PageNews = "shown" | "hidden" | "left" | "back" | "connected" | "disconnected";

/** The page that this code runs in, or the worker, or the server. */
export interface Page {
	/** Whether nobody sees it. */
	readonly hidden: boolean;
	/** Whether the device says that it has a network. */
	readonly connected: boolean;
	/** The locks that the tabs of an origin share; only where connections are scarce. */
	readonly locks: LockManager | undefined;
	/** A channel to the other tabs of the origin, where there are tabs. */
	channel(name: string): BroadcastChannel | undefined;
	/** Hears what happens to it; answers what ends it. */
	listen(listener: (news: PageNews) => void): () => void;
}

// A server has no tabs, and its connections are not counted.
const inBrowser = (): boolean => typeof document !== "undefined" || "WorkerGlobalScope" in globalThis;

/** The page as its globals tell of it, asked anew each time: nothing is touched before it is used. */
export const thisPage: Page = {
	get hidden() {
		return typeof document !== "undefined" && document.visibilityState === "hidden";
	},
	get connected() {
		// Node has a navigator that knows nothing of this.
		return typeof navigator === "undefined" || navigator.onLine !== false;
	},
	get locks() {
		// Absent on pages that are not a secure context.
		return inBrowser() ? navigator.locks : undefined;
	},
	channel: (name) => (inBrowser() ? new BroadcastChannel(name) : undefined),
	listen(listener) {
		if (typeof addEventListener !== "function") return () => {};
		const heard: [EventTarget, string, (event: Event) => void][] = [
			[globalThis, "online", () => listener("connected")],
			[globalThis, "offline", () => listener("disconnected")],
			[globalThis, "pagehide", () => listener("left")],
			[globalThis, "pageshow", (event) => (event as PageTransitionEvent).persisted && listener("back")],
		];
		if (typeof document !== "undefined")
			heard.push([document, "visibilitychange", () => listener(thisPage.hidden ? "hidden" : "shown")]);
		for (const [target, type, hear] of heard) target.addEventListener(type, hear);
		return () => {
			for (const [target, type, hear] of heard) target.removeEventListener(type, hear);
		};
	},
};
