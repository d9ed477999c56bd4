import { createStateManager, memory } from "@holdfast/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import { appended, dayOf, type Member } from "./appended.ts";

const days = ["2000-01-03", "2000-01-04", "2000-01-05", "2000-01-06", "2000-01-07"] as const;

test("whatever is written, what appends what was appended and else takes all shows what the mirror has", async () => {
	await fc.assert(
		fc.asyncProperty(
			fc.array(fc.tuple(fc.constantFrom(...days), fc.option(fc.nat(3), { nil: undefined }))),
			async (writes) => {
				await using manager = createStateManager({ backend: memory() });
				using mirror = manager.shared.mirror("equity/*");
				await mirror.ready;
				let drawn: readonly Member<unknown>[] = [];
				let shown: unknown[] = [];
				for (const [day, value] of writes) {
					const { revision } = await manager.shared.commit((tx) => {
						if (value === undefined) tx.delete(`equity/${day}`);
						else tx.set(`equity/${day}`, value);
					});
					await mirror.at(revision);
					const members = mirror.list();
					const fresh = appended(drawn, members);
					shown = fresh === undefined ? [...members] : [...shown, ...fresh];
					drawn = members;
					expect(shown).toEqual(members);
				}
			},
		),
	);
});

test("days that come one after another are appended, and a change is none of that", () => {
	const members = days.map((day, i) => ({ key: `equity/${day}`, value: i }));
	expect(appended(members.slice(0, 3), members)?.map(dayOf)).toEqual(days.slice(3));
	expect(appended(members, members)).toEqual([]);
	expect(appended(members, members.slice(1))).toBeUndefined();
	expect(appended(members, [])).toBeUndefined();
});
