/** Copies of all that servers hold, for tests that bring them back to it. */
import type { Redis } from "ioredis";

/** Empties servers. */
export const forget = async (servers: readonly Redis[]): Promise<void> => {
	await Promise.all(servers.map((server) => server.flushall()));
};

/** Copies what servers hold; the answer brings them back to it. */
export async function save(servers: readonly Redis[]): Promise<() => Promise<void>> {
	const dumps = await Promise.all(
		servers.map(async (server) => {
			const names = await server.keys("*");
			const values = await Promise.all(names.map((name) => server.dumpBuffer(name)));
			return { server, names, values };
		}),
	);
	return async () => {
		await forget(servers);
		for (const { server, names, values } of dumps)
			for (const [i, name] of names.entries()) if (values[i]) await server.restore(name, 0, values[i]);
	};
}
