/**
 * Requests that another site has a browser send: their cookies are not believed.
 *
 * As in Go's `http.CrossOriginProtection`: `Sec-Fetch-Site` is set by the browser and by nobody else; where it is missing, `Origin` must be
 * the host that was asked. What is neither (a program, a foreign page) can only speak by an Authorization header, which no browser adds by itself.
 */

const hostOf = (origin: string): string | undefined => {
	try {
		return new URL(origin).host;
	} catch {
		return undefined;
	}
};

/** Whether a request comes from a page of the server's own origin, or of one that is trusted as such. */
export function isSameOrigin({ headers, url }: Request, trusted: ReadonlySet<string>): boolean {
	const origin = headers.get("origin");
	if (origin !== null && trusted.has(origin)) return true;
	const site = headers.get("sec-fetch-site");
	if (site !== null) return site === "same-origin";
	// The scheme is not compared: a proxy may have taken TLS off.
	return origin !== null && hostOf(origin) === new URL(url).host;
}

/** The request as `authorize` may see it: without its body, and without a cookie that a foreign page may have had sent along. */
export function askable(request: Request, trusted: ReadonlySet<string>): Request {
	const headers = new Headers(request.headers);
	if (!isSameOrigin(request, trusted)) headers.delete("cookie");
	return new Request(request.url, { method: request.method, headers });
}

const allowedHeaders = "authorization, content-type, holdfast-user, last-event-id";

/** The headers by which pages of trusted origins may read an answer (Fetch, "CORS protocol"); none for others. */
export function corsHeaders(request: Request, trusted: ReadonlySet<string>): Record<string, string> {
	const origin = request.headers.get("origin");
	if (origin === null || !trusted.has(origin)) return {};
	return {
		"access-control-allow-origin": origin,
		"access-control-allow-credentials": "true",
		vary: "Origin",
		...(request.method === "OPTIONS" && {
			"access-control-allow-headers": allowedHeaders,
			"access-control-allow-methods": "GET, POST",
			"access-control-max-age": "600",
		}),
	};
}
