/** Sessions of browsers: a signed cookie, and a session scope that says whose it is and until when. */
import type {
	CommitOutcome,
	Condition,
	Entry,
	KeyRange,
	ListPage,
	Mutation,
	Retention,
	ScopeId,
} from "../backend.js";
import { Lane } from "../committer.js";
import { type Duration, parseTtl } from "../duration.js";
import { HoldfastError } from "../error.js";
import { formatScopeId, reservedKey, spanUnder } from "../key.js";
import { type LiveManager, type ManagerParts, managerParts } from "../live-manager.js";
import type { StateManager } from "../manager.js";
import type { StateShape, UntypedState } from "../state.js";
import { refusalError } from "../store.js";
import { givenValue } from "../value.js";
import { isSameOrigin } from "./cross-site.js";
import { SignedCookie } from "./signed-cookie.js";
import { Sliding } from "./sliding.js";

/** Options of {@link cookieSessions}. */
export interface CookieSessionOptions {
	/** At least 32 random characters; of several the first signs and all are believed, so that one can follow another. */
	readonly secret: string | readonly string[];
	/** How long a session outlives its last use. Default `"1d"`. */
	readonly idle?: Duration;
	/** How long it lives however much it is used. Default `"30d"`. */
	readonly absolute?: Duration;
	/** The cookie's name. Default `__Host-holdfast`, without `secure` `holdfast`. */
	readonly name?: string;
	/** Whether links from other sites bring the cookie. Default `"lax"`. */
	readonly sameSite?: "lax" | "strict";
	/** Whether only HTTPS carries the cookie. Default `true`; browsers take it on localhost, too. */
	readonly secure?: boolean;
	/** Origins of pages beside the server's own that may open a session. */
	readonly origins?: readonly string[];
}

/** A session. */
export interface CookieSession {
	/** Its scope is `manager.session(id)`. It is no secret: only with the signature is it worth anything. */
	readonly id: string;
	/** Who is logged in; `undefined`: nobody. */
	readonly user: string | undefined;
}

/** A session that was just opened or resumed. */
export interface OpenedSession extends CookieSession {
	/** What to answer as `Set-Cookie`. */
	readonly cookie: string;
	/** Whether it is new. */
	readonly isNew: boolean;
}

/** Sessions of browsers; made by {@link cookieSessions}. */
export interface CookieSessions {
	/** The session of a request, kept alive by this look; `undefined` where it has none that holds. Never makes one. */
	of(request: Request): Promise<CookieSession | undefined>;
	/** Resumes the request's session if it is this principal's (`undefined`: nobody's), else opens a fresh one and leaves the old one as it is. */
	open(request: Request, user?: string): Promise<OpenedSession>;
	/**
	 * Logs in: always under a new id, so that an id that was known before is worth nothing after. What the request's session holds is taken
	 * along if it was nobody's or the same user's, and that session ends; another user's is left as it is.
	 */
	login(request: Request, user: string): Promise<OpenedSession>;
	/** Ends the request's session; answers the `Set-Cookie` that has the browser forget it. Then end the user's streams: `handler.revoke(user)`. */
	logout(request: Request): Promise<string>;
	/**
	 * Answers a page's `POST` by opening a session, or resuming whichever it has: `{ id, user }`. Pages call it by `openSession`, one tab at a
	 * time; loading a page must not open one, since two tabs that load at once have no cookie yet.
	 */
	handle(request: Request): Promise<Response>;
}

interface Meta {
	readonly user?: string;
}

interface Known {
	readonly id: string;
	readonly scope: ScopeId;
	readonly user: string | undefined;
	readonly meta: Entry;
}

const metaKey = reservedKey("session", "meta");

/** How many entries a login takes along at once. */
const taken = { limit: 500, bytes: 2 ** 20 } as const;

const newId = (): string => crypto.randomUUID().replaceAll("-", "");

/**
 * Makes cookie sessions over a manager's session scopes.
 *
 * @throws HoldfastError `invalid-argument` where the secret is short or an option malformed.
 *
 * @example
 * ```ts
 * const sessions = cookieSessions(manager, { secret: process.env.SESSION_SECRET ?? "" }); // refused where it is short
 * const handler = createStateHandler(manager, {
 *   async authorize(request) {
 *     const session = await sessions.of(request);
 *     if (session === undefined) return null;
 *     return {
 *       subject: session.user ?? `session:${session.id}`,
 *       can: ({ kind, id }) => (kind === "session" && id === session.id ? "write" : "none"),
 *     };
 *   },
 * });
 * ```
 */
export const cookieSessions = <Shape extends StateShape = UntypedState>(
	manager: StateManager<Shape>,
	options: CookieSessionOptions,
): CookieSessions => {
	const sessions = new LiveCookieSessions((manager as unknown as LiveManager)[managerParts], options);
	return {
		of: (request) => sessions.of(request),
		open: (request, user) => sessions.open(request, user),
		login: (request, user) => sessions.login(request, user),
		logout: (request) => sessions.logout(request),
		handle: (request) => sessions.handle(request),
	};
};

class LiveCookieSessions implements CookieSessions {
	readonly #parts: ManagerParts;
	readonly #keep: Retention;
	readonly #cookie: SignedCookie;
	readonly #name: string;
	readonly #attributes: string;
	readonly #idle: number;
	readonly #absolute: number;
	readonly #origins: ReadonlySet<string>;
	readonly #sliding: Sliding;

	constructor(parts: ManagerParts, options: CookieSessionOptions) {
		const { secret, sameSite = "lax", secure = true, origins = [] } = options;
		const { name = secure ? "__Host-holdfast" : "holdfast" } = options;
		if (!/^[\w-]{1,64}$/.test(name) || (name.startsWith("__") && !secure))
			throw new HoldfastError("invalid-argument", `${JSON.stringify(name)} can't be the cookie's name`);
		this.#parts = parts;
		this.#keep = parts.kind("session").keep;
		this.#name = name;
		this.#cookie = new SignedCookie(name, typeof secret === "string" ? [secret] : (secret ?? []));
		const site = sameSite === "strict" ? "Strict" : "Lax";
		this.#attributes = `; Path=/; HttpOnly; SameSite=${site}${secure ? "; Secure" : ""}`;
		this.#idle = parseTtl(options.idle ?? "1d", "idle");
		this.#absolute = parseTtl(options.absolute ?? "30d", "absolute");
		this.#origins = new Set(origins);
		this.#sliding = new Sliding(parts.store.clock);
	}

	async of(request: Request): Promise<CookieSession | undefined> {
		const known = await this.#known(request);
		if (known === undefined || !(await this.#extend(known))) return undefined;
		return { id: known.id, user: known.user };
	}

	async open(request: Request, user?: string): Promise<OpenedSession> {
		const known = await this.#known(request);
		if (known !== undefined && known.user === user && (await this.#extend(known)))
			return this.#opened(known.id, user, false, known.meta.expiresAt);
		return this.#make(user);
	}

	async login(request: Request, user: string): Promise<OpenedSession> {
		if (typeof user !== "string" || user === "")
			throw new HoldfastError("invalid-argument", "say who logs in");
		const known = await this.#known(request);
		const opened = await this.#make(user);
		if (known === undefined || (known.user !== undefined && known.user !== user)) return opened;
		await this.#takeAlong(known.scope, this.#scope(opened.id));
		await this.#drop(known.scope);
		return opened;
	}

	async logout(request: Request): Promise<string> {
		const known = await this.#known(request);
		if (known !== undefined) await this.#drop(known.scope);
		return `${this.#name}=${this.#attributes}; Max-Age=0`;
	}

	async handle(request: Request): Promise<Response> {
		const headers = { "cache-control": "no-store" };
		if (request.method !== "POST")
			return new Response(null, { status: 405, headers: { ...headers, allow: "POST" } });
		// Another site could else choose when a session begins.
		if (!isSameOrigin(request, this.#origins)) return new Response(null, { status: 403, headers });
		const known = await this.#known(request);
		const { cookie, id, user } = await this.open(request, known?.user);
		return Response.json({ id, user: user ?? null }, { headers: { ...headers, "set-cookie": cookie } });
	}

	async #known(request: Request): Promise<Known | undefined> {
		const id = await this.#cookie.read(request);
		if (id === undefined) return undefined;
		const scope = this.#scope(id);
		const { entries } = await this.#parts.reader.read(scope, [metaKey]);
		const [meta] = entries;
		// Idle for too long, at its absolute end, or logged out.
		if (meta === null || meta === undefined) return undefined;
		const { user } = meta.value.data(this.#parts.store.codec) as Meta;
		return { id, scope, user, meta };
	}

	/** Slides the idle deadline; `false` where the session has ended just now. */
	async #extend({ scope, meta }: Known): Promise<boolean> {
		if (!this.#sliding.isDue(scope, this.#idle)) return true;
		const still: Condition = { key: metaKey, revision: meta.revision };
		return (await this.#commit(scope, [{ op: "touch", key: null, ttl: this.#idle }], [still])).ok;
	}

	async #make(user: string | undefined): Promise<OpenedSession> {
		const id = newId();
		const scope = this.#scope(id);
		const outcome = await this.#commit(
			scope,
			[
				{
					op: "put",
					key: metaKey,
					value: givenValue(user === undefined ? {} : { user }),
					ttl: this.#absolute,
				},
				{ op: "touch", key: null, ttl: this.#idle },
			],
			[{ key: metaKey, revision: 0 }],
		);
		if (!outcome.ok) throw refusalError(scope, outcome);
		return this.#opened(id, user, true, this.#parts.store.now() + this.#absolute);
	}

	async #opened(
		id: string,
		user: string | undefined,
		isNew: boolean,
		ends: number | null,
	): Promise<OpenedSession> {
		// The store judges when a session ends: its cookie may be there for the rest of that second.
		const left = Math.max(0, Math.ceil(((ends ?? 0) - this.#parts.store.now()) / 1000));
		const cookie = `${this.#name}=${await this.#cookie.sign(id)}${this.#attributes}; Max-Age=${left}`;
		return { id, user, isNew, cookie };
	}

	async #takeAlong(from: ScopeId, to: ScopeId): Promise<void> {
		for (let next: string | null = spanUnder("").from; next !== null; ) {
			const range: KeyRange = { from: next, to: null, ...taken };
			const page: ListPage = await this.#parts.store.ask(from, (backend) => backend.list(from, range));
			const puts = page.entries.map(
				({ key, value, expiresAt }): Mutation => ({
					op: "put",
					key,
					value,
					ttl: expiresAt === null ? null : Math.max(1, expiresAt - page.now),
				}),
			);
			if (puts.length > 0) {
				const outcome = await this.#commit(to, puts, []);
				if (!outcome.ok) throw refusalError(to, outcome);
			}
			next = page.next;
		}
	}

	async #drop(scope: ScopeId): Promise<void> {
		await this.#parts.store.ask(scope, (backend) => backend.drop(scope));
	}

	async #commit(
		scope: ScopeId,
		mutations: readonly Mutation[],
		conditions: readonly Condition[],
	): Promise<CommitOutcome> {
		const { committer, store } = this.#parts;
		return committer.submit(
			new Lane(scope, this.#keep),
			{ id: newId(), if: conditions, do: mutations, origin: store.origin },
			0,
		);
	}

	#scope(id: string): ScopeId {
		return formatScopeId({ namespace: this.#parts.namespace, kind: "session", id });
	}
}
