/** A boundary that only text passes, as between processes. */
import type { Backend, Soon, Value } from "../backend.js";
import { storedValue } from "../value.js";
import { around } from "./around.js";

// A name that no application's data has.
const mark = "\u0001value";

const isValue = (part: unknown): part is Value =>
	typeof part === "object" && part !== null && typeof (part as Partial<Value>).data === "function";

const pass = <T>(part: T): T =>
	part === undefined
		? part
		: JSON.parse(
				JSON.stringify(part, (_, member: unknown) => (isValue(member) ? { [mark]: member.text } : member)),
				(_, member: unknown) =>
					typeof member === "object" && member !== null && Object.hasOwn(member, mark)
						? storedValue((member as { readonly [mark]: string })[mark])
						: member,
			);

const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

/**
 * Turns all that crosses into JSON text and back, and answers and signals a turn of the event loop later: what passes the suite
 * behind it leans on nothing that only holds within a process, such as the identity of a value or an answer that is there at once.
 */
export function textBoundary(inner: Backend): Backend {
	const across = async <T>(call: () => Soon<T>): Promise<T> => {
		await turn();
		const answer = pass(await call());
		await turn();
		return answer;
	};
	// One answer each, though they are asked for in one call.
	const each = <A, T>(asks: readonly A[], call: (asks: readonly A[]) => Soon<T>[]): Promise<T>[] => {
		const sent = pass(asks);
		const answers = turn().then(() => call(sent));
		return asks.map(async (_, i) => {
			const answer = pass(await ((await answers)[i] as Soon<T>));
			await turn();
			return answer;
		});
	};
	return around(inner, {
		traits: { ...inner.traits, reach: "network" },
		read: (asks) => each(asks, (sent) => inner.read(sent)),
		commit: (batches) => each(batches, (sent) => inner.commit(sent)),
		list: (scope, range) => across(() => inner.list(scope, pass(range))),
		log: (scope, after, query) => across(() => inner.log(scope, after, pass(query))),
		scopes: (range) => across(() => inner.scopes(pass(range))),
		drop: (scope) => across(() => inner.drop(scope)),
		async watch(scope, listener) {
			let attached = true;
			await turn();
			const unwatch = await inner.watch(scope, (signal) => {
				const heard = pass(signal);
				void turn().then(() => {
					if (attached) listener(heard);
				});
			});
			await turn();
			return () => {
				attached = false;
				unwatch();
			};
		},
	});
}
