/** A cookie that says an id, signed with HMAC-SHA-256, so that nobody can choose theirs. */
import { HoldfastError } from "../error.js";

/** The least length of a secret, in characters. */
const leastSecret = 32;

const encoder = new TextEncoder();

const toHex = (bytes: Uint8Array): string =>
	Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

const fromHex = (text: string): Uint8Array<ArrayBuffer> =>
	Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));

/** Makes and checks signed ids. */
export class SignedCookie {
	readonly #name: string;
	readonly #keys: Promise<CryptoKey[]>;

	/** The first secret signs, all of them are believed: so they can be changed without ending sessions. */
	constructor(name: string, secrets: readonly string[]) {
		if (
			secrets.length === 0 ||
			secrets.some((secret) => typeof secret !== "string" || secret.length < leastSecret)
		)
			throw new HoldfastError(
				"invalid-argument",
				`give a secret of at least ${leastSecret} random characters: crypto.randomBytes(32).toString("hex")`,
			);
		this.#name = name;
		this.#keys = Promise.all(
			secrets.map((secret) =>
				crypto.subtle.importKey("raw", encoder.encode(secret), { name: "HMAC", hash: "SHA-256" }, false, [
					"sign",
					"verify",
				]),
			),
		);
	}

	/** The cookie's value for an id. */
	async sign(id: string): Promise<string> {
		const [key] = (await this.#keys) as [CryptoKey];
		return `${id}.${toHex(new Uint8Array(await crypto.subtle.sign("HMAC", key, this.#said(id))))}`;
	}

	/** The id in a request's cookies, if one of that name has a good signature. */
	async read(request: Request): Promise<string | undefined> {
		for (const pair of (request.headers.get("cookie") ?? "").split(";")) {
			const [name, value = ""] = pair.trim().split("=", 2);
			if (name !== this.#name) continue;
			const [, id, signature] = /^([0-9a-f]{32})\.([0-9a-f]{64})$/.exec(value) ?? [];
			if (id === undefined || signature === undefined) continue;
			for (const key of await this.#keys)
				if (await crypto.subtle.verify("HMAC", key, fromHex(signature), this.#said(id))) return id;
		}
		return undefined;
	}

	// With the name, so that a value of one cookie is none of another's.
	#said(id: string): Uint8Array<ArrayBuffer> {
		return encoder.encode(`${this.#name}=${id}`);
	}
}
