/** The theme's colours, as a canvas needs them: resolved for the theme that holds now. */

const names = [
	"panel",
	"grid",
	"line",
	"text",
	"quiet",
	"accent",
	"accent-faint",
	"gain",
	"loss",
	"gain-faint",
	"loss-faint",
	"fast",
	"slow",
] as const;

export type Colors = Record<(typeof names)[number], string>;

/** Reads them: only a real property resolves `light-dark()`. */
export function readColors(): Colors {
	const probe = document.createElement("i");
	document.body.append(probe);
	const colors = Object.fromEntries(
		names.map((name) => {
			probe.style.color = `var(--${name})`;
			return [name, getComputedStyle(probe).color];
		}),
	) as Colors;
	probe.remove();
	return colors;
}
