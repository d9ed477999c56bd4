import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeKey, reservedKey } from "./key.js";
import { compilePattern } from "./pattern.js";
import { Routes } from "./routes.js";

const segment = fc.constantFrom("a", "b", "c d", "");
const key = fc
	.array(segment, { minLength: 1, maxLength: 4 })
	.map((parts) => parts.join("/"))
	.filter((key) => key !== "")
	.map(encodeKey);
const pattern = fc
	.tuple(
		fc.array(fc.oneof(segment, fc.constant("*")), { maxLength: 3 }),
		fc.oneof(segment, fc.constantFrom("*", "**")),
	)
	.map(([parts, last]) => [...parts, last].join("/"))
	.filter((pattern) => pattern !== "")
	.map(compilePattern);

function visited<T>(routes: Routes<T>, key: string): T[] {
	const targets: T[] = [];
	routes.visit(key, targets, (target, found) => found.push(target));
	return targets;
}

/** The maps that some work writes to. */
function mapsFilledBy(work: () => void): Set<Map<unknown, unknown>> {
	const { set } = Map.prototype;
	const filled = new Set<Map<unknown, unknown>>();
	Map.prototype.set = function (key, value) {
		filled.add(this);
		return set.call(this, key, value) as typeof this;
	};
	try {
		work();
	} finally {
		Map.prototype.set = set;
	}
	return filled;
}

describe("routes", () => {
	test("visit exactly the targets whose pattern matches, also after removals", () => {
		fc.assert(
			fc.property(
				fc.array(fc.record({ pattern, removed: fc.boolean() }), { maxLength: 12 }),
				fc.array(key),
				(steps, keys) => {
					const routes = new Routes<number>();
					const ends = steps.map(({ pattern }, target) => routes.add(pattern, target));
					steps.forEach(({ removed }, target) => {
						if (removed) ends[target]?.();
					});
					for (const key of [...keys, reservedKey("lock", "a")])
						expect(visited(routes, key).sort()).toEqual(
							[...steps.keys()]
								.filter((target) => !steps[target]?.removed && steps[target]?.pattern.matches(key))
								.sort(),
						);
				},
			),
			{ numRuns: 500 },
		);
	});

	test("hold nothing once every target is removed, in whatever order", () => {
		fc.assert(
			fc.property(fc.array(fc.tuple(pattern, fc.integer())), (steps) => {
				const filled = mapsFilledBy(() => {
					const routes = new Routes<number>();
					const ends = steps.map(([pattern, turn], target) => ({ turn, end: routes.add(pattern, target) }));
					for (const { end } of ends.sort((a, b) => a.turn - b.turn)) end();
				});
				expect([...filled].filter((map) => map.size > 0)).toEqual([]);
			}),
		);
	});

	test("leave alone what was added after a removal, when that removal is called again", () => {
		for (const pattern of ["a/b", "a/*"].map(compilePattern)) {
			const routes = new Routes<string>();
			const end = routes.add(pattern, "first");
			end();
			routes.add(pattern, "second");
			end();
			expect(visited(routes, "a/b")).toEqual(["second"]);
		}
	});

	test("may lose targets while they are visited", () => {
		const routes = new Routes<() => void>();
		const heard: string[] = [];
		const end = routes.add(compilePattern("a/*"), () => heard.push("never"));
		routes.add(compilePattern("a/b"), () => {
			heard.push("exact");
			end();
		});
		routes.visit("a/b", undefined, (target) => target());
		expect(heard).toEqual(["exact"]);
	});
});
