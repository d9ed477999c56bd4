/** Another process that listens, for `sql.bench.ts`: it tells when it heard what, by the clock that all processes of a machine share. */

import { sql } from "@holdfast/backend-sql";
import { createStateManager } from "@holdfast/core";
import pg from "pg";

const [url = "", channel = ""] = process.argv.slice(2);

const tell = (side: string, value: unknown): void => {
	process.send?.({ side, value, at: String(process.hrtime.bigint()) });
};

const { shared } = createStateManager({ backend: sql(url) });
await shared.subscribe("news/*", ({ value }) => tell("Holdfast", value)).ready;

// By hand: who is woken reads what is new, because a payload has 8,000 bytes at most.
const client = new pg.Client({ connectionString: url });
await client.connect();
let seen = 0;
client.on("notification", () => {
	const news = {
		name: "news",
		text: "select id, value from by_hand_news where id > $1 order by id",
		values: [seen],
	};
	void client.query(news).then(({ rows }) => {
		for (const { id, value } of rows as { id: string; value: string }[]) {
			if (Number(id) <= seen) continue;
			seen = Number(id);
			tell("pg, LISTEN and a select", JSON.parse(value));
		}
	});
});
await client.query(`listen ${channel}`);

const raw = new pg.Client({ connectionString: url });
await raw.connect();
raw.on("notification", ({ payload = "" }) => tell("pg, NOTIFY alone", JSON.parse(payload)));
await raw.query(`listen ${channel}_raw`);

process.send?.({ side: "ready" });
process.once("disconnect", () => process.exit());
