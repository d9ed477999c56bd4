/** One server, several tenants: whoever keeps state beside another, under the same names, neither reads, hears nor changes what is the other's. */
import type { Signal } from "@holdfast/core";
import { Client, put } from "@holdfast/core/testing";
import { type RedisOptions as ClientOptions, Redis } from "ioredis";
import { expect, onTestFinished, test, vi } from "vitest";
import { scopeKeys } from "./keys.js";
import { type RedisOptions, redis } from "./redis.js";
import { withStore } from "./with-store.js";

const { server, store, admin } = await withStore();

const patience = { timeout: 30_000 };

let scopes = 0;
const newScope = (): string => `tenants/room/${++scopes}`;

function clientOf(options: Pick<ClientOptions, "db" | "keyPrefix">): Redis {
	const client = new Redis(server.url, options);
	onTestFinished(() => client.disconnect());
	return client;
}

const others: Record<string, () => RedisOptions | string> = {
	"another database, by its URL": () => `${server.url}/1`,
	"another database, by a client": () => ({ client: clientOf({ db: 2 }) }),
	"a key prefix of a client": () => ({ client: clientOf({ keyPrefix: "other:" }) }),
	"a prefix": () => ({ client: clientOf({}), prefix: "other" }),
};

test.each(Object.entries(others))("%s is not heard", async (_, optionsOf) => {
	const options = optionsOf();
	const other = typeof options === "string" ? redis(options) : redis(options);
	onTestFinished(() => other.close());
	const scope = newScope();
	const [mine, theirs] = [new Client(store, scope), new Client(other, scope)];
	const [heard, overheard]: [Signal[], Signal[]] = [[], []];
	await store.watch(scope, (signal) => heard.push(signal));
	await other.watch(scope, (signal) => overheard.push(signal));
	// A scope's first record follows on from an absent one: who hears a stranger's takes it for its own.
	await theirs.apply(put("theirs", 1));
	await mine.apply(put("mine", 1));
	const keysIn = (signals: readonly Signal[]): string[] =>
		signals.flatMap((signal) =>
			signal.type === "records" ? signal.records.flatMap(({ changes }) => changes.map(({ key }) => key)) : [],
		);
	await vi.waitFor(() => {
		expect(keysIn(heard)).toContain("mine");
		expect(keysIn(overheard)).toContain("theirs");
	}, patience);
	expect(keysIn(heard)).toEqual(["mine"]);
	expect(keysIn(overheard)).toEqual(["theirs"]);
	await other.drop(scope);
	expect(await mine.text("mine")).toBe("1");
	expect(await mine.text("theirs")).toBeUndefined();
});

test("a key of somebody else where a scope would be is refused, and left alone", async () => {
	const client = new Client(store, newScope());
	const { entries } = scopeKeys("hf", client.scope);
	await admin.set(entries, "somebody else's");
	const batch = await new Client(store, newScope()).batch([[put("a", 1)]]);
	expect(await Promise.all(store.read([{ scope: client.scope, keys: ["a"] }]))).toMatchObject([
		{ failed: "refused", message: expect.stringContaining("WRONGTYPE") },
	]);
	expect(await client.send({ ...batch, scope: client.scope })).toMatchObject({ failed: "unknown" });
	await expect(client.list()).rejects.toThrow("WRONGTYPE");
	expect(await admin.get(entries)).toBe("somebody else's");
});
