import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { tagOf } from "./principal.js";

test("a subject's tag is its hash, also after more subjects than are kept", async () => {
	const subjects = Array.from({ length: 1500 }, (_, i) => `user-${i}`);
	const expected = subjects.map((subject) => createHash("sha256").update(subject).digest("hex").slice(0, 24));
	for (let round = 0; round < 2; round++) expect(await Promise.all(subjects.map(tagOf))).toEqual(expected);
});
