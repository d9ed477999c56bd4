import { type BackendHarness, conformance, TestClock } from "@holdfast/core/testing";
import { browser } from "./browser.js";

function openSession(): BackendHarness {
	const name = `conformance-${crypto.randomUUID()}`;
	const prefix = `holdfast:${name}: `;
	const clock = new TestClock({ skew: 3_600_000 });
	const items = (): [string, string][] =>
		Object.entries({ ...sessionStorage }).filter(
			([item]) => item.startsWith(prefix) && item !== `${prefix}tab`,
		);
	const empty = (): void => {
		for (const [item] of items()) sessionStorage.removeItem(item);
	};
	return {
		create: () => browser({ storage: "session", name, clock }),
		advance: (ms) => clock.jump(ms),
		restart: async () => {},
		reconnects: true,
		forget: empty,
		save: () => {
			const saved = items();
			return () => {
				empty();
				for (const [item, text] of saved) sessionStorage.setItem(item, text);
			};
		},
		dispose: async () => empty(),
	};
}

conformance("sessionStorage", openSession);
