/** The promises across the bridge: a client without reconnection, as plain as the wire allows. */
import type { Backend, Failure, ScopeId, Signal } from "../backend.js";
import { conformance } from "../testing/conformance.js";
import { memoryHarness } from "../testing/memory-harness.js";
import { remembering } from "../testing/remembering.js";
import {
	decodeBatchAnswer,
	decodeError,
	decodeListPage,
	decodeLogPage,
	decodeReadAnswer,
	decodeRecord,
	decodeScopePage,
	EventSplitter,
	encodeBatch,
	paths,
	type Route,
	unpackRecords,
} from "../wire/index.js";
import { createStateHandler } from "./handler.js";

function overBridge(inner: Backend): Backend {
	const handler = createStateHandler(inner, {
		namespace: "*",
		// A stream for each watch, as no real client would have it.
		limits: { streams: 1000 },
		authorize: () => ({ subject: "root", can: () => "admin" }),
	});
	const ask = async (route: Route, body: unknown, signal?: AbortSignal): Promise<Response> => {
		const response = await handler(
			new Request(`http://bridge${paths[route]}`, {
				method: "POST",
				headers: { "content-type": "application/json" },
				body: JSON.stringify(body),
				...(signal && { signal }),
			}),
		);
		if (!response.ok) throw decodeError((await response.json()).error);
		return response;
	};
	// biome-ignore lint/suspicious/noExplicitAny: the answer is of the route's type
	const call = async (route: Route, body: unknown): Promise<any> => (await ask(route, body)).json();
	const each = <A, T>(asks: readonly A[], answers: Promise<readonly T[]>): Promise<T | Failure>[] =>
		asks.map(async (_, i) => {
			try {
				return (await answers)[i] as T;
			} catch (cause) {
				return { failed: "refused", message: String(cause), cause } as const;
			}
		});
	return {
		name: "bridge",
		traits: { ...inner.traits, reach: "network" },
		read: (asks) =>
			each(
				asks,
				call("read", { reads: asks.map(({ scope, keys }) => ({ s: scope, keys })) }).then(({ reads }) =>
					reads.map(decodeReadAnswer),
				),
			),
		commit: (batches) =>
			each(
				batches,
				call("commit", { batches: batches.map(encodeBatch) }).then(({ batches: told }) =>
					told.map(decodeBatchAnswer),
				),
			),
		list: async (s, range) => decodeListPage(await call("list", { s, range })),
		log: async (s, after, query) => decodeLogPage(await call("log", { s, after, query })),
		async watch(scope: ScopeId, listener: (signal: Signal) => void) {
			const response = await ask("stream", { subs: [{ s: scope }] });
			const reader = (response.body as ReadableStream<Uint8Array>)
				.pipeThrough(new TextDecoderStream() as never)
				.getReader() as unknown as ReadableStreamDefaultReader<string>;
			let attached = true;
			const { promise, resolve } = Promise.withResolvers<void>();
			const splitter = new EventSplitter((message) => {
				if (message.t === "ready") return resolve();
				if (!attached) return;
				if (message.t === "r")
					listener({
						type: "records",
						records: unpackRecords(message.records).map((record) => decodeRecord(record)),
					});
				if (message.t === "reset") listener({ type: "wake" });
			});
			void (async () => {
				for (;;) {
					const { done, value } = await reader.read();
					if (done) return;
					splitter.push(value);
				}
			})().catch(() => {});
			await promise;
			return () => {
				attached = false;
				reader.cancel().catch(() => {});
			};
		},
		scopes: async (range) => decodeScopePage(await call("scopes", { range })),
		drop: async (s) => void (await call("drop", { s })),
		close: () => handler.close(),
	};
}

conformance(
	"memory across the bridge",
	() => memoryHarness({ layer: remembering, handle: overBridge, losesAnswers: true }),
	{ concurrent: true },
);
