/** What happened lately: the newest of the shared scope's recorded facts. */
import type { EventOf } from "@holdfast/core";
import { useEffect, useState } from "react";
import type { Events, Shared } from "../state.ts";
import { useScope } from "./bindings.ts";

/** How many facts the page shows. */
const recent = 50;

/** How long after a failure it asks again, in ms. */
const retry = 1000;

/** A fact with a name of its own. */
export type Fact = EventOf<Events, "*"> & { readonly id: string };

/** The newest facts, newest first. */
export function useFacts(): readonly Fact[] {
	const shared = useScope("shared");
	const [facts, setFacts] = useState<readonly Fact[]>([]);
	useEffect(() => {
		const ending = new AbortController();
		void follow(shared, setFacts, ending.signal);
		return () => ending.abort();
	}, [shared]);
	return facts;
}

/** Recalls the newest facts, then hears each that follows the last of them: none is missed and none comes twice. */
async function follow(
	shared: Pick<Shared, "events">,
	show: (facts: readonly Fact[]) => void,
	signal: AbortSignal,
): Promise<void> {
	let facts: readonly Fact[] = [];
	const remember = (event: EventOf<Events, "*">): void => {
		// Facts of one commit share its revision.
		const before = facts.filter(({ revision }) => revision === event.revision).length;
		facts = [{ ...event, id: `${event.revision}.${before}` }, ...facts].slice(0, recent);
	};
	try {
		for await (const event of shared.events.history({ last: recent })) remember(event);
	} catch {
		// What the connection is like stands in the header.
		if (!signal.aborted) setTimeout(() => signal.aborted || void follow(shared, show, signal), retry);
		return;
	}
	if (signal.aborted) return;
	show(facts);
	const hearing = shared.events.on(
		"*",
		(event) => {
			remember(event);
			show(facts);
		},
		{
			from: facts[0]?.revision ?? 0,
			// The log no longer reaches back to the last that was heard.
			onReset: () => {
				hearing.stop();
				void follow(shared, show, signal);
			},
			signal,
		},
	);
}
