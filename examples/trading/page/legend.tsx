/** Named figures in a row. */
import type { ReactNode } from "react";

export type Figure = readonly [className: string, label: string, value: string];

export const Legend = ({
	id,
	figures,
}: {
	readonly id: string;
	readonly figures: readonly Figure[];
}): ReactNode => (
	<p id={id} className="legend">
		{figures.map(([className, label, value], i) => (
			// A figure is what stands at its place.
			<span key={i} className={className}>
				{label} <b>{value}</b>
			</span>
		))}
	</p>
);
