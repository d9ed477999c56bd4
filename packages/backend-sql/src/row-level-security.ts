/** Postgres' row-level security: a connection that is bound to a scope has that scope's rows and no others, whatever its SQL says. */
import { createHash } from "node:crypto";
import { HoldfastError } from "@holdfast/core";
import { CompiledQuery, type Kysely } from "kysely";
import type { Language } from "./engine.js";
import type { RowLevelSecurity } from "./options.js";
import { type Place, tableNames } from "./tables.js";

/** The setting that binds a connection: the id of a scope, as the tables have it. */
const bound = "current_setting('holdfast.scope', true)";

/** What a row must be so that a bound connection has it; uncorrelated, so that it is looked up once for each statement. */
const isBound = (table: string): string =>
	table === "scopes"
		? `"scope" = (select ${bound})`
		: `"scope_id" = (select "id" from {scopes} where "scope" = ${bound})`;

function quoted(role: string): string {
	if (role === "" || role.includes("\0"))
		throw new HoldfastError("invalid-argument", "rowLevelSecurity names a role that is empty");
	return `"${role.replaceAll('"', '""')}"`;
}

/** The statements that secure the tables; they may be run again. */
function policies(
	language: Language,
	{ prefix, schema }: Place,
	{ readers, writers }: RowLevelSecurity,
): readonly string[] {
	const statements: string[] = [];
	for (const table of tableNames) {
		const policy = (name: string, rest: string): void => {
			statements.push(
				`drop policy if exists "${prefix}${name}" on {${table}}`,
				`create policy "${prefix}${name}" on {${table}} ${rest}`,
			);
		};
		statements.push(
			`alter table {${table}} enable row level security`,
			// The owner too: what it binds, it is bound by.
			`alter table {${table}} force row level security`,
		);
		const all = `(select coalesce(${bound}, '')) = '' or ${isBound(table)}`;
		policy("backend", `to current_user using (${all}) with check (${all})`);
		// Nobody may write by it: a write by hand leaves no record, and no watcher hears it.
		policy("bound", `for select using (${isBound(table)})`);
		if (table === "entries" && writers.length > 0)
			policy(
				"bound_writers",
				`to ${writers.map(quoted).join(", ")} using (${isBound(table)}) with check (${isBound(table)})`,
			);
	}
	const roles = [...new Set([...readers, ...writers])].map(quoted).join(", ");
	if (roles !== "") {
		if (schema !== undefined) statements.push(`grant usage on schema "${schema}" to ${roles}`);
		for (const table of tableNames) statements.push(`grant select on {${table}} to ${roles}`);
	}
	if (writers.length > 0)
		statements.push(`grant insert, update, delete on {entries} to ${writers.map(quoted).join(", ")}`);
	return statements.map((text) => language.say(text).text);
}

/** Installs the policies where they are not there already. With `alter: false` it only looks, and refuses to start without them. */
export async function secureRows(
	db: Kysely<unknown>,
	language: Language,
	place: Place,
	security: RowLevelSecurity,
	alter: boolean,
): Promise<void> {
	if (language.engine.name !== "postgres")
		throw new HoldfastError("invalid-argument", "rowLevelSecurity is Postgres' own: leave it out");
	const statements = policies(language, place, security);
	const version = createHash("sha256").update(statements.join(";")).digest("hex");
	const { text: scopes } = language.say("{scopes}");
	const run = async (
		connection: Kysely<unknown>,
		text: string,
	): Promise<Record<string, unknown> | undefined> =>
		(await connection.executeQuery<Record<string, unknown>>(CompiledQuery.raw(text))).rows[0];
	const isThere = async (connection: Kysely<unknown>): Promise<boolean> => {
		if (alter) {
			const found = await run(
				connection,
				`select obj_description(oid, 'pg_policy') as "version" from pg_policy
				where polrelid = '${scopes}'::regclass and polname = '${place.prefix}bound'`,
			);
			return found?.version === version;
		}
		const tables = tableNames.map((table) => `'${language.say(`{${table}}`).text}'::regclass`).join(", ");
		const found = await run(
			connection,
			`select bool_and(relrowsecurity and relforcerowsecurity) as "secured" from pg_class where oid in (${tables})`,
		);
		return found?.secured === true;
	};
	if (await isThere(db)) return;
	if (!alter)
		throw new HoldfastError(
			"failed",
			"the tables are without row-level security, and this backend was told never to alter them: apply the SQL of docs/sql-row-level-security.md",
		);
	await db.transaction().execute(async (transaction) => {
		// Processes that start at once: the first installs, the others find it done.
		await run(transaction, `select pg_advisory_xact_lock(hashtext('${scopes}'))`);
		if (await isThere(transaction)) return;
		for (const statement of statements) await run(transaction, statement);
		await run(transaction, `comment on policy "${place.prefix}bound" on ${scopes} is '${version}'`);
	});
}
