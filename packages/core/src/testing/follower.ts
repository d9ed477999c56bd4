/** A follower of one scope's log, by the contract's rule and nothing cleverer: what core does is compared with it. */
import type { LogRecord } from "../backend.js";
import { resumes } from "../resume.js";
import type { Client } from "./client.js";

/** Follows a log, record by record, or takes the present state where its cursor does not hold. */
export class Follower {
	/** What it knows: the encoded text under each key. */
	readonly state = new Map<string, string>();
	/** The records that it followed, since the last reset. */
	records: LogRecord[] = [];
	/** How often it had to begin anew. */
	resets = 0;
	cursor = 0;
	readonly #client: Client;
	readonly #page: number;

	constructor(client: Client, page = 10_000) {
		this.#client = client;
		this.#page = page;
	}

	/** Catches up with the scope's head. */
	async follow(): Promise<void> {
		for (;;) {
			const page = await this.#client.log(this.cursor, { limit: this.#page });
			if (!resumes(page, this.cursor, "changes")) {
				await this.#reset();
				continue;
			}
			for (const record of page.records) {
				if (record.previous !== this.cursor)
					throw new Error(
						`a page has a gap: ${record.revision} follows ${record.previous}, not ${this.cursor}`,
					);
				this.#apply(record);
			}
			if (!page.more) return;
			if (page.records.length === 0) throw new Error("an empty page says that there is more");
		}
	}

	#apply(record: LogRecord): void {
		this.records.push(record);
		this.cursor = record.revision;
		for (const { key, entry } of record.changes)
			if (entry === null) this.state.delete(key);
			else this.state.set(key, entry.value.text);
	}

	async #reset(): Promise<void> {
		// The listing's pages are of several instants; the log after the first page's head brings them together.
		const { head } = await this.#client.read();
		const entries = [...(await this.#client.list()), ...(await this.#client.list("!/"))];
		this.state.clear();
		for (const { key, value } of entries) this.state.set(key, value.text);
		this.records = [];
		this.resets++;
		this.cursor = head;
	}
}
