import { formatScopeId, memory } from "@holdfast/core";
import { expect, test } from "vitest";
import { Bank, codeOf, deferred, eventually, load } from "./offline-harness.js";

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
