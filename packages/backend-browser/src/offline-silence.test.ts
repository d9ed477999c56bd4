import { memory } from "@holdfast/core";
import { TcpProxy } from "@holdfast/test-servers/tcp-proxy";
import { expect, test } from "vitest";
import { Bank, deferred, ends, eventually, load, sent } from "./offline-harness.js";

/** A way to the bank's server on which everything can be swallowed. */
async function way(bank: Bank): Promise<{ readonly proxy: TcpProxy; readonly url: string }> {
	const proxy = await TcpProxy.to(bank.server.port, bank.server.host);
	ends.push(() => proxy.close());
	return { proxy, url: `http://127.0.0.1:${proxy.port}` };
}

test("where all that is sent is swallowed, what is known is read after the grace, and told anew when the server is heard", {
	timeout: 60_000,
}, async () => {
	const bank = await Bank.open();
	for (const key of ["p/1", "p/2"]) await bank.manager.shared.set(key, 1);
	const { proxy, url } = await way(bank);
	const device = memory();
	// What is not answered fails long after the end of the test.
	const options = { url, answerWithin: "1h" } as const;
	const first = load(bank, device, options);
	await first.manager.shared.mirror("p/*").ready;
	expect(await first.manager.shared.get("a")).toBeUndefined();
	await first.manager.close();

	proxy.blackHole();
	const second = load(bank, device, options, { grace: 50 });
	const { shared } = second.manager;
	const { status } = second.backend;
	expect(await shared.getMany(["a", "p/1"])).toEqual([undefined, 1]);
	expect([status.online, status.stale]).toEqual([true, true]);
	const mirror = shared.mirror("p/*");
	await mirror.ready;
	expect([mirror.stale, mirror.list().map(({ value }) => value)]).toEqual([true, [1, 1]]);
	const listed: unknown[] = [];
	for await (const { key } of shared.list("p/*")) listed.push(key);
	expect(listed).toEqual(["p/1", "p/2"]);
	// A deferred write waits for nobody.
	await shared.set("p/1", 2, deferred);
	expect(await shared.get("p/1")).toBe(2);
	await eventually(() => expect(mirror.get("p/1")).toBe(2));

	await bank.manager.shared.set("p/2", 3);
	proxy.mend();
	await eventually(() => expect(mirror.get("p/2")).toBe(3));
	await eventually(() => expect([mirror.stale, status.stale]).toEqual([false, false]));
	await sent(second);
	expect(await bank.manager.shared.get("p/1")).toBe(2);
});

test("a server that is slow is not silent: what it says after the grace is what is read, where nothing else is known", {
	timeout: 60_000,
}, async () => {
	const bank = await Bank.open();
	await bank.manager.shared.set("a", 1);
	let slow: Promise<unknown> | undefined;
	const tab = load(
		bank,
		memory(),
		{
			fetch: async (...asked) => {
				await slow;
				return bank.fetch(...asked);
			},
			answerWithin: "1h",
		},
		{ grace: 50 },
	);
	const { promise, resolve: go } = Promise.withResolvers<void>();
	slow = promise;
	const reading = tab.manager.shared.get("a");
	await eventually(() => expect(tab.backend.status.stale).toBe(true));
	go();
	expect(await reading).toBe(1);
	await eventually(() => expect(tab.backend.status.stale).toBe(false));
});
