/** The head of the page: the replay's controls, the connection, and the user's own settings. */
import type { RemoteStatus } from "@holdfast/backend-browser";
import { type ReactNode, use, useEffect, useLayoutEffect, useRef } from "react";
import type { Pace } from "../pace.ts";
import { useEntry, useMirror } from "./bindings.ts";
import { useChange } from "./change.tsx";
import { Choice } from "./choice.tsx";
import { setPace, signOut } from "./commands.ts";
import { Connection } from "./connection.tsx";
import { formatDay, formatWeekday, none } from "./format.ts";
import icon from "./icon.svg";
import { useSettings, VisitorContext } from "./visitor.ts";

export const Header = (props: {
	readonly status: RemoteStatus;
	readonly signedOut: () => void;
}): ReactNode => (
	<header>
		<div className="brand">
			<img src={icon} alt="" width="30" height="30" />
			<h1>
				Holdfast <span>Trading</span>
			</h1>
		</div>
		<p
			className="badge"
			title="Daily bars of the S&P 500 and monthly stock prices, from the npm package vega-datasets"
		>
			<b>Replay</b> of S&amp;P 500 daily bars 2000–2020
		</p>
		<div className="transport">
			<Transport />
		</div>
		<Connection status={props.status} />
		<AccountMenu signedOut={props.signedOut} />
	</header>
);

const speeds = (["1", "5", "20", "100", "500"] as const).map((speed) => [speed, speed] as const);

function Transport(): ReactNode {
	const pace = useEntry("shared", "pace");
	const paces = useMirror("shared", "pace");
	const change = async (patch: Partial<Pace>): Promise<void> => {
		const { revision } = await setPace(patch);
		await paces.at(revision);
	};
	const [paused, pause] = useChange(pace.paused, (wanted) => change({ paused: wanted }));
	const speed = String(pace.speed);
	const isListed = speeds.some(([listed]) => listed === speed);
	return (
		<>
			<button
				id="pause"
				className={paused ? "icon paused" : "icon"}
				type="button"
				aria-label={paused ? "Go on with the replay" : "Pause the replay"}
				onClick={() => pause(!paused)}
			>
				<svg viewBox="0 0 16 16" aria-hidden="true">
					<path className="pause" d="M4 3h3v10H4zM9 3h3v10H9z" />
					<path className="play" d="M4.5 2.5v11l9-5.5z" />
				</svg>
			</button>
			<Now />
			<Choice
				id="speed"
				legend="Speed, in trading days a second"
				options={speeds}
				chosen={speed}
				choose={(chosen) => change({ speed: Number(chosen) })}
			/>
			<span id="speed-text" className="unit">
				{isListed ? "days/s" : `${speed} days/s`}
			</span>
		</>
	);
}

function Now(): ReactNode {
	const { date = null, day = 0, days = 1 } = useEntry("shared", "replay") ?? {};
	return (
		<div className="now">
			<time id="date" dateTime={date ?? undefined}>
				<span id="weekday">{date === null ? "" : `${formatWeekday(date)} `}</span>
				<span id="day">{date === null ? none : formatDay(date)}</span>
			</time>
			<progress id="progress" max={days} value={day} aria-label="How far the replay is" />
		</div>
	);
}

function AccountMenu({ signedOut }: { readonly signedOut: () => void }): ReactNode {
	const { name } = use(VisitorContext);
	const [{ theme, density }, save] = useSettings();
	const [isLeaving, leave] = useChange<boolean>(false, async () => {
		await signOut();
		signedOut();
	});
	const menu = useRef<HTMLDetailsElement>(null);
	// Before the charts take their colours, which they do in an effect.
	useLayoutEffect(() => {
		const { dataset } = document.documentElement;
		Object.assign(dataset, { theme, density });
		return () => {
			delete dataset.theme;
			delete dataset.density;
		};
	}, [theme, density]);
	useEffect(() => {
		const close = ({ target }: MouseEvent): void => {
			if (menu.current !== null && !menu.current.contains(target as Node)) menu.current.open = false;
		};
		document.addEventListener("click", close);
		return () => document.removeEventListener("click", close);
	}, []);
	return (
		<details
			id="account-menu"
			className="menu"
			ref={menu}
			onBlur={({ relatedTarget, currentTarget }) => {
				// Whoever goes on by keyboard would have it stand before what they go to.
				if (relatedTarget !== null && !currentTarget.contains(relatedTarget)) currentTarget.open = false;
			}}
			onKeyDown={({ key, currentTarget }) => {
				if (key !== "Escape") return;
				currentTarget.open = false;
				currentTarget.querySelector("summary")?.focus();
			}}
		>
			<summary aria-label={`${name}: settings and sign-out`}>
				<span className="avatar" aria-hidden="true">
					{(Array.from(name)[0] ?? "").toUpperCase()}
				</span>
				<span className="name">{name}</span>
			</summary>
			<div className="panel">
				<p className="note" aria-hidden="true">
					Theme
				</p>
				<Choice
					id="theme"
					legend="Theme"
					options={[
						["system", "System"],
						["light", "Light"],
						["dark", "Dark"],
					]}
					chosen={theme}
					choose={(chosen) => save({ theme: chosen })}
				/>
				<p className="note" aria-hidden="true">
					Density
				</p>
				<Choice
					id="density"
					legend="Density"
					options={[
						["comfortable", "Comfortable"],
						["compact", "Compact"],
					]}
					chosen={density}
					choose={(chosen) => save({ density: chosen })}
				/>
				<p className="note">These are yours alone, in all your windows.</p>
				<button id="sign-out" type="button" disabled={isLeaving} onClick={() => leave(true)}>
					Sign out
				</button>
			</div>
		</details>
	);
}
