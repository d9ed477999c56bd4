import { expect, test } from "vitest";
import type { SqlOptions } from "./options.js";
import { sql } from "./sql.js";

test.each<[string, (given: number) => SqlOptions]>([
	["answerWithin", (answerWithin) => ({ answerWithin })],
	["connections", (connections) => ({ connections })],
	["poll.least", (least) => ({ poll: { least } })],
	["poll.most", (most) => ({ poll: { most } })],
])("a malformed %s is refused before anything is opened", (name, options) => {
	for (const given of [Number.NaN, 0, -1, 1.5, Number.POSITIVE_INFINITY, "5" as unknown as number]) {
		const refused = expect.objectContaining({
			code: "invalid-argument",
			message: expect.stringContaining(name),
		});
		expect(() => sql("sqlite::memory:", options(given))).toThrow(refused);
		expect(() => sql({ dialect: {} as never, ...options(given) })).toThrow(refused);
	}
	expect(() => sql("sqlite::memory:", options(5))).not.toThrow();
});
