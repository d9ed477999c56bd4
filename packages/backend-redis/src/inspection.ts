/** Looks once whether the server's settings put at risk what it answers. */
import type { Unwatch } from "@holdfast/core";
import { failureOf } from "./failure.js";
import type { Link } from "./link.js";

/** What is known of the server; `undefined` where the host hides it. */
interface Settings {
	readonly policy: string | undefined;
	readonly onDisk: boolean | undefined;
}

/** What is wrong with the settings, for people. */
function problemsOf({ policy, onDisk }: Settings): string[] {
	const problems = [];
	if (policy !== undefined && policy !== "noeviction")
		problems.push(
			`Redis may evict what it holds (maxmemory-policy ${policy}): set maxmemory-policy noeviction, or state can vanish`,
		);
	if (onDisk === false)
		problems.push("Redis keeps nothing on disk: set appendonly yes, or its restart loses all state");
	const hidden = [
		policy === undefined ? "whether it may evict what it holds" : undefined,
		onDisk === undefined ? "whether it keeps it on disk" : undefined,
	].filter((what) => what !== undefined);
	if (hidden.length > 0) problems.push(`Redis hides its settings: ${hidden.join(", and ")}, is unknown`);
	return problems;
}

/** What a command answers; `undefined` where the host forbids it. */
async function allowed(link: Link, command: string, ...args: string[]): Promise<unknown> {
	try {
		return await link.run([{ command, args }])[0];
	} catch (error) {
		if (failureOf(error).failed === "refused") return undefined;
		throw error;
	}
}

async function settingsOf(link: Link): Promise<Settings> {
	const get = async (name: string): Promise<string | undefined> =>
		((await allowed(link, "config", "get", name)) as string[] | undefined)?.[1];
	const [policy, log, save] = [await get("maxmemory-policy"), await get("appendonly"), await get("save")];
	if (policy !== undefined && log !== undefined && save !== undefined)
		return { policy, onDisk: log === "yes" || save !== "" };
	// Many hosts forbid CONFIG; INFO tells all but whether there are snapshots.
	const info = String(await allowed(link, "info"));
	return {
		policy: /^maxmemory_policy:(\S+)/m.exec(info)?.[1],
		onDisk: /^aof_enabled:1/m.test(info) ? true : undefined,
	};
}

/** The problems of one server, told to each listener once. */
export class Inspection {
	readonly #listeners = new Set<(problem: string) => void>();
	#problems: readonly string[] = [];
	#begun = false;

	/** Hears the problems, also those that were found before. */
	listen(listener: (problem: string) => void): Unwatch {
		const own = (problem: string): void => listener(problem);
		this.#listeners.add(own);
		// Who makes a manager has not said yet who hears its errors.
		queueMicrotask(() => {
			for (const problem of this.#problems) if (this.#listeners.has(own)) own(problem);
		});
		return () => this.#listeners.delete(own);
	}

	/** Looks, once, at the server that a link goes to, if anybody listens. */
	begin(link: Link): void {
		if (this.#begun || this.#listeners.size === 0) return;
		this.#begun = true;
		settingsOf(link).then(
			(settings) => {
				this.#problems = problemsOf(settings);
				for (const listener of this.#listeners) for (const problem of this.#problems) listener(problem);
			},
			() => {
				// It did not answer: it is looked at again with a later call.
				this.#begun = false;
			},
		);
	}
}
