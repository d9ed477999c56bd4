import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Entry, LogRecord } from "./backend.js";
import { MemoryLog, type Row } from "./memory-log.js";
import { givenValue } from "./value.js";

const entryOf = (key: string, revision: number): Entry => ({
	key,
	value: givenValue(key),
	revision,
	createdRevision: revision,
	expiresAt: null,
	metadata: undefined,
});
const set = (entry: Entry) => ({ type: "set", key: entry.key, entry });

describe("a log in memory", () => {
	test("is a queue whose records keep their order, as an array's do", () => {
		fc.assert(
			fc.property(fc.array(fc.constantFrom("push", "push", "shift"), { maxLength: 80 }), (steps) => {
				const log = new MemoryLog();
				const model: { revision: number; bytes: number }[] = [];
				for (const [i, step] of steps.entries()) {
					const revision = 10 * i;
					if (step === "push") {
						log.push("k", "me", revision, revision - 10, 5 * i, i);
						model.push({ revision, bytes: i });
					} else if (model.length > 0) expect(log.shift()).toBe(model.shift()?.bytes);
					expect(log.size).toBe(model.length);
					for (const [at, { revision, bytes }] of model.entries()) {
						expect(log.bytes(at)).toBe(bytes);
						expect(log.time(at)).toBe(revision / 2);
						expect(log.record(at)).toMatchObject({ revision, previous: revision - 10, time: revision / 2 });
					}
					for (const after of [-1, 0, 55, 100, 1000]) {
						const first = model.findIndex(({ revision }) => revision > after);
						expect(log.after(after)).toBe(first < 0 ? model.length : first);
					}
				}
			}),
		);
	});

	test.each<[string, Row, LogRecord["changes"] | unknown]>([
		["an entry", entryOf("a", 7), [set(entryOf("a", 7))]],
		["a key that was deleted", "a", [{ type: "delete", key: "a", entry: null }]],
		["several", [entryOf("a", 7), "b"], [set(entryOf("a", 7)), { type: "delete", key: "b", entry: null }]],
	])("makes the record of %s when it is asked for", (_, row, changes) => {
		const log = new MemoryLog();
		log.push(row, "me", 7, 3, 5, 100);
		expect(log.record(0)).toEqual({
			revision: 7,
			previous: 3,
			id: "me.7",
			time: 5,
			origin: "me",
			metadata: undefined,
			quiet: false,
			changes,
			events: [],
			previousEvents: 0,
		});
	});
});
