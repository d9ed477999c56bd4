import { createStateManager, memory, type StateManager } from "@holdfast/core";
import type { ReactNode } from "react";
import { renderToReadableStream } from "react-dom/server";
import { expect, onTestFinished, test, vi } from "vitest";
import { readHandover } from "./handover.js";
import { createHandover, createHooks, type Handover, HoldfastProvider } from "./index.js";

const { useEntry, useEntries } = createHooks();

function makeManager(): StateManager {
	const manager = createStateManager({ backend: memory() });
	onTestFinished(async () => void (await manager.close()));
	return manager;
}

const Page = ({ user }: { readonly user: string }): ReactNode => (
	<main>
		{useEntry(["user", user], "name")} {useEntries("shared", "rooms/*").length}
	</main>
);

async function renderPage(manager: StateManager, user: string): Promise<[html: string, handover: Handover]> {
	const handover = createHandover();
	const stream = await renderToReadableStream(
		<HoldfastProvider manager={manager} handover={handover}>
			<Page user={user} />
		</HoldfastProvider>,
	);
	await stream.allReady;
	return [await new Response(stream).text(), handover];
}

test("renders what the store holds, and hands over just that", async () => {
	const manager = makeManager();
	await manager.user("ada").set("name", "Ada");
	await manager.user("grace").set("name", "Grace");
	await manager.shared.set("rooms/1", { tags: new Set(["a"]), since: new Date(5) });
	// Two requests at once, by one manager: neither sees what was rendered for the other.
	const [[html, ada], [, grace]] = await Promise.all([
		renderPage(manager, "ada"),
		renderPage(manager, "grace"),
	]);
	expect(html.replaceAll(/<!--.*?-->/g, "")).toBe("<main>Ada 1</main>");
	expect(String(ada)).not.toContain("Grace");
	expect(String(grace)).not.toContain("Ada");
	const handedOver = readHandover(String(ada));
	expect([...handedOver.keys()]).toEqual(['[["user","ada"],"name"]', '["shared","rooms/*"]']);
	const [room] = handedOver.get('["shared","rooms/*"]') ?? [];
	expect(room?.value).toEqual({ tags: new Set(["a"]), since: new Date(5) });
	expect(Object.isFrozen(room?.value)).toBe(true);
	expect(room?.revision).toBeGreaterThan(0);
});

test("can stand in a script element, whatever the state says", async () => {
	const manager = makeManager();
	await manager.user("eve").set("name", "</script><!--<script>");
	const [, handover] = await renderPage(manager, "eve");
	expect(String(handover)).not.toContain("<");
	expect(readHandover(String(handover)).get('[["user","eve"],"name"]')?.[0]?.value).toBe(
		"</script><!--<script>",
	);
});

test("follows nothing after it was closed", async () => {
	const manager = makeManager();
	const [, handover] = await renderPage(manager, "ada");
	expect(manager.health.watched).toBe(2);
	handover.close();
	await vi.waitFor(() => expect(manager.health.watched).toBe(0), 20_000);
});

test("a hook without a provider says what is missing", async () => {
	await expect(renderToReadableStream(<Page user="ada" />, { onError: () => {} })).rejects.toThrow(
		"HoldfastProvider",
	);
});
