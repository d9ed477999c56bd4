/** All of the page's traffic with the server: one stream down, small requests up. */
import type { Pace } from "../pace.ts";
import type { Settings } from "../state.ts";
import type { History, Snapshot, WireCommit } from "../wire.ts";

export type ConnectionStatus = "connecting" | "live" | "lost";

export interface ConnectionListener {
	status(status: ConnectionStatus): void;
	snapshot(snapshot: Snapshot): void;
	commit(commit: WireCommit): void;
	signedOut(): void;
}

/** How long until a stream that the server refused is asked for again, in ms. */
const retry = 2000;

export class Connection {
	readonly #listener: ConnectionListener;

	constructor(listener: ConnectionListener) {
		this.#listener = listener;
	}

	/** Opens the stream. After an interruption the browser resumes it by itself, with the last event's id. */
	open(): void {
		const { status, snapshot, commit, signedOut } = this.#listener;
		status("connecting");
		const source = new EventSource("api/stream");
		source.addEventListener("open", () => status("live"));
		source.addEventListener("snapshot", ({ data }) => snapshot(JSON.parse(data)));
		source.addEventListener("commit", ({ data }) => commit(JSON.parse(data)));
		source.addEventListener("signed-out", () => {
			source.close();
			signedOut();
		});
		source.addEventListener("error", () => {
			status("lost");
			if (source.readyState === EventSource.CLOSED) setTimeout(() => this.#reopen(), retry);
		});
	}

	/** The server refused the stream: because it is down, or because nobody is signed in any more. */
	async #reopen(): Promise<void> {
		const response = await fetch("api/me").catch(() => undefined);
		if (response?.status === 401) this.#listener.signedOut();
		else this.open();
	}

	async history(symbol: string): Promise<History> {
		const response = await fetch(`api/history/${encodeURIComponent(symbol)}`);
		if (!response.ok) throw new Error(await reasonOf(response));
		return response.json();
	}

	saveSettings(settings: Partial<Settings>): Promise<void> {
		return post("api/settings", settings);
	}

	setPace(pace: Partial<Pace>): Promise<void> {
		return post("api/pace", pace);
	}

	signOut(): Promise<void> {
		return post("api/sign-out", {});
	}
}

export const signIn = (name: string): Promise<void> => post("api/sign-in", { name });

async function post(path: string, body: unknown): Promise<void> {
	const response = await fetch(path, {
		method: "POST",
		headers: { "content-type": "application/json" },
		body: JSON.stringify(body),
	});
	if (!response.ok) throw new Error(await reasonOf(response));
}

async function reasonOf(response: Response): Promise<string> {
	const said: { error?: string } = await response.json().catch(() => ({}));
	return said.error ?? `The server answered ${response.status}.`;
}
