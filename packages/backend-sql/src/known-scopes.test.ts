import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { add, Client } from "@holdfast/core/testing";
import { expect, onTestFinished, test } from "vitest";
import { type KnownScope, KnownScopes } from "./known-scopes.js";
import { parseScopeRow } from "./scope-row.js";
import { sql } from "./sql.js";

const left = (scope: string, seal: string | null = null): KnownScope => ({
	row: parseScopeRow({ id: 1, scope, head: 1, events_head: 0, floor: 0, time: 0, keep_changes: null, seal }),
});

test("what a connection knows ends with another connection's write, and with a failure", () => {
	const known = new KnownScopes();
	known.begin(1);
	known.keep(left("a"));
	known.begin(1);
	expect(known.get("a")).toEqual(left("a"));
	known.begin(2);
	expect(known.get("a")).toBeUndefined();
	known.keep(left("a"));
	known.forget();
	known.begin(2);
	expect(known.get("a")).toBeUndefined();
});

test("of many scopes those that were written last are known, and of sealed ones none", () => {
	const known = new KnownScopes();
	known.begin(1);
	for (let i = 0; i < 1000; i++) known.keep(left(`${i}`));
	known.keep(left("0"));
	known.keep(left("1000"));
	expect([known.get("0"), known.get("1"), known.get("1000")]).toEqual([left("0"), undefined, left("1000")]);
	known.keep(left("0", '"moved"'));
	expect(known.get("0")).toBeUndefined();
});

test("a batch whose answer is too large to be known is answered as before where it is sent again", async () => {
	const folder = mkdtempSync(join(tmpdir(), "holdfast-sqlite-"));
	const backend = sql(`sqlite:${join(folder, "state.db")}`);
	onTestFinished(async () => {
		await backend.close();
		rmSync(folder, { recursive: true, force: true });
	});
	const client = new Client(backend);
	const drafts = Array.from({ length: 100 }, (_, i) => [add(`sum/${i}`, 1)]);
	for (let i = 1; i <= 3; i++) {
		const batch = await client.batch(drafts);
		const answer = await client.deliver(batch);
		expect(answer.outcomes.every((outcome) => outcome.ok && outcome.numbers[0] === i)).toBe(true);
		expect(await client.deliver(batch)).toEqual(answer);
	}
	expect((await client.log()).records).toHaveLength(300);
});
