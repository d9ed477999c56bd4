/** How the bars come from the feed's process to the page, in figures. */
import type { Pipeline } from "../state.ts";
import { byId, element, setText } from "./element.ts";
import { formatCount, none } from "./format.ts";

const rows: readonly (readonly [name: string, text: (pipeline: Pipeline) => string])[] = [
	["Feed (WebSocket)", ({ feed }) => feed],
	["Bars received", ({ received }) => formatCount(received)],
	["Commits", ({ commits }) => formatCount(commits)],
	["Queue", ({ waiting, capacity }) => `${waiting} of ${formatCount(capacity)}`],
	["Queue at most", ({ peak }) => formatCount(peak)],
	["Coalesced at the bound", ({ coalesced }) => formatCount(coalesced)],
	["Feed to store", ({ latency }) => (latency === null ? none : `${formatCount(latency)} ms`)],
];

export class PipelinePanel {
	readonly #values = rows.map(([name, text]) => {
		const value = element("dd", {}, none);
		byId("pipeline").append(element("dt", {}, name), value);
		return { value, text };
	});

	draw(pipeline: Pipeline | undefined): void {
		if (pipeline === undefined) return;
		for (const { value, text } of this.#values) setText(value, text(pipeline));
	}
}
