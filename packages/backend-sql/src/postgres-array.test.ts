import { hasPostgres, PostgresServer } from "@holdfast/test-servers/postgres-server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { binaryArray, type ElementType } from "./postgres-array.js";

describe.skipIf(!hasPostgres())("arrays in binary come back as they were", () => {
	let server: PostgresServer;
	beforeAll(async () => {
		server = await PostgresServer.start();
	});
	afterAll(() => server.stop());

	const cases: readonly [ElementType, readonly (string | number | null)[]][] = [
		["text", ["", "a", null, 'say "hi", \\ {b}', "NULL", "é€😀", "x".repeat(100_000), "\u{feff}mark"]],
		[
			"bigint",
			[0, 1, -1, null, 2 ** 31, 2 ** 32, -(2 ** 32) - 5, 1_763_740_000_123_456, 2 ** 53 - 1, -(2 ** 53) + 1],
		],
		["double precision", [0, 0.1, null, -1.5, 1e300, 1_763_740_000_123]],
		["smallint", [0, 1, null, -32_768, 32_767]],
	];
	for (const [type, elements] of cases)
		test(`${type}, some and none`, async () => {
			for (const array of [elements, []]) {
				const { rows } = await server.admin.query(`select e::text as e from unnest($1::${type}[]) as e`, [
					binaryArray(type, array),
				]);
				const back = rows.map(({ e }) => (e === null || type === "text" ? e : Number(e)));
				expect(back).toEqual(array);
			}
		});
});
