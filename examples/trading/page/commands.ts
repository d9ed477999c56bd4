/** What the page asks of the server beside its state. */
import type { Pace } from "../pace.ts";
import type { Visitor } from "../sessions.ts";

/** Who is signed in in this browser; `null`: nobody. */
export const whoIsThere = async (): Promise<Visitor | null> => answerOf(await fetch("api/visitor"));

/** Begins a session. */
export const signIn = (name: string): Promise<Visitor> => post("api/sign-in", { name });

/** Ends the session, in all its windows. */
export const signOut = (): Promise<null> => post("api/sign-out", {});

/** Changes the replay's pace for all; answers the revision at which it has changed. */
export const setPace = (pace: Partial<Pace>): Promise<{ readonly revision: number }> =>
	post("api/pace", pace);

async function post<Answer>(path: string, body: unknown): Promise<Answer> {
	const headers = { "content-type": "application/json" };
	return answerOf(await fetch(path, { method: "POST", headers, body: JSON.stringify(body) }));
}

async function answerOf<Answer>(response: Response): Promise<Answer> {
	if (response.ok) return response.json();
	const said: { error?: string } = await response.json().catch(() => ({}));
	throw new Error(said.error ?? `The server answered ${response.status}.`);
}
