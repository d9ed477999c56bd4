import { createStateManager, formatScopeId, memory } from "@holdfast/core";
import { expect, test } from "vitest";
import { Bank, codeOf, deferred, eventually, load, tabPage } from "./offline-harness.js";

test("a log-out removes what was known, and says what becomes of what waits", {
	timeout: 60_000,
}, async () => {
	const bank = await Bank.open();
	const device = memory();
	const tab = load(bank, device);
	const mine = tab.manager.user("ada");
	await mine.set("secret", 1);
	expect(await mine.get("secret")).toBe(1);
	await bank.server.stop();
	await mine.set("draft", 1, deferred);
	expect(await codeOf(tab.queue.logout())).toBe("pending-writes");
	expect(await codeOf(tab.queue.logout({ pending: "send" }))).toBe("offline");
	expect(await mine.get("secret")).toBe(1);
	await tab.queue.logout({ pending: "keep" });
	await tab.manager.close();

	const nobody = load(bank, device);
	expect(await codeOf(nobody.manager.user("ada").get("secret"))).toBe("offline");
	expect(await codeOf(nobody.manager.user("ada").set("a", 1, deferred))).toBe("offline");
	expect(nobody.backend.status.pending.count).toBe(0);
	await nobody.manager.close();

	// Another user, and a log-out of his own: what ada left is neither sent nor removed.
	bank.user = "bob";
	await bank.server.run();
	const bobs = load(bank, device);
	await bobs.manager.shared.set("by bob", 1, deferred);
	await bobs.queue.logout({ pending: "send" });
	expect(await bank.history()).toEqual([["by bob", 1]]);
	await bobs.manager.close();
	expect(await bank.history(bank.manager.user("ada"))).toEqual([["secret", 1]]);

	bank.user = "ada";
	const back = load(bank, device);
	await back.manager.shared.get("a");
	await eventually(async () => expect(await bank.manager.user("ada").get("draft")).toBe(1));
	await eventually(() => expect(back.backend.status.pending.count).toBe(0));
	// It is known anew.
	await back.manager.close();
	await bank.server.stop();
	const again = load(bank, device);
	expect(await again.manager.shared.get("a")).toBeUndefined();
	await again.manager.user("ada").set("draft", 2, deferred);
	await again.queue.logout({ pending: "discard" });
	await again.manager.close();
	await bank.server.run();
	const last = load(bank, device);
	expect(await last.manager.user("ada").get("draft")).toBe(1);
	expect(last.backend.status.pending.count).toBe(0);
	await last.queue.logout();
});

test("a log-out asks what becomes of what was refused, too", { timeout: 60_000 }, async () => {
	const bank = await Bank.open();
	const tab = load(bank, memory());
	await tab.manager.shared.get("a");
	bank.closed.add("shared");
	await tab.manager.shared.set("a", 1, deferred);
	await eventually(() => expect(tab.queue.refused).toHaveLength(1));
	expect(await codeOf(tab.queue.logout({ pending: "send" }))).toBe("pending-writes");
	await tab.queue.logout({ pending: "discard" });
	expect(tab.queue.refused).toEqual([]);
});

test("another tab does not write anew what a log-out has removed", { timeout: 60_000 }, async () => {
	const bank = await Bank.open();
	const device = memory();
	await bank.manager.shared.set("a", 1);
	const tabs = [load(bank, device), load(bank, device)] as const;
	for (const { manager } of tabs) await manager.shared.mirror().ready;
	await tabs[0].queue.logout();
	await bank.manager.shared.set("a", 2);
	await eventually(async () => expect(await tabs[1].manager.shared.get("a")).toBe(2));
	for (const { manager } of tabs) await manager.close();
	await bank.server.stop();
	expect(await codeOf(load(bank, device).manager.shared.get("a"))).toBe("offline");
	const scope = formatScopeId({
		namespace: "holdfast-offline",
		kind: "copy",
		id: `${bank.server.url} ada`,
	});
	const { entries } = await device.list(scope, { from: "", to: null, limit: 100, bytes: 2 ** 20 });
	expect(entries.map(({ key }) => key)).toEqual(["wiped"]);
});

test("other tabs forget at once what they knew, and ask nothing until somebody is logged in", {
	timeout: 60_000,
}, async () => {
	const bank = await Bank.open();
	const device = memory();
	await bank.manager.user("ada").set("secret", 1);
	await bank.manager.shared.set("a", 1);
	const open = () => load(bank, device, { page: tabPage });
	const [one, two] = [open(), open()];
	const mirrors = [one, two].map(({ manager }) => manager.user("ada").mirror());
	for (const mirror of mirrors) await mirror.ready;
	await bank.server.stop();
	await two.manager.user("ada").set("draft", 1, deferred);
	await eventually(() => expect(one.backend.status.pending.count).toBe(1));
	await bank.server.run();
	await eventually(async () => expect(await bank.manager.user("ada").get("draft")).toBe(1));
	for (const mirror of mirrors) await eventually(() => expect(mirror.size).toBe(2));

	// The server has not been told: its cookie still says who it was.
	await one.queue.logout({ pending: "send" });
	for (const mirror of mirrors)
		await eventually(() => expect([mirror.size, mirror.stale]).toEqual([0, true]));
	for (const { manager, backend } of [one, two]) {
		expect(await codeOf(manager.user("ada").get("secret"))).toBe("unauthenticated");
		expect(await codeOf(manager.shared.set("a", 2))).toBe("unauthenticated");
		expect(await codeOf(manager.shared.set("a", 2, deferred))).toBe("offline");
		expect(backend.status.pending.count).toBe(0);
	}
	await bank.manager.user("ada").set("secret", 2);
	expect(mirrors.map(({ size }) => size)).toEqual([0, 0]);

	// A page that is loaded then learns who it is, and tells the others.
	const three = open();
	expect(await three.manager.user("ada").get("secret")).toBe(2);
	for (const mirror of mirrors) await eventually(() => expect(mirror.get("secret")).toBe(2));
	expect(await two.manager.shared.get("a")).toBe(1);
	bank.user = "bob";
	await three.queue.logout();
	expect(await codeOf(open().manager.user("ada").get("secret"))).toBe("denied");
	await eventually(async () => expect(await codeOf(two.manager.user("ada").get("secret"))).toBe("denied"));
	expect(mirrors.map(({ size }) => size)).toEqual([0, 0]);
});

test("a log-out removes what was known of more scopes than a commit can hold", {
	timeout: 60_000,
}, async () => {
	const bank = await Bank.open();
	const device = memory();
	const scope = createStateManager({ backend: device, namespace: "holdfast-offline" }).scope(
		"copy",
		`${bank.server.url} ada`,
	);
	const names = Array.from({ length: 1200 }, (_, i) => `default/room/${i}`);
	for (let i = 0; i < names.length; i += 400)
		await scope.commit((tx) => {
			for (const name of names.slice(i, i + 400)) tx.set(`scopes/${name}`, "{}");
		});
	await scope.set("index", Object.fromEntries(names.map((name) => [name, [1, 2]])));
	const tab = load(bank, device);
	await tab.manager.shared.get("a");
	await tab.queue.logout();
	const left: string[] = [];
	for await (const { key } of scope.list()) left.push(key);
	expect(left).toEqual(["wiped"]);
});
