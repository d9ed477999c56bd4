/** Who asks, and what is granted to them. */
import type { ScopeId } from "../backend.js";
import { HoldfastError } from "../error.js";
import { formatScopeId, parseScopeId } from "../key.js";
import { scopeError } from "../store.js";

/** What may be done with a scope; each includes those before it. */
export type Access = "none" | "read" | "write" | "admin";

/** A scope in parts, decoded: compare them, there is no pattern to get wrong. */
export interface ScopeParts {
	/** The server's own, unless it serves all namespaces. */
	readonly namespace: string;
	/** `shared`, `user`, `session`, or a kind of the application's own. */
	readonly kind: string;
	/** `undefined` for `shared`. */
	readonly id: string | undefined;
}

/** What `authorize` knows of who asks. */
export interface Grant {
	/** Who it is, for the log, the writers and the page: 1 to 256 characters. */
	readonly subject: string;
	/** What is granted on a scope. Whatever is none of the four words is `none`. */
	can(scope: ScopeParts): Access;
	/** When the grant ends, in ms since 1970: open streams end then. Default: not by itself. */
	readonly expires?: number;
}

const ranks: Record<Access, number> = { none: 0, read: 1, write: 2, admin: 3 };

const rank = (access: Access): number =>
	typeof access === "string" && Object.hasOwn(ranks, access) ? ranks[access] : 0;

/** Whether one access includes another. */
export const includes = (access: Access, needed: Access): boolean => rank(access) >= rank(needed);

const isCanonical = (scope: ScopeId, parts: ScopeParts): boolean => {
	// Whoever grants `shared` means the one that there is.
	if (parts.kind === "shared" && parts.id !== undefined) return false;
	try {
		return formatScopeId(parts) === scope;
	} catch {
		return false;
	}
};

/** A subject with what it may do on this server. */
export class Principal {
	readonly subject: string;
	/** What its writers and queues are called in the log. */
	readonly tag: string;
	readonly expires: number | undefined;
	readonly #grant: Grant;
	readonly #namespace: string | undefined;

	constructor(grant: Grant, tag: string, namespace: string | undefined) {
		this.subject = grant.subject;
		this.tag = tag;
		this.expires = grant.expires;
		this.#grant = grant;
		this.#namespace = namespace;
	}

	/** What is granted on a scope, asked for anew at each call. */
	access(scope: ScopeId): Access {
		const parts = parseScopeId(scope);
		if (this.#namespace !== undefined && parts.namespace !== this.#namespace) return "none";
		const access = this.#grant.can(parts);
		// A name that core would never make may be a second name for something, so only who may do everything may use it.
		return isCanonical(scope, parts) || access === "admin" ? access : "none";
	}

	/**
	 * Refuses what is not granted.
	 *
	 * @throws {@link HoldfastError} `denied`.
	 */
	demand(scope: ScopeId, needed: Access): Access {
		const access = this.access(scope);
		if (includes(access, needed)) return access;
		throw denied(scope, needed);
	}
}

/** The error of what is not granted. It says nothing of whether there is such a scope. */
export const denied = (scope: ScopeId, needed: Access): HoldfastError =>
	scopeError(scope, "denied", `${needed} access is not granted: see the server's authorize`);

/** Of how many subjects the tags are kept: making one costs a request 36 us of CPU time. */
const mostTags = 1000;

const tags = new Map<string, Promise<string>>();

/** The name of a subject in logs: nobody can choose theirs to be another's, and it does not tell who it is. */
export function tagOf(subject: string): Promise<string> {
	const known = tags.get(subject);
	if (known !== undefined) return known;
	if (tags.size >= mostTags) tags.clear();
	const tag = makeTag(subject);
	tags.set(subject, tag);
	return tag;
}

async function makeTag(subject: string): Promise<string> {
	const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(subject)));
	return Array.from(digest.subarray(0, 12), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** What `authorize` answered, checked: an application's mistake must not become somebody's identity. */
export function checkGrant(grant: Grant | null | undefined): Grant {
	if (grant === null || grant === undefined)
		throw new HoldfastError("unauthenticated", "the server does not know who asks: log in");
	const { subject } = grant;
	if (typeof subject !== "string" || subject === "" || subject.length > 256 || !subject.isWellFormed())
		throw new HoldfastError(
			"failed",
			"authorize answered no subject of 1 to 256 characters: nothing is granted",
		);
	if (typeof grant.can !== "function")
		throw new HoldfastError("failed", "authorize answered no can(): nothing is granted");
	if (grant.expires !== undefined && !Number.isFinite(grant.expires))
		throw new HoldfastError("failed", "authorize answered expires that is no instant: nothing is granted");
	return grant;
}
