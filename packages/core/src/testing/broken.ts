/** Stores that break a promise each: what the suite has to catch. */
import type {
	Batch,
	BatchAnswer,
	CommitOutcome,
	Entry,
	Failure,
	LogPage,
	ReadAnswer,
	Soon,
	Value,
} from "../backend.js";
import { lockUnder } from "../key.js";
import { andThen } from "../soon.js";
import { givenValue, storedValue } from "../value.js";
import { around } from "./around.js";
import {
	type Breakage,
	broken,
	constantTokens,
	forgetful,
	fourteenDigits,
	halves,
	never,
	onCommit,
	onEntries,
	onLog,
	onMutations,
	openValue,
	plainValue,
	stale,
	timeless,
} from "./breaking.js";
import { isFailure } from "./client.js";
import { remembering } from "./remembering.js";

/** What is broken, promise by promise. */
export const breakages: readonly Breakage[] = [
	broken(1, "applies the first half of a commit that is refused", halves),
	broken(1, "makes each mutation a commit of its own", (backend) =>
		onCommit(
			backend,
			(batch) => ({
				...batch,
				commits: batch.commits.flatMap((commit) =>
					commit.do.map((mutation, i) => ({ ...commit, id: `${commit.id}-${i}`, do: [mutation] })),
				),
			}),
			(answer, batch) => {
				let at = 0;
				return {
					...answer,
					outcomes: batch.commits.map((commit) => {
						const parts = answer.outcomes.slice(at, at + commit.do.length);
						at += commit.do.length;
						return parts.find(({ ok }) => !ok) ?? (parts.at(-1) as CommitOutcome);
					}),
				};
			},
		),
	),
	broken(2, "answers reads from a cache that is behind", stale),
	broken(2, "ignores the floor: after a loss, revisions begin again", (backend) =>
		onCommit(backend, (batch) => ({ ...batch, floor: 0 })),
	),
	broken(2, "ignores the step: histories that part count alike", (backend) =>
		onCommit(backend, (batch) => ({ ...batch, step: 1 })),
	),
	broken(2, "keeps fourteen digits of a sum, as Lua's tostring does", (backend) =>
		onEntries(
			onCommit(
				backend,
				(batch) => batch,
				(answer) => ({
					...answer,
					outcomes: answer.outcomes.map((outcome) =>
						outcome.ok ? { ...outcome, numbers: outcome.numbers.map(fourteenDigits) } : outcome,
					),
				}),
			),
			(entry) => {
				const { number } = entry.value;
				return number === undefined ? entry : { ...entry, value: givenValue(fourteenDigits(number)) };
			},
		),
	),
	broken(2, "takes a Touch in a sealed scope", (backend) => {
		const touches = ({ commits }: Batch): boolean =>
			commits.length > 0 && commits.every((commit) => commit.do.every(({ op }) => op === "touch"));
		return onCommit(
			backend,
			(batch) => (touches(batch) ? { ...batch, commits: [] } : batch),
			(answer, batch) =>
				touches(batch)
					? {
							...answer,
							outcomes: batch.commits.map(() => ({
								ok: true,
								revision: answer.head,
								changes: 0,
								numbers: [],
							})),
						}
					: answer,
		);
	}),
	broken(3, "ignores conditions", (backend) =>
		onCommit(backend, (batch) => ({
			...batch,
			commits: batch.commits.map(({ if: _, ...commit }) => commit),
		})),
	),
	broken(3, "ignores listings as conditions", (backend) =>
		onCommit(backend, (batch) => ({
			...batch,
			commits: batch.commits.map((commit) => ({
				...commit,
				if: (commit.if ?? []).filter((condition) => "key" in condition),
			})),
		})),
	),
	broken(3, "does not say what is there", (backend) =>
		onCommit(
			backend,
			(batch) => batch,
			(answer) => ({
				...answer,
				outcomes: answer.outcomes.map((outcome) => (outcome.ok ? outcome : { ...outcome, entry: null })),
			}),
		),
	),
	broken(4, "folds the case of ids", (backend) =>
		around(
			onCommit(backend, (batch) => ({ ...batch, scope: batch.scope.toLowerCase() })),
			{
				read: (asks) => backend.read(asks.map((ask) => ({ ...ask, scope: ask.scope.toLowerCase() }))),
				list: (scope, range) => backend.list(scope.toLowerCase(), range),
				log: (scope, after, query) => backend.log(scope.toLowerCase(), after, query),
				watch: (scope, listener) => backend.watch(scope.toLowerCase(), listener),
				drop: (scope) => backend.drop(scope.toLowerCase()),
			},
		),
	),
	broken(4, "drops every scope whose id begins alike", (backend) =>
		around(backend, {
			drop: async (scope) => {
				const { scopes } = await backend.scopes({ prefix: scope, after: null, limit: 1000 });
				for (const found of scopes) await backend.drop(found.scope);
			},
		}),
	),
	broken(4, "fails all batches of a call when one fails", (backend) =>
		around(backend, {
			commit: (batches) => {
				const answers = backend.commit(batches) as (BatchAnswer | Failure)[];
				const failed = answers.find(isFailure);
				return failed === undefined ? answers : batches.map(() => failed);
			},
		}),
	),
	broken(4, "orders keys by UTF-16, as JavaScript does", (backend) =>
		around(backend, {
			list: (scope, { from, to, limit }) =>
				andThen(
					backend.list(scope, { from: "", to: null, limit: 1e9, bytes: 1e12 }),
					({ entries, ...page }) => {
						const sorted = entries
							.filter(({ key }) => key >= from && (to === null || key < to))
							.sort((a, b) => (a.key < b.key ? -1 : 1));
						return { ...page, entries: sorted.slice(0, limit), next: sorted[limit]?.key ?? null };
					},
				),
		}),
	),
	broken(5, "forgets deadlines", (backend) =>
		onMutations(backend, (mutation) => (mutation.op === "put" ? { ...mutation, ttl: null } : mutation)),
	),
	broken(5, "lets a Touch shorten a deadline, and tells it as a write", (backend) => {
		const values = new Map<string, Value>();
		return onMutations(backend, (mutation) => {
			if (mutation.op === "put") values.set(mutation.key, mutation.value);
			const value = mutation.op === "touch" && mutation.key !== null ? values.get(mutation.key) : undefined;
			return mutation.op === "touch" && mutation.key !== null && value !== undefined
				? { op: "put", key: mutation.key, value, ttl: mutation.ttl }
				: mutation;
		});
	}),
	broken(5, "shows what has expired until somebody sweeps it", (backend) => {
		const seen = new Map<string, Entry>();
		return around(backend, {
			read: (asks) =>
				(backend.read(asks) as ReadAnswer[]).map((answer, i) => ({
					...answer,
					entries: answer.entries.map((entry, j) => {
						const name = `${asks[i]?.scope} ${asks[i]?.keys[j]}`;
						if (entry !== null) seen.set(name, entry);
						const before = seen.get(name);
						return entry ?? (before !== undefined && (before.expiresAt ?? 0) > 0 ? before : null);
					}),
				})),
		});
	}),
	broken(5, "never tells what expired", (backend) =>
		onLog(backend, (records) =>
			records.filter(({ changes }) => changes.every(({ type }) => type !== "expire")),
		),
	),
	broken(6, "drops a record, and closes the gap", (backend) =>
		onLog(backend, (records) =>
			records.flatMap((record, i) => {
				if (i === 1) return [];
				return i === 2 ? [{ ...record, previous: records[0]?.revision ?? 0 }] : [record];
			}),
		),
	),
	broken(6, "signals nobody", (backend) => around(backend, { watch: () => () => {} })),
	broken(6, "takes every cursor for good", (backend) =>
		onLog(backend, (records) => records.map((record) => ({ ...record, previous: 0 }))),
	),
	broken(6, "keeps a log through a drop", (backend) => {
		const logs = new Map<string, LogPage>();
		return around(backend, {
			drop: async (scope) => {
				logs.set(scope, await backend.log(scope, 0, { of: "changes", limit: 1000, bytes: 1e9 }));
				await backend.drop(scope);
			},
			log: async (scope, after, query) => {
				const page = await backend.log(scope, after, query);
				return page.head > 0 ? page : (logs.get(scope) ?? page);
			},
		});
	}),
	broken(7, "gives every lease the same token", constantTokens),
	broken(7, "grants a lock that is held", (backend) =>
		onCommit(backend, (batch) => ({
			...batch,
			commits: batch.commits.map((commit) => ({
				...commit,
				if: (commit.if ?? []).filter((one) => !("key" in one && one.key.startsWith(lockUnder))),
			})),
		})),
	),
	broken(7, "ends a session's scope though a lock is held in it", (backend) =>
		onMutations(backend, (mutation) =>
			mutation.op === "put" && mutation.key.startsWith(lockUnder)
				? { ...mutation, ttl: Math.min(mutation.ttl ?? 1000, 1000) }
				: mutation,
		),
	),
	broken(8, "hands out data that can be changed", (backend) =>
		onEntries(backend, (entry) => ({ ...entry, value: openValue(entry.value) })),
	),
	broken(9, "stores values as ordinary JSON", (backend) =>
		onMutations(backend, (mutation) =>
			mutation.op === "put" ? { ...mutation, value: plainValue(mutation.value) } : mutation,
		),
	),
	broken(9, "orders the properties of an object, as jsonb does", (backend) => {
		const sorted = (_: string, part: unknown): unknown =>
			typeof part === "object" && part !== null && !Array.isArray(part)
				? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
				: part;
		return onMutations(backend, (mutation) =>
			mutation.op === "put"
				? { ...mutation, value: storedValue(JSON.stringify(JSON.parse(mutation.value.text), sorted)) }
				: mutation,
		);
	}),
	broken(10, "cuts values at 64 KiB", (backend) =>
		onMutations(backend, (mutation) =>
			mutation.op === "put" && mutation.value.text.length > 65_536
				? { ...mutation, value: givenValue("cut") }
				: mutation,
		),
	),
	broken(10, "lists everything, whatever the limit", (backend) =>
		around(backend, {
			list: (scope, range) => backend.list(scope, { ...range, limit: 1e9, bytes: 1e12 }),
		}),
	),
	broken(10, "cuts keys at 255 bytes", (backend) =>
		onMutations(backend, (mutation) =>
			"key" in mutation && mutation.key !== null
				? { ...mutation, key: mutation.key.slice(0, 255) }
				: mutation,
		),
	),
	broken(11, "rejects where it should answer a failure", (backend) =>
		around(backend, {
			commit: (batches) =>
				backend.commit(batches).map(async (answer): Promise<BatchAnswer | Failure> => {
					const settled = await answer;
					if (isFailure(settled)) throw new Error(settled.message);
					return settled;
				}),
		}),
	),
	broken(11, "takes what it should refuse for absent", (backend) =>
		onCommit(
			backend,
			(batch) => batch,
			(answer) => ({
				...answer,
				outcomes: answer.outcomes.map((outcome) => (outcome.ok ? outcome : { ...outcome, why: "absent" })),
			}),
		),
	),
	broken(12, "never finishes closing", (backend) => around(backend, { close: () => never })),
	broken(12, "closes the store under the other handles", (backend) => backend, {
		layer: (store) => {
			let closed = false;
			const refuse: Failure = { failed: "unavailable", message: "closed" };
			return around(store, {
				read: (asks) => (closed ? asks.map(() => refuse) : store.read(asks)),
				commit: (batches) => (closed ? batches.map(() => refuse) : store.commit(batches)),
				close: async () => {
					closed = true;
				},
			});
		},
	}),
	broken(13, "applies a batch again that it has applied", (backend) => backend, forgetful),
	broken(13, "applies what comes after its time", (backend) => backend, timeless),
	broken(13, "forgets refusals", (backend) => backend, {
		losesAnswers: true,
		layer: (store) => {
			const inner = remembering(store);
			const refused = new Set<string>();
			return around(store, {
				commit: (batches) =>
					batches.map(async (batch): Promise<BatchAnswer | Failure> => {
						const first = batch.commits[0]?.id ?? "";
						const to = refused.has(first) ? store : inner;
						const answer = await (to.commit([batch])[0] as Soon<BatchAnswer | Failure>);
						if (!isFailure(answer) && answer.outcomes.some(({ ok }) => !ok)) refused.add(first);
						return answer;
					}),
			});
		},
	}),
	broken(14, "never answers a read", (backend) => around(backend, { read: (asks) => asks.map(() => never) })),
	broken(14, "never answers a listing", (backend) => around(backend, { list: () => never })),
	broken(14, "leaves out an answer", (backend) =>
		around(backend, { read: (asks) => backend.read(asks).slice(1) }),
	),
];
