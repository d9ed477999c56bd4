import { createStateManager, defineState, memory, type StateManager } from "@holdfast/core";
import { Activity, Component, lazy, type ReactNode, StrictMode, Suspense, useEffect, useState } from "react";
import { hydrateRoot } from "react-dom/client";
import { renderToReadableStream } from "react-dom/server";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { z } from "zod";
import { remote } from "../remote.js";
import { createHandover, createHooks, HoldfastProvider } from "./index.js";
import { makeElement, render, unmountInTheEnd } from "./render.page.js";

const state = defineState({
	shared: {
		counter: z.number().default(0),
		note: z.string(),
		"positions/*": z.object({ quantity: z.number() }),
	},
	user: { filters: z.object({ min: z.number(), since: z.date().optional() }) },
});

const { useEntry, useEntries, useMirror, useUpdate, useScope, usePending, useConnection } =
	createHooks<typeof state>();

type Manager = StateManager<(typeof state)["shape"]>;

function makeManager(
	options: { readonly backend?: ReturnType<typeof memory>; readonly timeout?: number } = {},
) {
	const manager: Manager = createStateManager({ backend: memory(), ...options, state });
	manager.on("error", () => {});
	onTestFinished(async () => void (await manager.close()));
	return manager;
}

const shows = (element: HTMLElement, text: string): Promise<void> =>
	vi.waitFor(() => expect(element.textContent).toBe(text), { timeout: 20_000 });

/** A component that counts how often it is rendered. */
function counted(read: () => ReactNode): {
	readonly Counted: () => ReactNode;
	readonly renders: () => number;
} {
	let renders = 0;
	const Counted = (): ReactNode => {
		renders++;
		return read();
	};
	return { Counted, renders: () => renders };
}

describe("useEntry", () => {
	test("suspends until the store was heard, shows the default, and then each value", async () => {
		const manager = makeManager();
		const Counter = (): ReactNode => <b>{useEntry("shared", "counter")}</b>;
		const { element } = render(
			<HoldfastProvider manager={manager}>
				<Suspense fallback="…">
					<Counter />
				</Suspense>
			</HoldfastProvider>,
		);
		await shows(element, "0");
		await manager.shared.set("counter", 41);
		await shows(element, "41");
		await manager.shared.delete("counter");
		await shows(element, "0");
	});

	test("needs no boundary: the first render waits", async () => {
		const manager = makeManager();
		await manager.shared.set("counter", 7);
		const Counter = (): ReactNode => useEntry("shared", "counter");
		const { element } = render(
			<HoldfastProvider manager={manager}>
				<Counter />
			</HoldfastProvider>,
			{ strict: true },
		);
		await shows(element, "7");
	});

	test("does not suspend where it is told not to", async () => {
		const manager = makeManager();
		await manager.shared.set("note", "stored");
		const seen: unknown[] = [];
		const Note = (): ReactNode => {
			const note = useEntry("shared", "note", { suspend: false });
			seen.push(note);
			return note ?? "nothing yet";
		};
		const { element } = render(
			<HoldfastProvider manager={manager}>
				<Note />
			</HoldfastProvider>,
		);
		await shows(element, "stored");
		expect(seen[0]).toBeUndefined();
	});

	test.for([false, true])("renders again only when its value changes (StrictMode: %s)", async (strict) => {
		const manager = makeManager();
		const one = counted(() => useEntry("shared", "positions/AAPL")?.quantity);
		const other = counted(() => useEntry("shared", "positions/MSFT")?.quantity);
		const { element } = render(
			<HoldfastProvider manager={manager}>
				<Suspense>
					<one.Counted />:<other.Counted />
				</Suspense>
			</HoldfastProvider>,
			{ strict },
		);
		await manager.shared.set("positions/AAPL", { quantity: 1 });
		await manager.shared.set("positions/MSFT", { quantity: 1 });
		await shows(element, "1:1");
		const [ours, theirs] = [one.renders(), other.renders()];
		await manager.shared.set("positions/AAPL", { quantity: 2 });
		await shows(element, "2:1");
		expect(one.renders() - ours, "renders for one change").toBe(strict ? 2 : 1);
		// Equal values are no change, and another key's are nobody else's.
		await manager.shared.set("positions/AAPL", { quantity: 2 });
		await manager.shared.set("positions/GOOG", { quantity: 2 });
		await manager.shared.set("counter", 9);
		await manager.shared.set("positions/AAPL", { quantity: 3 });
		await shows(element, "3:1");
		expect(one.renders() - ours, "renders for two changes").toBe(strict ? 4 : 2);
		expect(other.renders(), "renders of who reads another key").toBe(theirs);
	});

	test("follows another scope when it is given one, and tells users apart", async () => {
		const manager = makeManager();
		await manager.user("ada").set("filters", { min: 1 });
		await manager.user("grace").set("filters", { min: 2 });
		const Min = ({ user }: { readonly user: string }): ReactNode => {
			const update = useUpdate(["user", user], "filters");
			return (
				<button type="button" onClick={() => void update({ min: 3 })}>
					{useEntry(["user", user], "filters")?.min ?? "none"}
				</button>
			);
		};
		const page = (user: string): ReactNode => (
			<HoldfastProvider manager={manager}>
				<Suspense>
					<Min user={user} />
				</Suspense>
			</HoldfastProvider>
		);
		const { element, render: show } = render(page("ada"));
		await shows(element, "1");
		show(page("grace"));
		await shows(element, "2");
		show(page("nobody"));
		await shows(element, "none");
		element.querySelector("button")?.click();
		await shows(element, "3");
		expect(await manager.user("ada").get("filters")).toEqual({ min: 1 });
		expect(await manager.user("grace").get("filters")).toEqual({ min: 2 });
	});

	test("reads and writes another key when it is given one", async () => {
		const manager = makeManager();
		await manager.shared.set("positions/AAPL", { quantity: 1 });
		await manager.shared.set("positions/MSFT", { quantity: 2 });
		const Position = ({ symbol }: { readonly symbol: string }): ReactNode => {
			const position = useEntry("shared", `positions/${symbol}`);
			const update = useUpdate("shared", `positions/${symbol}`);
			return (
				<button type="button" onClick={() => void update((now) => ({ quantity: (now?.quantity ?? 0) + 10 }))}>
					{symbol} {position?.quantity}
				</button>
			);
		};
		const page = (symbol: string): ReactNode => (
			<HoldfastProvider manager={manager}>
				<Suspense>
					<Position symbol={symbol} />
				</Suspense>
			</HoldfastProvider>
		);
		const { element, render: show } = render(page("AAPL"), { strict: true });
		await shows(element, "AAPL 1");
		show(page("MSFT"));
		await shows(element, "MSFT 2");
		element.querySelector("button")?.click();
		await shows(element, "MSFT 12");
		expect(await manager.shared.get("positions/AAPL")).toEqual({ quantity: 1 });
	});

	test("shows nothing of one user when the provider has another one's manager, and lets go of it", async () => {
		const [ada, grace] = [makeManager(), makeManager()];
		await ada.shared.set("note", "ada's");
		await grace.shared.set("note", "grace's");
		const Note = (): ReactNode => {
			const update = useUpdate("shared", "note");
			return (
				<button type="button" onClick={() => void update("written")}>
					{useEntry("shared", "note")}
				</button>
			);
		};
		const page = (manager: Manager): ReactNode => (
			<HoldfastProvider manager={manager}>
				<Suspense>
					<Note />
				</Suspense>
			</HoldfastProvider>
		);
		vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
		onTestFinished(() => void vi.useRealTimers());
		const { element, render: show } = render(page(ada), { strict: true });
		await expect.poll(() => element.innerText).toBe("ada's");
		show(page(grace));
		await expect.poll(() => element.innerText).toBe("grace's");
		element.querySelector("button")?.click();
		await expect.poll(() => element.innerText).toBe("written");
		expect(await ada.shared.get("note")).toBe("ada's");
		await expect
			.poll(() => {
				vi.advanceTimersByTime(5000);
				return ada.health.watched;
			})
			.toBe(0);
		expect(grace.health.watched).toBe(1);
	});

	test("throws to the error boundary where the store is out of reach, and works when asked again", async () => {
		const store = memory();
		let broken = true;
		const manager = makeManager({
			backend: {
				...store,
				watch: (scope, listener) =>
					broken ? Promise.reject(new Error("out of reach")) : store.watch(scope, listener),
				read: (asks) => store.read(asks),
				commit: (batches) => store.commit(batches),
				list: (scope, range) => store.list(scope, range),
				log: (scope, after, query) => store.log(scope, after, query),
				scopes: (range) => store.scopes(range),
				drop: (scope) => store.drop(scope),
				close: (options) => store.close(options),
			},
			timeout: 300,
		});
		class Boundary extends Component<{ readonly children: ReactNode }, { readonly failed: boolean }> {
			override state = { failed: false };
			static getDerivedStateFromError(): { readonly failed: boolean } {
				return { failed: true };
			}
			override render(): ReactNode {
				if (!this.state.failed) return this.props.children;
				return (
					<button type="button" onClick={() => this.setState({ failed: false })}>
						again
					</button>
				);
			}
		}
		const Counter = (): ReactNode => useEntry("shared", "counter");
		const silence = vi.spyOn(console, "error").mockImplementation(() => {});
		onTestFinished(() => silence.mockRestore());
		const { element } = render(
			<HoldfastProvider manager={manager}>
				<Boundary>
					<Suspense fallback="…">
						<Counter />
					</Suspense>
				</Boundary>
			</HoldfastProvider>,
		);
		await shows(element, "again");
		broken = false;
		// A failure stands for a second, so the first click may be too early.
		await vi.waitFor(
			() => {
				element.querySelector("button")?.click();
				expect(element.textContent).toBe("0");
			},
			{ timeout: 20_000, interval: 200 },
		);
	});
});

describe("useEntries and useMirror", () => {
	test("show members in key order, and the same array until one changes", async () => {
		const manager = makeManager();
		await manager.shared.set("positions/MSFT", { quantity: 2 });
		await manager.shared.set("positions/AAPL", { quantity: 1 });
		const lists = new Set<unknown>();
		const List = (): ReactNode => {
			const entries = useEntries("shared", "positions/*");
			lists.add(entries);
			return entries.map(({ key, value }) => `${key}=${value.quantity}`).join(" ");
		};
		const { element } = render(
			<HoldfastProvider manager={manager}>
				<Suspense>
					<List />
				</Suspense>
			</HoldfastProvider>,
		);
		await shows(element, "positions/AAPL=1 positions/MSFT=2");
		await manager.shared.set("counter", 5);
		await manager.shared.set("positions/AAPL", { quantity: 1 });
		await manager.shared.set("positions/AAPL", { quantity: 3 });
		await shows(element, "positions/AAPL=3 positions/MSFT=2");
		expect(lists.size).toBe(2);
	});

	test("a mirror is read without rendering", async () => {
		const manager = makeManager();
		let latest = (): number | undefined => undefined;
		const { Counted, renders } = counted(() => {
			const mirror = useMirror("shared", "positions/*");
			latest = () => mirror.get("positions/AAPL")?.quantity;
			return "drawn";
		});
		const { element } = render(
			<HoldfastProvider manager={manager}>
				<Counted />
			</HoldfastProvider>,
		);
		await shows(element, "drawn");
		for (const quantity of [1, 2, 3]) await manager.shared.set("positions/AAPL", { quantity });
		await vi.waitFor(() => expect(latest()).toBe(3), 20_000);
		expect(renders()).toBe(1);
	});

	test("readers of one pattern share one mirror, also in StrictMode, and it ends a while after the last", async () => {
		const manager = makeManager();
		const Counter = (): ReactNode => useEntry("shared", "counter");
		const page = (shown: boolean): ReactNode => (
			<HoldfastProvider manager={manager}>
				<Suspense>{shown ? [1, 2, 3].map((key) => <Counter key={key} />) : "gone"}</Suspense>
			</HoldfastProvider>
		);
		vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
		onTestFinished(() => void vi.useRealTimers());
		const mirror = vi.spyOn(manager.shared, "mirror");
		const { element, render: show } = render(page(true), { strict: true });
		const settle = (text: string): Promise<void> => expect.poll(() => element.textContent).toBe(text);
		await settle("000");
		expect(mirror).toHaveBeenCalledTimes(1);
		expect(manager.health.watched).toBe(1);
		show(page(false));
		await settle("gone");
		vi.advanceTimersByTime(4000);
		expect(manager.health.watched, "while a reader may come back").toBe(1);
		show(page(true));
		await settle("000");
		expect(mirror).toHaveBeenCalledTimes(1);
		show(page(false));
		await settle("gone");
		vi.advanceTimersByTime(5000);
		await expect.poll(() => manager.health.watched).toBe(0);
	});

	test("a component that was hidden for long comes back current", async () => {
		const manager = makeManager();
		const Counter = (): ReactNode => useEntry("shared", "counter");
		const page = (mode: "visible" | "hidden"): ReactNode => (
			<HoldfastProvider manager={manager}>
				<Suspense>
					<Activity mode={mode}>
						<Counter />
					</Activity>
				</Suspense>
			</HoldfastProvider>
		);
		vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
		onTestFinished(() => void vi.useRealTimers());
		const { element, render: show } = render(page("visible"));
		await expect.poll(() => element.innerText).toBe("0");
		show(page("hidden"));
		await expect.poll(() => element.innerText).toBe("");
		await expect
			.poll(() => {
				vi.advanceTimersByTime(5000);
				return manager.health.watched;
			})
			.toBe(0);
		await manager.shared.set("counter", 12);
		show(page("visible"));
		await expect.poll(() => element.innerText).toBe("12");
		await manager.shared.set("counter", 13);
		await expect.poll(() => element.innerText).toBe("13");
	});
});

describe("useUpdate and useScope", () => {
	test("write by value or by compare-and-set, with one function for all renders", async () => {
		const manager = makeManager();
		const functions = new Set<unknown>();
		const Counter = (): ReactNode => {
			const count = useEntry("shared", "counter");
			const update = useUpdate("shared", "counter");
			functions.add(update);
			return (
				<button type="button" onClick={() => void Promise.all([update((n) => n + 1), update((n) => n + 1)])}>
					{count}
				</button>
			);
		};
		const Reset = (): ReactNode => {
			const update = useUpdate("shared", "counter");
			useEffect(() => void update(40), [update]);
			return null;
		};
		const { element } = render(
			<HoldfastProvider manager={manager}>
				<Suspense>
					<Counter />
					<Reset />
				</Suspense>
			</HoldfastProvider>,
		);
		await shows(element, "40");
		element.querySelector("button")?.click();
		await shows(element, "42");
		expect(functions.size).toBe(1);
	});

	test("a scope does everything else", async () => {
		const manager = makeManager();
		const Buy = (): ReactNode => {
			const shared = useScope("shared");
			const mine = useScope(["user", "ada"]);
			const [done, setDone] = useState("");
			const buy = async (): Promise<void> => {
				await shared.commit((tx) => tx.set("positions/AAPL", { quantity: 10 }));
				await mine.set("filters", { min: 3 });
				setDone("bought");
			};
			return (
				<button type="button" onClick={() => void buy()}>
					{done}
				</button>
			);
		};
		const { element } = render(
			<HoldfastProvider manager={manager}>
				<Buy />
			</HoldfastProvider>,
		);
		await vi.waitFor(() => expect(element.querySelector("button")).not.toBeNull(), 20_000);
		element.querySelector("button")?.click();
		await shows(element, "bought");
		expect(await manager.shared.get("positions/AAPL")).toEqual({ quantity: 10 });
		expect(await manager.user("ada").get("filters")).toEqual({ min: 3 });
	});
});

describe("usePending and useConnection", () => {
	test("show the provider's status", async () => {
		const manager = makeManager();
		const listeners = new Set<() => void>();
		const status = {
			online: true,
			stale: false,
			pending: { count: 0, oldest: null as number | null },
			subscribe: (listener: () => void) => {
				listeners.add(listener);
				return () => void listeners.delete(listener);
			},
		};
		const connections = new Set<unknown>();
		const Status = (): ReactNode => {
			const connection = useConnection();
			connections.add(connection);
			const { online, stale } = connection;
			return `${online ? "online" : "offline"} ${stale ? "stale" : "current"} ${usePending().count}`;
		};
		const page = (connected: boolean): ReactNode => (
			<HoldfastProvider manager={manager} {...(connected && { status })}>
				<Status />
			</HoldfastProvider>
		);
		const { element, render: show } = render(page(true));
		await shows(element, "online current 0");
		Object.assign(status, { online: false, stale: true, pending: { count: 2, oldest: 1 } });
		for (const listener of [...listeners]) listener();
		await shows(element, "offline stale 2");
		status.pending = { count: 1, oldest: 1 };
		for (const listener of [...listeners]) listener();
		await shows(element, "offline stale 1");
		expect(connections.size, "connections, of which one changed").toBe(2);
		show(page(false));
		await shows(element, "online current 0");
		expect(listeners.size).toBe(0);
	});

	test("render nothing while a component that opens a mirror renders", async () => {
		const complaints = vi.spyOn(console, "error");
		onTestFinished(() => complaints.mockRestore());
		const backend = remote({ url: "/state", fetch: () => new Promise(() => {}) });
		const manager: Manager = createStateManager({ backend, state });
		onTestFinished(async () => void (await manager.close({ timeout: 0 })));
		const Connection = (): ReactNode => (useConnection().stale ? "stale" : "current");
		const Counter = (): ReactNode => useEntry("shared", "counter", { suspend: false });
		const page = (reading: boolean): ReactNode => (
			<HoldfastProvider manager={manager} status={backend.status}>
				<Connection /> {reading && <Counter />}
			</HoldfastProvider>
		);
		const { element, render: show } = render(page(false));
		await shows(element, "current ");
		show(page(true));
		await shows(element, "stale 0");
		expect(complaints).not.toHaveBeenCalled();
	});
});

describe("a server's rendering", () => {
	const App = (): ReactNode => {
		const filters = useEntry(["user", "ada"], "filters");
		const positions = useEntries("shared", "positions/*");
		return (
			<p>
				{useEntry("shared", "counter")} {filters?.since?.toISOString()}{" "}
				{positions.map(({ key }) => key).join()}
			</p>
		);
	};

	/** What a server sends. */
	async function serve(): Promise<{ readonly html: string; readonly text: string }> {
		const manager = makeManager();
		await manager.shared.set("counter", 3);
		await manager.shared.set("positions/<script>", { quantity: 1 });
		await manager.user("ada").set("filters", { min: 1, since: new Date(0) });
		const handover = createHandover();
		const stream = await renderToReadableStream(
			<HoldfastProvider manager={manager} handover={handover}>
				<App />
			</HoldfastProvider>,
		);
		await stream.allReady;
		return { html: await new Response(stream).text(), text: String(handover) };
	}

	test("is shown again without a flash, and then goes on", async () => {
		const { html, text } = await serve();
		// The page's own manager hears later, and of a state that went on meanwhile.
		const manager = makeManager();
		await manager.shared.set("counter", 4);
		await manager.user("ada").set("filters", { min: 1, since: new Date(0) });
		const element = makeElement(html);
		const paragraph = element.querySelector("p");
		const texts: (string | null)[] = [];
		new MutationObserver(() => texts.push(element.textContent)).observe(element, {
			subtree: true,
			characterData: true,
			childList: true,
		});
		const mismatches: unknown[] = [];
		const root = hydrateRoot(
			element,
			<StrictMode>
				<HoldfastProvider manager={manager} initial={text}>
					<App />
				</HoldfastProvider>
			</StrictMode>,
			{ onRecoverableError: (error) => mismatches.push(error) },
		);
		unmountInTheEnd(root);
		await shows(element, "4 1970-01-01T00:00:00.000Z ");
		expect(mismatches).toEqual([]);
		expect(element.querySelector("p"), "the server's element").toBe(paragraph);
		expect(
			texts.every((shown) => shown?.includes("1970")),
			texts.join(" | "),
		).toBe(true);
	});

	test("meets each part of the page as it was rendered, however late that part is there", async () => {
		const { html, text } = await serve();
		const manager = makeManager();
		await manager.shared.set("counter", 4);
		await manager.user("ada").set("filters", { min: 1, since: new Date(0) });
		const element = makeElement();
		// As the server's App stands behind a boundary: React marks it with comments.
		element.innerHTML = `<!--$-->${html}<!--/$--><b>3</b>`;
		const paragraph = element.querySelector("p");
		const code = Promise.withResolvers<{ default: typeof App }>();
		const Late = lazy(() => code.promise);
		const Counter = (): ReactNode => <b>{useEntry("shared", "counter")}</b>;
		const mismatches: unknown[] = [];
		const root = hydrateRoot(
			element,
			<HoldfastProvider manager={manager} initial={text}>
				<Suspense>
					<Late />
				</Suspense>
				<Counter />
			</HoldfastProvider>,
			{ onRecoverableError: (error) => mismatches.push(error) },
		);
		unmountInTheEnd(root);
		await vi.waitFor(() => expect(element.querySelector("b")?.textContent).toBe("4"), { timeout: 20_000 });
		expect(paragraph?.textContent).toContain("3");
		code.resolve({ default: App });
		await vi.waitFor(() => expect(paragraph?.textContent).toContain("4"), { timeout: 20_000 });
		expect(mismatches).toEqual([]);
		expect(element.querySelector("p"), "the server's element").toBe(paragraph);
	});

	test("knows nothing of the page's connection, and the page says it a moment later", async () => {
		const manager = makeManager();
		const Status = (): ReactNode => (
			<i>
				{useConnection().online ? "online" : "offline"} {usePending().count}
			</i>
		);
		const pending = { count: 2, oldest: 1 };
		const status = { online: false, stale: true, pending, subscribe: () => () => {} };
		const element = makeElement("<i>online<!-- --> <!-- -->0</i>");
		const served = element.querySelector("i");
		const mismatches: unknown[] = [];
		const root = hydrateRoot(
			element,
			<HoldfastProvider manager={manager} status={status}>
				<Status />
			</HoldfastProvider>,
			{ onRecoverableError: (error) => mismatches.push(error) },
		);
		unmountInTheEnd(root);
		await shows(element, "offline 2");
		expect(mismatches).toEqual([]);
		expect(element.querySelector("i")).toBe(served);
	});
});
