import { expect, test } from "vitest";
import { redis } from "./redis.js";

test.each(["unanswered", "connectWithin", "answerWithin"])(
	"a malformed %s is refused before anything connects",
	(name) => {
		for (const given of [Number.NaN, -1, "5 s", Number.POSITIVE_INFINITY])
			expect(() => redis("redis://localhost:1", { [name]: given })).toThrow(
				expect.objectContaining({ code: "invalid-argument", message: expect.stringContaining(name) }),
			);
	},
);
