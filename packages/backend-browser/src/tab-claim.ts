/**
 * Whose `sessionStorage` it is. A popup and a duplicated tab get a copy of the one they were opened from: a lock that each tab holds
 * tells a copy from a reload.
 */
import type { Items } from "./session-store.js";

/** How long the page before this one may take to let go of the tab, in ms; a copy is told by waiting in vain. */
const patience = 1000;

// On the uppermost window of the origin, under a name that copies of this library share: its frames share the storage too.
const claims = Symbol.for("holdfast.tabs");

type Claims = Map<string, Promise<string>>;

interface Claiming {
	readonly parent?: Claiming;
	[claims]?: Claims;
}

function claimsOfTab(): Claims {
	let top = globalThis as Claiming;
	try {
		while (top.parent !== undefined && top.parent !== top) {
			// A window of another origin refuses to be looked at.
			void top.parent[claims];
			top = top.parent;
		}
	} catch {}
	top[claims] ??= new Map();
	return top[claims];
}

/**
 * Answers the id of this tab, and keeps it for as long as the page is shown. A copy of another tab's items is dropped, by `drop`; without
 * Web Locks (an insecure context) there is no telling, and what is found is kept.
 */
export function claimTab(items: Items, prefix: string, drop: () => void): Promise<string> {
	const known = claimsOfTab();
	const claimed = known.get(prefix) ?? claim(items, prefix, drop);
	known.set(prefix, claimed);
	claimed.catch(() => known.delete(prefix));
	return claimed;
}

/** Resolves when the page is shown: one that is rendered ahead is given no lock before, and would take itself for a copy. */
function shown(): Promise<void> {
	const page = globalThis.document as (Document & { readonly prerendering?: boolean }) | undefined;
	const { promise, resolve } = Promise.withResolvers<void>();
	if (page?.prerendering === true)
		page.addEventListener("prerenderingchange", () => resolve(), { once: true });
	else resolve();
	return promise;
}

async function claim(items: Items, prefix: string, drop: () => void): Promise<string> {
	await shown();
	const item = `${prefix}tab`;
	const known = items.getItem(item);
	if (known !== null && (await hold(`${prefix}${known}`))) return known;
	if (known !== null) drop();
	const id = crypto.randomUUID();
	items.setItem(item, id);
	await hold(`${prefix}${id}`);
	return id;
}

/** Takes a lock until the page is left; answers whether it was to be had. */
function hold(name: string): Promise<boolean> {
	const locks = globalThis.navigator?.locks as LockManager | undefined;
	if (locks === undefined) return Promise.resolve(true);
	const { promise, resolve } = Promise.withResolvers<boolean>();
	const giveUp = new AbortController();
	const late = setTimeout(() => giveUp.abort(), patience);
	const held = (): Promise<void> => {
		clearTimeout(late);
		resolve(true);
		return new Promise((letGo) => {
			// A page that holds a lock is not kept for the way back.
			globalThis.addEventListener?.("pagehide", () => letGo(), { once: true });
			const shown = ({ persisted }: PageTransitionEvent): void => {
				if (persisted) void hold(name);
			};
			globalThis.addEventListener?.("pageshow", shown as (event: Event) => void, { once: true });
		});
	};
	locks.request(name, { signal: giveUp.signal }, held).catch(() => resolve(false));
	return promise;
}
