import { memory } from "@holdfast/core";
import { expect, test } from "vitest";
import { indexedDb, offlineQueue, remote } from "./index.js";

const refused = (name: string) =>
	expect.objectContaining({ code: "invalid-argument", message: expect.stringContaining(name) });

test.each(["grace", "copyBytes", "queueLimit"])("a queue with a malformed %s is refused", (name) => {
	for (const given of [Number.NaN, -1, "5 s", Number.POSITIVE_INFINITY])
		expect(() => offlineQueue(memory(), { [name]: given })).toThrow(refused(name));
});

test("a malformed duration of a store or of a bridge is refused", () => {
	for (const given of [Number.NaN, -1, "5 s" as never, Number.POSITIVE_INFINITY]) {
		expect(() => indexedDb({ patience: given })).toThrow(refused("patience"));
		expect(() => remote({ url: "http://localhost", answerWithin: given })).toThrow(refused("answerWithin"));
	}
});
