/** A scope as plainly as it can be said: what the model test compares stores with. */
import type { Mutation } from "../backend.js";
import { add, emit, put, remove, touch } from "./client.js";

/** What the model knows of an entry. */
export interface Plain {
	readonly text: string;
	readonly revision: number;
	readonly created: number;
	readonly expiresAt: number | null;
}

/** The plain model: a map, and the records that a log must tell. */
export class PlainScope {
	entries = new Map<string, Plain>();
	head = 0;
	/** All records since the last drop: what they changed, key by key. */
	log: {
		readonly revision: number;
		readonly changes: readonly string[];
		readonly events: readonly string[];
	}[] = [];
}

/** In ms. Deadlines and steps of time are half a minute apart at least, so that the seconds that a run takes decide nothing. */
export const minute = 60_000;
/** Half a minute, in ms. */
const half = minute / 2;

/** A mutation, before it has a deadline and a codec. */
export type Ask =
	| {
			readonly type: "put";
			readonly key: string;
			readonly data: number | string;
			readonly minutes: number | null;
	  }
	| { readonly type: "add"; readonly key: string; readonly by: number; readonly max: number | undefined }
	| { readonly type: "remove"; readonly key: string }
	| { readonly type: "touch"; readonly key: string; readonly minutes: number }
	| { readonly type: "emit"; readonly name: string };

/** A condition that is to hold, or not. */
export type Wish =
	| { readonly about: "key"; readonly key: string; readonly right: boolean }
	| { readonly about: "list"; readonly under: string; readonly right: boolean };

/** Takes the entries away that are due, as the sweep before a commit does; answers their changes. */
export function expire(model: PlainScope, now: number): readonly string[] {
	const due = [...model.entries].filter(([, { expiresAt }]) => expiresAt !== null && expiresAt <= now);
	for (const [key] of due) model.entries.delete(key);
	return due.map(([key]) => `expire ${key}`).sort();
}

/** The mutation that a store is asked for. */
export function asMutation(ask: Ask): Mutation {
	switch (ask.type) {
		case "put":
			return put(ask.key, ask.data, ask.minutes === null ? null : ask.minutes * minute + half);
		case "add":
			return add(ask.key, ask.by, ask.max === undefined ? {} : { max: ask.max });
		case "remove":
			return remove(ask.key);
		case "touch":
			return touch(ask.key, ask.minutes * minute + half);
		case "emit":
			return emit(ask.name, ask.name);
	}
}

/** The live entries under a prefix. */
export const under = (model: PlainScope, prefix: string): readonly Plain[] =>
	[...model.entries]
		.filter(([key]) => (prefix === "" ? !key.startsWith("!/") : key.startsWith(prefix)))
		.map(([, entry]) => entry);

/** How a commit must end. */
export function judge(model: PlainScope, wishes: readonly Wish[], asks: readonly Ask[]): string {
	if (wishes.some(({ right }) => !right)) return "condition";
	for (const ask of asks) {
		const entry = "key" in ask ? model.entries.get(ask.key) : undefined;
		if (ask.type === "touch" && entry === undefined) return "absent";
		if (ask.type !== "add") continue;
		const current = entry === undefined ? 0 : (JSON.parse(entry.text) as unknown);
		if (typeof current !== "number") return "type";
		if (ask.max !== undefined && current + ask.by > ask.max) return "bound";
	}
	return "applied";
}

/** Does what a commit does; answers its changes and events, as text. */
export function apply(
	model: PlainScope,
	asks: readonly Ask[],
	revision: number,
): { readonly changes: readonly string[]; readonly events: readonly string[] } {
	const changes: string[] = [];
	const events: string[] = [];
	for (const ask of asks) {
		if (ask.type === "emit") events.push(ask.name);
		if (ask.type === "remove" && model.entries.delete(ask.key)) changes.push(`delete ${ask.key}`);
		if (ask.type !== "put" && ask.type !== "add") continue;
		const before = model.entries.get(ask.key);
		const text =
			ask.type === "put"
				? JSON.stringify(ask.data)
				: String((before === undefined ? 0 : Number(before.text)) + ask.by);
		const expiresAt = before?.expiresAt ?? null;
		model.entries.set(ask.key, { text, revision, created: before?.created ?? revision, expiresAt });
		changes.push(`set ${ask.key} ${text}`);
	}
	return { changes: changes.sort(), events };
}

/** About when an entry must expire after a commit. */
export function deadlineOf(
	asks: readonly Ask[],
	applied: boolean,
	key: string,
	{ expiresAt }: Plain,
	now: number,
): number | null {
	const ask = asks.find((one) => "key" in one && one.key === key);
	if (!applied || ask === undefined) return expiresAt;
	if (ask.type === "put") return ask.minutes === null ? null : now + ask.minutes * minute + half;
	if (ask.type === "touch" && expiresAt !== null)
		return Math.max(expiresAt, now + ask.minutes * minute + half);
	return expiresAt;
}
