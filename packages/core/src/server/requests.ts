/** What may be asked, as shapes: the wire's requests, from somebody who may have sent anything. */
import type { Json } from "../backend.js";
import { metadataBytes } from "../drafting.js";
import { HoldfastError } from "../error.js";
import { maxKeyBytes, utf8Length } from "../key.js";
import {
	type CommitRequest,
	type DropRequest,
	type ListRequest,
	type LogRequest,
	type ReadRequest,
	type ScopesRequest,
	type StreamRequest,
	severalLimit,
} from "../wire/messages.js";
import {
	chosenBy,
	flag,
	list,
	number,
	object,
	oneOf,
	orNull,
	type Shape,
	text,
	whole,
	word,
} from "./shape.js";

/** How many keys one read may ask for, how many mutations and conditions a commit may have, how many commits a batch. */
const many = 1000;

/** How many scopes a stream may be asked for at all; a handler has a limit of its own. */
const streamScopes = 1_000_000;

// Encoded, a key may be twice as long, and the reserved segment comes before it.
const key = text(2 * maxKeyBytes + 128);
const scope = text(2 * maxKeyBytes + 200);
const cursor = whole(0);
const ttl: Shape<number> = (part, at) => {
	const ms = number(part, at);
	// Longer than anybody means, and near enough that a deadline stays an exact number.
	if (ms > 0 && ms <= 3_155_760_000_000) return ms;
	throw new HoldfastError("invalid-argument", `${at} must be from above 0 to 100 years of ms`);
};
const duration = whole(0, 3_155_760_000_000);

const json: Shape<Json> = (part, at) => {
	let size: number;
	try {
		size = utf8Length(JSON.stringify(part));
	} catch {
		throw new HoldfastError("invalid-argument", `${at} is nested too deeply`);
	}
	if (size <= metadataBytes) return part as Json;
	throw new HoldfastError(
		"too-large",
		`${at} has ${size} bytes, the limit is ${metadataBytes}: put less in it`,
	);
};

const amount: Shape<number | { readonly now: number }> = (part, at) =>
	typeof part === "number" ? number(part, at) : object({ now: number })(part, at);

const op = <O extends string>(name: O): { readonly op: Shape<O> } => ({ op: oneOf(name) });

const mutation = chosenBy("op", {
	put: object({ ...op("put"), key, value: text(2 ** 23), ttl: orNull(ttl) }),
	delete: object({ ...op("delete"), key }),
	touch: object({ ...op("touch"), key: orNull(key), ttl }),
	add: object({ ...op("add"), key, by: number }, { base: amount, min: amount, max: amount, ttl }),
	emit: object({ ...op("emit"), type: key, payload: text(2 ** 23) }),
	seal: object({ ...op("seal"), note: orNull(json) }),
});

const keyCondition = object({ key, revision: cursor });
const listCondition = object({ under: key, count: cursor, sum: number });
const condition: Shape<ReturnType<typeof keyCondition> | ReturnType<typeof listCondition>> = (part, at) =>
	typeof part === "object" && part !== null && Object.hasOwn(part, "under")
		? listCondition(part, at)
		: keyCondition(part, at);

const commit = object(
	{ id: word, do: list(mutation, many) },
	{ if: list(condition, many), origin: word, metadata: json, quiet: flag },
);

const kept = object({ count: whole(0), age: duration });

const batch = object(
	{
		s: scope,
		writer: word,
		sequence: whole(0),
		until: number,
		floor: cursor,
		step: whole(1, 4096),
		commits: list(commit, many),
	},
	{ keep: object({ changes: kept, events: kept }) },
);

const page = { limit: whole(1), bytes: whole(0) };

/** The requests, by route. */
export const requests: {
	readonly read: Shape<ReadRequest>;
	readonly list: Shape<ListRequest>;
	readonly log: Shape<LogRequest>;
	readonly commit: Shape<CommitRequest>;
	readonly scopes: Shape<ScopesRequest>;
	readonly drop: Shape<DropRequest>;
	readonly stream: Shape<StreamRequest>;
} = {
	read: object({ reads: list(object({ s: scope, keys: list(key, many) }), severalLimit) }),
	list: object({ s: scope, range: object({ from: key, to: orNull(key), ...page }) }),
	log: object({
		s: scope,
		after: cursor,
		query: object({ of: oneOf("changes", "events"), ...page }, { newest: flag }),
	}),
	commit: object({ batches: list(batch, severalLimit) }),
	scopes: object({
		range: object({ prefix: scope, after: orNull(scope), limit: whole(1) }, { due: flag }),
	}),
	drop: object({ s: scope }),
	stream: object({ subs: list(object({ s: scope }, { c: cursor }), streamScopes) }, { once: flag }),
};
