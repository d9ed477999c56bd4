/** Where the state is kept: the one place to choose it. */
import { type Backend, HoldfastError, memory } from "@holdfast/core";

/** A store's name, or the beginning of its URL, and how it is opened. A package is loaded only where it is asked for. */
const stores: readonly (readonly [start: RegExp, open: (where: string) => Promise<Backend>])[] = [
	[/^memory$/, async () => memory()],
	[/^rediss?:\/\/./, async (url) => (await import("@holdfast/backend-redis")).redis(url)],
	[
		/^(?:postgres|postgresql|mysql|mariadb):\/\/.|^sqlite:./,
		async (url) => (await import("@holdfast/backend-sql")).sql(url),
	],
];

/** What {@link openBackend} takes, for people. */
export const knownBackends =
	"memory, redis://…, rediss://…, postgres://…, mysql://…, mariadb://… or sqlite:<file>";

const openerOf = (where: string) => stores.find(([start]) => start.test(where))?.[1];

/** Whether there is such a store. */
export const isBackend = (where: string): boolean => openerOf(where) !== undefined;

/**
 * Opens a store by its name or URL.
 *
 * @throws HoldfastError `invalid-argument` where there is no such store. It names none of the text, which may hold a password.
 */
export async function openBackend(where: string): Promise<Backend> {
	const open = openerOf(where);
	if (open === undefined)
		throw new HoldfastError("invalid-argument", `there is no such backend: give ${knownBackends}`);
	return open(where);
}
