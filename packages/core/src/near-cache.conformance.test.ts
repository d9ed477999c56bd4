import type { Backend, Soon } from "./backend.js";
import { systemClock } from "./clock.js";
import { nearCache } from "./near-cache.js";
import { around } from "./testing/around.js";
import { chaos } from "./testing/chaos.js";
import { conformance } from "./testing/conformance.js";
import type { BackendHarness } from "./testing/harness.js";
import { memoryHarness } from "./testing/memory-harness.js";
import { remembering } from "./testing/remembering.js";
import { textBoundary } from "./testing/text-boundary.js";

const options = { concurrent: true };

/** A store whose every read is answered from memory where the cache can. */
const eager = (cache: Backend): Backend =>
	around(cache, {
		read: (asks) =>
			asks.map(
				(ask) =>
					(ask.keys.length > 0 ? cache.peek?.(ask) : undefined) ?? (cache.read([ask])[0] as Soon<never>),
			),
	});

/** Each handle has a cache of its own, whose time goes ahead as the store's does. */
function cached(store: (near: (inner: Backend) => Backend) => BackendHarness): BackendHarness {
	let ahead = 0;
	const clock = {
		...systemClock,
		now: () => systemClock.now() + ahead,
		monotonic: () => systemClock.monotonic() + ahead,
	};
	const harness = store((inner) => eager(nearCache(inner, { clock })));
	return {
		...harness,
		async advance(ms) {
			ahead += ms;
			await harness.advance?.(ms);
		},
	};
}

conformance("a near cache on memory", () => cached((near) => memoryHarness({ handle: near })), options);

conformance(
	"a near cache on a store behind a boundary of text",
	() => cached((near) => memoryHarness({ handle: (store) => near(textBoundary(store)) })),
	options,
);

conformance(
	"a near cache on a store that loses answers",
	() =>
		cached((near) =>
			memoryHarness({
				layer: remembering,
				handle: (store) =>
					near(
						chaos(store, { loseAnswers: 0.1, loseBatches: 0.05, lateBatches: 0.05, repeatBatches: 0.1 })
							.backend,
					),
				losesAnswers: true,
			}),
		),
	options,
);
