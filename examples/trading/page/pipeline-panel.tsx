/** How the bars come from the feed's process to the page, in figures. */
import { Fragment, type ReactNode } from "react";
import type { Pipeline } from "../state.ts";
import { useEntry } from "./bindings.ts";
import { formatCount, none } from "./format.ts";

const rows: readonly (readonly [name: string, text: (pipeline: Pipeline) => string])[] = [
	["Feed (WebSocket)", ({ feed }) => feed],
	["Bars received", ({ received }) => formatCount(received)],
	["Commits", ({ commits }) => formatCount(commits)],
	["Queue", ({ waiting, capacity }) => `${waiting} of ${formatCount(capacity)}`],
	["Queue at most", ({ peak }) => formatCount(peak)],
	["Coalesced", ({ coalesced }) => formatCount(coalesced)],
	["Feed to store", ({ latency }) => (latency === null ? none : `${formatCount(latency)} ms`)],
];

export function PipelinePanel(): ReactNode {
	const pipeline = useEntry("shared", "pipeline");
	return (
		<section className="panel pipeline" aria-labelledby="pipeline-title">
			<h2 id="pipeline-title">From the feed to here</h2>
			<dl id="pipeline" data-sent-at={pipeline?.sentAt}>
				{rows.map(([name, text]) => (
					<Fragment key={name}>
						<dt>{name}</dt>
						<dd>{pipeline === undefined ? none : text(pipeline)}</dd>
					</Fragment>
				))}
			</dl>
		</section>
	);
}
