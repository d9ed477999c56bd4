/** Elements, made and updated with as little as that takes. */

type Attributes = { readonly [name: string]: string | number | boolean | undefined };

/** Makes an element. Text is text: nothing of it is read as HTML. */
export function element<Name extends keyof HTMLElementTagNameMap>(
	name: Name,
	attributes: Attributes = {},
	...children: readonly (Node | string)[]
): HTMLElementTagNameMap[Name] {
	const made = document.createElement(name);
	setAttributes(made, attributes);
	made.append(...children);
	return made;
}

/** Makes an element of a drawing. */
export function drawing<Name extends keyof SVGElementTagNameMap>(
	name: Name,
	attributes: Attributes = {},
	...children: readonly Node[]
): SVGElementTagNameMap[Name] {
	const made = document.createElementNS("http://www.w3.org/2000/svg", name);
	setAttributes(made, attributes);
	made.append(...children);
	return made;
}

function setAttributes(target: Element, attributes: Attributes): void {
	for (const [name, value] of Object.entries(attributes))
		if (value !== undefined && value !== false)
			target.setAttribute(name, value === true ? "" : String(value));
}

/** The element with an id, which the page has. */
export function byId<E extends Element = HTMLElement>(id: string): E {
	const found = document.getElementById(id);
	if (found === null) throw new Error(`The page has no element ${id}.`);
	return found as Element as E;
}

/** Sets a text, where it differs. */
export function setText(target: Element, text: string): void {
	if (target.textContent !== text) target.textContent = text;
}

/** Sets a class, where it differs. */
export function setClass(target: Element, name: string): void {
	if (target.className !== name) target.className = name;
}

/** How long a choice of the user's stands against what the server still says, in ms. */
const patience = 3000;

/**
 * Keeps the server's word from undoing what the user has just chosen: until it says the same, or patience ends. Answers what hears
 * the user and what hears the server.
 */
function settle<Value>(show: (value: Value) => void): {
	choose: (value: Value) => void;
	tell: (value: Value) => void;
} {
	let chosen: { readonly value: Value; readonly until: number } | undefined;
	return {
		choose(value) {
			chosen = { value, until: performance.now() + patience };
		},
		tell(value) {
			if (chosen !== undefined && chosen.value !== value && performance.now() < chosen.until) return;
			chosen = undefined;
			show(value);
		},
	};
}

/** A choice among a few, as radio buttons in a row; answers what shows the chosen one. */
export function makeChoice<Value extends string>(
	into: HTMLElement,
	options: readonly (readonly [value: Value, label: string])[],
	choose: (value: Value) => void,
): (chosen: string) => void {
	const settling = settle<string>((chosen) => {
		for (const input of inputs) input.checked = input.value === chosen;
	});
	const inputs = options.map(([value, label]) => {
		const input = element("input", { type: "radio", name: into.id, value });
		input.addEventListener("change", () => {
			settling.choose(value);
			choose(value);
		});
		into.append(element("label", {}, input, label));
		return input;
	});
	return settling.tell;
}

/** What can be on or off; answers what shows it. */
export function makeToggle(
	into: HTMLElement,
	label: string,
	toggle: (on: boolean) => void,
): (on: boolean) => void {
	const input = element("input", { type: "checkbox" });
	const settling = settle<boolean>((on) => {
		input.checked = on;
	});
	input.addEventListener("change", () => {
		settling.choose(input.checked);
		toggle(input.checked);
	});
	into.append(element("label", {}, input, label));
	return settling.tell;
}
