/**
 * The page: the sign-in, or the dashboard of who is signed in. Each user has a manager of their own, so that nothing of one is left for
 * the next.
 */
import "./no-eval.ts";
import { remote } from "@holdfast/backend-browser";
import { HoldfastProvider } from "@holdfast/backend-browser/react";
import { createStateManager } from "@holdfast/core";
import { type ReactNode, StrictMode } from "react";
import { createRoot } from "react-dom/client";
import type { Visitor } from "../sessions.ts";
import { state } from "../state.ts";
import { whoIsThere } from "./commands.ts";
import { Dashboard } from "./dashboard.tsx";
import { SignIn } from "./sign-in.tsx";
import { VisitorContext } from "./visitor.ts";
import { Unreached, Waiting } from "./waiting.tsx";

const root = createRoot(document.getElementById("root") as HTMLElement);
const render = (page: ReactNode): void => root.render(<StrictMode>{page}</StrictMode>);

let leave = (): void => {};
/** Counts what was shown: what was asked before is not shown after it. */
let turn = 0;

/** Shows a visitor the dashboard; nobody, the sign-in. */
function show(visitor: Visitor | null): void {
	turn++;
	leave();
	leave = () => {};
	if (visitor === null) {
		render(<SignIn signedIn={show} />);
		return;
	}
	const backend = remote({ url: "state", onIdentityChange: showAnew });
	const manager = createStateManager({ backend, state, namespace: "trading" });
	leave = () => void manager.close();
	render(
		<HoldfastProvider manager={manager} status={backend.status}>
			<VisitorContext value={visitor}>
				<Dashboard status={backend.status} signedOut={() => show(null)} />
			</VisitorContext>
		</HoldfastProvider>,
	);
}

/** All tabs have one cookie: who signs in or out in another one does so here too. The backend has forgotten what it knew by now. */
function showAnew(): void {
	const mine = ++turn;
	render(<Waiting />);
	whoIsThere().then(
		(visitor) => mine === turn && show(visitor),
		() => mine === turn && render(<Unreached />),
	);
}

// At the first paint the server has said who it is.
const { user: name, userId: id } = document.documentElement.dataset;
show(name === undefined || id === undefined ? null : { id, name });
