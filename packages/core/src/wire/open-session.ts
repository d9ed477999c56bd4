/** Opening a browser's session from a page. */
import { HoldfastError } from "../error.js";
import { codeOf } from "./failure.js";

/** What a page knows of its session. */
export interface PageSession {
	readonly id: string;
	/** Who is logged in; `null`: nobody. */
	readonly user: string | null;
}

/**
 * Opens this browser's session, or resumes it: `url` is where the server has `cookieSessions(…).handle`. One tab asks at a time, by a Web
 * Lock, so that the second of two tabs that open at once has the cookie that the first was given.
 *
 * @throws HoldfastError `unavailable` where the server is out of reach, or with the code that its status means.
 *
 * @example
 * ```ts
 * const { id } = await openSession("/session");
 * const mine = manager.session(id);
 * ```
 */
export const openSession = (url: string | URL, fetchWith: typeof fetch = fetch): Promise<PageSession> =>
	navigator.locks.request(`holdfast-session ${url}`, async () => {
		let response: Response;
		try {
			response = await fetchWith(url, { method: "POST", credentials: "same-origin", cache: "no-store" });
		} catch (cause) {
			throw new HoldfastError("unavailable", "the server is out of reach", { cause });
		}
		if (!response.ok)
			throw new HoldfastError(
				codeOf(response.status),
				`no session could be opened: status ${response.status}`,
			);
		return (await response.json()) as PageSession;
	});
