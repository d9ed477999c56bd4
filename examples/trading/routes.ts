/** The dashboard's addresses. */
import { type Context, Hono, type MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import { secureHeaders } from "hono/secure-headers";
import { z } from "zod";
import { Pace } from "./pace.ts";
import type { Page } from "./page-files.ts";
import { type Sessions, SignIn, type Visitor } from "./sessions.ts";
import type { Manager } from "./state.ts";

export interface RouteOptions {
	readonly manager: Manager;
	readonly sessions: Sessions;
	readonly page: Page;
}

const PacePatch = z.strictObject(Pace.partial().shape);

export function makeRoutes({ manager, sessions, page }: RouteOptions): Hono {
	const app = new Hono();

	app.use(
		secureHeaders({
			contentSecurityPolicy: {
				defaultSrc: ["'self'"],
				// The chart sets styles on its elements.
				styleSrc: ["'self'", "'unsafe-inline'"],
				imgSrc: ["'self'", "data:"],
				baseUri: ["'none'"],
				formAction: ["'self'"],
				frameAncestors: ["'none'"],
				objectSrc: ["'none'"],
			},
			strictTransportSecurity: false,
		}),
	);
	app.use("/api/*", sameOrigin, bodyLimit({ maxSize: 16 * 1024 }));

	app.get("/", async (c) => {
		const visitor = await sessions.find(c.req.raw);
		const settings = visitor && (await manager.user(visitor.id).get("settings"));
		c.header("cache-control", "no-store");
		return c.html(
			page.html({
				user: visitor?.name,
				"user-id": visitor?.id,
				theme: settings?.theme,
				density: settings?.density,
			}),
		);
	});
	app.get("/health", (c) => {
		const { status, pending, watched } = manager.health;
		return c.json({ status, pending, watched }, status === "unreachable" ? 503 : 200);
	});

	app.get("/api/visitor", async (c) => {
		c.header("cache-control", "no-store");
		return c.json((await sessions.find(c.req.raw)) ?? null);
	});
	app.post("/api/sign-in", async (c) => {
		const body = await parseBody(c, SignIn);
		if (!body.success) return refuse(c, body.error);
		const { visitor, cookie } = await sessions.begin(c.req.raw, body.data.name);
		c.header("set-cookie", cookie);
		return c.json(visitor);
	});
	app.post("/api/sign-out", async (c) => {
		c.header("set-cookie", await sessions.end(c.req.raw));
		return c.json(null);
	});

	const signedIn = (answer: (c: Context, visitor: Visitor) => Promise<Response>) => async (c: Context) => {
		const visitor = await sessions.find(c.req.raw);
		return visitor ? answer(c, visitor) : c.json({ error: "Sign in first." }, 401);
	};

	app.post(
		"/api/pace",
		signedIn(async (c, { name }) => {
			const body = await parseBody(c, PacePatch);
			if (!body.success) return refuse(c, body.error);
			const { speed, paused } = body.data;
			const { revision } = await manager.shared.commit(async (tx) => {
				const before = await tx.get("pace");
				const pace = { speed: speed ?? before.speed, paused: paused ?? before.paused };
				tx.set("pace", pace);
				tx.emit("pace_changed", { ...pace, by: name });
			});
			return c.json({ revision });
		}),
	);
	app.get("/*", (c) => page.file(c));
	return app;
}

/** What may change something must come from this page: the browser says so, and other sites can't make it say so. */
const sameOrigin: MiddlewareHandler = async (c, next) => {
	if (c.req.method === "GET" || c.req.method === "HEAD") return next();
	const site = c.req.header("sec-fetch-site");
	const origin = c.req.header("origin");
	const own = site === undefined ? origin === new URL(c.req.url).origin : site === "same-origin";
	return own ? next() : c.json({ error: "This must come from the dashboard's own page." }, 403);
};

type Parsed<T> = { success: true; data: T } | { success: false; error: string };

async function parseBody<S extends z.ZodType>(c: Context, schema: S): Promise<Parsed<z.output<S>>> {
	if (!/^application\/json\b/.test(c.req.header("content-type") ?? ""))
		return { success: false, error: "The body must be JSON." };
	const json: unknown = await c.req.json().catch(() => undefined);
	const { success, data, error } = schema.safeParse(json);
	return success
		? { success, data }
		: { success, error: error.issues.map(({ message }) => message).join(" ") };
}

const refuse = (c: Context, error: string) => c.json({ error }, 400);
