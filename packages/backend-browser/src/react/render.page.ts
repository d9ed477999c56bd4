/** Renders components into a page of the tests. */
import { createElement, type ReactNode, StrictMode } from "react";
import { createRoot, type Root } from "react-dom/client";
import { onTestFinished } from "vitest";

/** A rendering and the element that it is in. */
export interface Rendering {
	readonly element: HTMLElement;
	render(node: ReactNode): void;
}

/** An element of the page that goes with the test. */
export function makeElement(html = ""): HTMLElement {
	const element = document.createElement("div");
	element.innerHTML = html;
	document.body.append(element);
	onTestFinished(() => element.remove());
	return element;
}

/** Ends a root with the test. */
export function unmountInTheEnd(root: Root): void {
	onTestFinished(() => root.unmount());
}

/** Renders into a fresh element. */
export function render(node: ReactNode, { strict = false } = {}): Rendering {
	const element = makeElement();
	const root = createRoot(element);
	unmountInTheEnd(root);
	const show = (next: ReactNode): void => root.render(strict ? createElement(StrictMode, null, next) : next);
	show(node);
	return { element, render: show };
}
