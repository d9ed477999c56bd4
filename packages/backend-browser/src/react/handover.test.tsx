import { type Codec, createStateManager, jsonCodec, memory, type StateManager } from "@holdfast/core";
import { type ReactNode, Suspense, use } from "react";
import { renderToReadableStream } from "react-dom/server";
import { expect, onTestFinished, test, vi } from "vitest";
import { readHandover } from "./handover.js";
import {
	createHandover,
	createHooks,
	type Handover,
	HoldfastProvider,
	type HoldfastProviderProps,
} from "./index.js";

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

test("tells of one moment, in all parts of the page and in what is handed over, however long it takes", async () => {
	const manager = makeManager();
	await manager.user("ada").set("name", "before");
	const gate = Promise.withResolvers<void>();
	const Name = ({ until }: { readonly until?: Promise<void> }): ReactNode => {
		if (until !== undefined) use(until);
		return <b>{useEntry(["user", "ada"], "name")}</b>;
	};
	const handover = createHandover();
	const stream = await renderToReadableStream(
		<HoldfastProvider manager={manager} handover={handover}>
			<Name />
			<Suspense>
				<Name until={gate.promise} />
			</Suspense>
		</HoldfastProvider>,
	);
	await manager.user("ada").set("name", "after");
	gate.resolve();
	await stream.allReady;
	expect((await new Response(stream).text()).match(/(?<=<b>)\w+/g)).toEqual(["before", "before"]);
	expect(readHandover(String(handover)).get('[["user","ada"],"name"]')?.[0]?.value).toBe("before");
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

test("speaks the manager's codec, where it has one of its own", async () => {
	const codec: Codec = {
		encode: (value) => `"<${encodeURIComponent(jsonCodec.encode(value))}"`,
		decode: (text) => jsonCodec.decode(decodeURIComponent(text.slice(2, -1))),
	};
	const manager = createStateManager({ backend: memory(), codec });
	onTestFinished(async () => void (await manager.close()));
	await manager.user("ada").set("name", { first: "Ada" });
	const handover = createHandover({ codec });
	const names: unknown[] = [];
	const Name = (): ReactNode => {
		names.push(useEntry(["user", "ada"], "name"));
		return null;
	};
	const render = (props: Partial<HoldfastProviderProps>) =>
		renderToReadableStream(
			<HoldfastProvider manager={manager} codec={codec} {...props}>
				<Name />
			</HoldfastProvider>,
		);
	await (await render({ handover })).allReady;
	expect(String(handover)).toContain("%22");
	expect(readHandover(String(handover), codec).get('[["user","ada"],"name"]')?.[0]?.value).toEqual({
		first: "Ada",
	});
	await manager.user("ada").set("name", { first: "Countess" });
	await (await render({ initial: String(handover) })).allReady;
	expect(names).toEqual([{ first: "Ada" }, { first: "Ada" }]);
});
