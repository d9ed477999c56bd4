/** Looks once at each server whether its settings put at risk what it answers. */
import type { Unwatch } from "@holdfast/core";
import type { Redis } from "ioredis";
import { failureOf } from "./failure.js";

/** What is known of a server; `undefined` where the host hides it. */
interface Settings {
	readonly policy: string | undefined;
	readonly onDisk: boolean | undefined;
}

/** What is wrong with the settings of a server, for people. */
function problemsOf(server: string, { policy, onDisk }: Settings): string[] {
	const problems = [];
	if (policy !== undefined && policy !== "noeviction")
		problems.push(
			`Redis at ${server} may evict what it holds (maxmemory-policy ${policy}): set maxmemory-policy noeviction, or state can vanish`,
		);
	if (onDisk === false)
		problems.push(
			`Redis at ${server} keeps nothing on disk: set appendonly yes, or its restart loses all state`,
		);
	const hidden = [
		policy === undefined ? "whether it may evict what it holds" : undefined,
		onDisk === undefined ? "whether it keeps it on disk" : undefined,
	].filter((what) => what !== undefined);
	if (hidden.length > 0)
		problems.push(`Redis at ${server} hides its settings: ${hidden.join(", and ")}, is unknown`);
	return problems;
}

/** What a command answers; `undefined` where the host forbids it. */
async function allowed(connection: Redis, command: string, ...args: string[]): Promise<unknown> {
	try {
		return await connection.call(command, args);
	} catch (error) {
		if (failureOf(error).failed === "refused") return undefined;
		throw error;
	}
}

async function settingsOf(connection: Redis): Promise<Settings> {
	const get = async (name: string): Promise<string | undefined> => {
		// An application's client may have maps answered as objects.
		const answer = (await allowed(connection, "config", "get", name)) as string[] | Record<string, string>;
		return Array.isArray(answer) ? answer[1] : answer?.[name];
	};
	const [policy, log, save] = [await get("maxmemory-policy"), await get("appendonly"), await get("save")];
	if (policy !== undefined && log !== undefined && save !== undefined)
		return { policy, onDisk: log === "yes" || save !== "" };
	// Many hosts forbid CONFIG; INFO tells all but whether there are snapshots.
	const info = String(await allowed(connection, "info"));
	return {
		policy: /^maxmemory_policy:(\S+)/m.exec(info)?.[1],
		onDisk: /^aof_enabled:1/m.test(info) ? true : undefined,
	};
}

/** The problems of all servers that are used, told to each listener once. */
export class Inspection {
	readonly #listeners = new Set<(problem: string) => void>();
	readonly #seen = new WeakSet<Redis["stream"]>();
	/** What was found, by the server's address; `undefined` while it is looked at. */
	readonly #found = new Map<string, readonly string[] | undefined>();

	/** Hears the problems, also those that were found before. */
	listen(listener: (problem: string) => void): Unwatch {
		const own = (problem: string): void => listener(problem);
		this.#listeners.add(own);
		const before = [...this.#found.values()].flatMap((problems) => problems ?? []);
		// Who makes a manager has not said yet who hears its errors.
		queueMicrotask(() => {
			for (const problem of before) if (this.#listeners.has(own)) own(problem);
		});
		return () => this.#listeners.delete(own);
	}

	/** Looks at the server that a connection goes to, unless that was done, if anybody listens. */
	look(connection: Redis): void {
		const { stream } = connection;
		if (this.#listeners.size === 0 || this.#seen.has(stream)) return;
		this.#seen.add(stream);
		const { remoteAddress, remotePort } = stream as { remoteAddress?: string; remotePort?: number };
		const server =
			remoteAddress === undefined ? String(connection.options.path) : `${remoteAddress}:${remotePort}`;
		if (this.#found.has(server)) return;
		this.#found.set(server, undefined);
		settingsOf(connection).then(
			(settings) => {
				const problems = problemsOf(server, settings);
				this.#found.set(server, problems);
				for (const listener of this.#listeners) for (const problem of problems) listener(problem);
			},
			() => {
				// It did not answer: it is looked at again with a later call.
				this.#found.delete(server);
				this.#seen.delete(stream);
			},
		);
	}
}
