/** What pages see of the state, and what they may write: the bridge of `@holdfast/core/server`, and who is let over it. */
import { createStateHandler, type Grant, type StateHandler } from "@holdfast/core/server";
import type { Sessions } from "./sessions.ts";
import type { Manager } from "./state.ts";

const subjectOf = (user: string): string => `user:${user}`;

/** A page may look at the market, and keep its own user's settings. */
const grantTo = (user: string): Grant => ({
	subject: subjectOf(user),
	can({ kind, id }) {
		if (kind === "shared") return "read";
		return kind === "user" && id === user ? "write" : "none";
	},
});

// Not a refusal: a page that believes to be somebody hears that it is not any more, and shows the sign-in.
const nobody: Grant = { subject: "nobody", can: () => "none" };

/** Makes the handler. A sign-out at any server of the store ends the user's streams at this one; the signal ends hearing of it. */
export function makePageState(manager: Manager, sessions: Sessions, signal: AbortSignal): StateHandler {
	const handler = createStateHandler(manager, {
		async authorize(request) {
			const user = await sessions.userOf(request);
			return user === undefined ? nobody : grantTo(user);
		},
	});
	manager
		.scope("server", "all")
		.events.on("signed_out", ({ payload }) => handler.revoke(subjectOf(payload.user)), { signal });
	return handler;
}
