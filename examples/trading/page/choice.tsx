/** A choice among a few, and what can be on or off. */
import type { ReactNode } from "react";
import { useChange } from "./change.tsx";

/** Radio buttons in a row. */
export function Choice<Value extends string>(props: {
	readonly id: string;
	readonly legend: string;
	readonly options: readonly (readonly [value: Value, label: string])[];
	/** What is stored. */
	readonly chosen: Value;
	readonly choose: (value: Value) => Promise<unknown>;
}): ReactNode {
	const { id, legend, options } = props;
	const [chosen, choose] = useChange(props.chosen, props.choose);
	return (
		<fieldset id={id} className="segments">
			<legend className="hidden">{legend}</legend>
			{options.map(([value, label]) => (
				<label key={value}>
					<input type="radio" name={id} checked={value === chosen} onChange={() => choose(value)} />
					{label}
				</label>
			))}
		</fieldset>
	);
}

/** A check box. */
export function Toggle(props: {
	readonly label: string;
	/** What is stored. */
	readonly on: boolean;
	readonly toggle: (on: boolean) => Promise<unknown>;
}): ReactNode {
	const [on, toggle] = useChange(props.on, props.toggle);
	return (
		<label>
			<input type="checkbox" checked={on} onChange={({ target }) => toggle(target.checked)} />
			{props.label}
		</label>
	);
}
