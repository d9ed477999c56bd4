/** The head of the page: the replay's controls, the connection, and the user's own settings. */
import type { Pace } from "../pace.ts";
import type { Replay, Settings } from "../state.ts";
import type { ConnectionStatus } from "./connection.ts";
import { byId, makeChoice, setClass, setText } from "./element.ts";
import { formatDay, formatWeekday, none } from "./format.ts";

export interface HeaderActions {
	setPace(pace: Partial<Pace>): void;
	saveSettings(settings: Partial<Settings>): void;
	signOut(): void;
}

const speeds = ["1", "5", "20", "100", "500"] as const;

const statusText = { connecting: "Connecting", live: "Live", lost: "Reconnecting" };

export class Header {
	readonly #pause = byId<HTMLButtonElement>("pause");
	readonly #date = byId<HTMLTimeElement>("date");
	readonly #progress = byId<HTMLProgressElement>("progress");
	readonly #showSpeed;
	readonly #showTheme;
	readonly #showDensity;
	#paused = false;

	constructor({ setPace, saveSettings, signOut }: HeaderActions) {
		this.#pause.addEventListener("click", () => setPace({ paused: !this.#paused }));
		this.#showSpeed = makeChoice(
			byId("speed"),
			speeds.map((speed) => [speed, speed]),
			(speed) => setPace({ speed: Number(speed) }),
		);
		this.#showTheme = makeChoice(
			byId("theme"),
			[
				["system", "System"],
				["light", "Light"],
				["dark", "Dark"],
			],
			(theme) => saveSettings({ theme }),
		);
		this.#showDensity = makeChoice(
			byId("density"),
			[
				["comfortable", "Comfortable"],
				["compact", "Compact"],
			],
			(density) => saveSettings({ density }),
		);
		byId("sign-out").addEventListener("click", signOut);
		const menu = byId<HTMLDetailsElement>("account-menu");
		document.addEventListener("click", ({ target }) => {
			if (!menu.contains(target as Node)) menu.open = false;
		});
		menu.addEventListener("keydown", ({ key }) => {
			if (key !== "Escape") return;
			menu.open = false;
			menu.querySelector("summary")?.focus();
		});
	}

	drawReplay(replay: Replay | undefined, pace: Pace | undefined): void {
		if (pace !== undefined) {
			this.#paused = pace.paused;
			this.#pause.classList.toggle("paused", pace.paused);
			this.#pause.setAttribute("aria-label", pace.paused ? "Go on with the replay" : "Pause the replay");
			this.#showSpeed(String(pace.speed));
			const known = (speeds as readonly string[]).includes(String(pace.speed));
			setText(byId("speed-text"), known ? "days/s" : `${pace.speed} days/s`);
		}
		if (replay === undefined) return;
		setText(byId("weekday"), replay.date === null ? "" : `${formatWeekday(replay.date)} `);
		setText(byId("day"), replay.date === null ? none : formatDay(replay.date));
		if (replay.date !== null) this.#date.dateTime = replay.date;
		this.#progress.max = replay.days;
		this.#progress.value = replay.day;
	}

	drawUser(name: string, { theme = "system", density = "comfortable" }: Partial<Settings>): void {
		this.#showTheme(theme);
		this.#showDensity(density);
		const menu = byId("account-menu");
		for (const node of menu.querySelectorAll(".name")) setText(node, name);
		for (const node of menu.querySelectorAll(".avatar"))
			setText(node, (Array.from(name)[0] ?? "").toUpperCase());
		menu.querySelector("summary")?.setAttribute("aria-label", `${name}: settings and sign-out`);
	}

	drawConnection(status: ConnectionStatus): void {
		setText(byId("connection").lastElementChild as Element, statusText[status]);
		setClass(byId("connection"), `connection ${status}`);
	}
}
