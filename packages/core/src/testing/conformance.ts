/** The suite: every promise as tests, for any store. */
import { describe, test } from "vitest";
import { checks } from "./checks.js";
import { type HarnessFactory, whyNot } from "./harness.js";
import { promises } from "./promises.js";

/** Options of {@link conformance}. */
export interface ConformanceOptions {
	/** Only these promises. Default: all. */
	readonly only?: readonly number[];
	/** How long a test may take, in ms. Default 180,000. */
	readonly timeout?: number;
	/** Runs several tests at once, as many as vitest's `maxConcurrency` says. Default `false`. */
	readonly concurrent?: boolean;
}

/**
 * Registers a test for everything that a backend promises. Tests that need what the harness can't do are skipped, with the reason.
 *
 * @example
 * ```ts
 * conformance("my store", async () => {
 *   const prefix = crypto.randomUUID();
 *   return { create: () => myStore(url, { prefix }), losesAnswers: true, dispose: () => deleteAll(prefix) };
 * });
 * ```
 */
export function conformance(
	name: string,
	open: HarnessFactory,
	{ only, timeout = 180_000, concurrent = false }: ConformanceOptions = {},
): void {
	describe(`${name} keeps its promises`, { concurrent }, () => {
		for (const [number, title] of Object.entries(promises)) {
			const promise = Number(number);
			if (only !== undefined && !only.includes(promise)) continue;
			describe(`${promise}, ${title}`, () => {
				for (const check of checks.filter((one) => one.promise === promise))
					test(`promise ${promise}: ${check.name}`, { timeout }, async ({ skip, onTestFinished }) => {
						const harness = await open();
						onTestFinished(() => harness.dispose());
						const reason = whyNot(harness, check.needs);
						if (reason !== undefined) skip(reason);
						await check.run(harness);
					});
			});
		}
	});
}
