/** Who is signed in: a session's id is in a signed cookie, what it means is in the session's scope. */
import type { Context } from "hono";
import { deleteCookie, getSignedCookie, setSignedCookie } from "hono/cookie";
import { z } from "zod";
import type { Manager, Session } from "./state.ts";

/** How long a session lives without being used. */
const ttl = "1d";
const ttlSeconds = 24 * 60 * 60;

const cookie = "holdfast_session";

/** A name is all it takes: this is a demonstration, without passwords. */
export const SignIn = z.object({
	name: z
		.string()
		.trim()
		.min(1)
		.max(40)
		.regex(/^[\p{L}\p{N}][\p{L}\p{N} .'_-]*$/u),
});

export interface Visitor {
	readonly session: Session;
	readonly user: { readonly id: string; readonly name: string };
}

export class Sessions {
	readonly #manager: Manager;
	readonly #secret: string;

	constructor(manager: Manager, secret: string) {
		this.#manager = manager;
		this.#secret = secret;
	}

	/** The session of a request; `undefined` where nobody is signed in. */
	async find(c: Context): Promise<Visitor | undefined> {
		const id = await getSignedCookie(c, this.#secret, cookie);
		if (!id) return undefined;
		const session = this.#manager.session(id, { ttl });
		const user = await session.get("user");
		return user === undefined ? undefined : { session, user };
	}

	/** Begins a session; its id is new, whatever the browser had. */
	async begin(c: Context, name: string): Promise<void> {
		await (await this.find(c))?.session.drop();
		const id = crypto.randomUUID();
		const user = { id: name.normalize("NFC").toLowerCase(), name: name.normalize("NFC") };
		await this.#manager.session(id, { ttl }).set("user", user);
		await this.#give(c, id);
	}

	/** Lets the cookie live as long as the session that was just used. */
	async renew(c: Context): Promise<void> {
		const id = await getSignedCookie(c, this.#secret, cookie);
		if (id) await this.#give(c, id);
	}

	/** Ends the session: every window of it is told. */
	async end(c: Context): Promise<void> {
		const visitor = await this.find(c);
		await visitor?.session.drop();
		deleteCookie(c, cookie, { path: "/" });
	}

	#give(c: Context, id: string): Promise<void> {
		return setSignedCookie(c, cookie, id, this.#secret, {
			httpOnly: true,
			sameSite: "Lax",
			path: "/",
			maxAge: ttlSeconds,
		});
	}
}
