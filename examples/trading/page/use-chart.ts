/** A chart in a component: it is imperative, and drawn apart from React's renders. */
import { type RefCallback, useCallback, useEffect, useState } from "react";
import { Frames } from "./frames.ts";
import { useSettings } from "./visitor.ts";

/** What draws into an element. */
export interface Chart {
	/** How long at least until it is drawn again, in ms: a phone should stay cool. */
	readonly rest: number;
	/** Takes the theme's colours: before it is drawn, and whenever they change. */
	restyle(): void;
	/** Lets go of its element. */
	remove(): void;
}

/** What can be followed, like a mirror. */
interface Followed {
	subscribe(listener: () => void): () => void;
}

/**
 * A chart in the element that is given the answered ref. It is drawn when one of what it follows has changed, and when `draw` is another
 * function, in a frame of its own.
 */
export function useChart<C extends Chart>(
	Kind: new (container: HTMLElement) => C,
	draw: (chart: C) => void,
	followed: readonly Followed[],
): RefCallback<HTMLElement> {
	const [chart, setChart] = useState<C>();
	const [{ theme, density }] = useSettings();

	useEffect(() => {
		if (chart === undefined) return;
		const frames = new Frames(() => draw(chart), chart.rest);
		const stops = followed.map((each) => each.subscribe(frames.ask));
		return () => {
			for (const stop of stops) stop();
			frames.end();
		};
	}, [chart, draw, ...followed]);

	// The colours are of the theme, and the sizes of the density.
	useEffect(() => {
		if (chart === undefined) return;
		const restyle = (): void => chart.restyle();
		restyle();
		const dark = matchMedia("(prefers-color-scheme: dark)");
		dark.addEventListener("change", restyle);
		return () => dark.removeEventListener("change", restyle);
	}, [chart, theme, density]);

	return useCallback(
		(element) => {
			if (element === null) return;
			const made = new Kind(element);
			setChart(made);
			return () => {
				setChart(undefined);
				made.remove();
			};
		},
		[Kind],
	);
}
