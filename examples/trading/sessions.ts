/** Who is signed in: a signed cookie names a session, and the session's scope says what its user is called. */
import { type CookieSessions, cookieSessions } from "@holdfast/core/server";
import { z } from "zod";
import type { Manager } from "./state.ts";

/** A name is all it takes: this is a demonstration, without passwords. */
export const SignIn = z.object({
	name: z
		.string()
		.trim()
		.min(1)
		.max(40)
		.regex(
			/^[\p{L}\p{N}][\p{L}\p{N} .'_-]*$/u,
			"A name begins with a letter or a digit. After that there may be spaces and . ' _ - too.",
		),
});

/** Who is signed in. */
export interface Visitor {
	readonly id: string;
	/** What to call them. */
	readonly name: string;
}

export class Sessions {
	readonly #manager: Manager;
	readonly #cookies: CookieSessions;

	constructor(manager: Manager, secret: string) {
		this.#manager = manager;
		// A demonstration is served over plain HTTP.
		this.#cookies = cookieSessions(manager, { secret, secure: false });
	}

	/** Whose session a request brings; `undefined` where nobody is signed in. */
	async userOf(request: Request): Promise<string | undefined> {
		return (await this.#cookies.of(request))?.user;
	}

	/** The same with the name to call them by. */
	async find(request: Request): Promise<Visitor | undefined> {
		const session = await this.#cookies.of(request);
		if (session?.user === undefined) return undefined;
		return { id: session.user, name: (await this.#manager.session(session.id).get("name")) ?? session.user };
	}

	/** Begins a session, under a new id whatever the browser had. */
	async begin(
		request: Request,
		given: string,
	): Promise<{ readonly visitor: Visitor; readonly cookie: string }> {
		const name = given.normalize("NFC");
		const visitor = { id: name.toLowerCase(), name };
		const { id, cookie } = await this.#cookies.login(request, visitor.id);
		await this.#manager.session(id).set("name", name);
		return { visitor, cookie };
	}

	/** Ends the session, and has every server of the store tell its windows; answers the cookie that takes its place. */
	async end(request: Request): Promise<string> {
		const user = await this.userOf(request);
		const cookie = await this.#cookies.logout(request);
		if (user !== undefined) await this.#manager.scope("server", "all").events.emit("signed_out", { user });
		return cookie;
	}
}
