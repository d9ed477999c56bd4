/** The dashboard's addresses. */
import { type Context, Hono, type MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import { secureHeaders } from "hono/secure-headers";
import { z } from "zod";
import { Speed } from "./pace.ts";
import type { Page } from "./page-files.ts";
import { type Live, push } from "./push.ts";
import { Sessions, SignIn, type Visitor } from "./sessions.ts";
import { type Manager, Settings } from "./state.ts";
import type { History } from "./wire.ts";

export interface RouteOptions {
	readonly manager: Manager;
	readonly live: Live;
	/** Signs the cookies. */
	readonly secret: string;
	readonly page: Page;
	/** The symbol that is traded: its history has the account's worth with it. */
	readonly traded: string;
	/** Ends the streams. */
	readonly closing: AbortSignal;
}

/** A part of the settings. Their defaults must not fill in what the page did not say. */
const SettingsPatch = z.strictObject(
	Object.fromEntries(
		Object.entries(Settings.shape).map(([name, schema]) => [name, schema.unwrap().optional()]),
	) as {
		[K in keyof typeof Settings.shape]: z.ZodOptional<ReturnType<(typeof Settings.shape)[K]["unwrap"]>>;
	},
);

const PacePatch = z.strictObject({ speed: Speed.optional(), paused: z.boolean().optional() });

export function makeRoutes({ manager, live, secret, page, traded, closing }: RouteOptions): Hono {
	const sessions = new Sessions(manager, secret);
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
		const visitor = await sessions.find(c);
		if (visitor) await sessions.renew(c);
		const settings = visitor && (await manager.user(visitor.user.id).get("settings"));
		c.header("cache-control", "no-store");
		return c.html(
			page.html({ user: visitor?.user.name, theme: settings?.theme, density: settings?.density }),
		);
	});
	app.get("/health", (c) => {
		const { status, pending, watched } = manager.health;
		return c.json({ status, pending, watched }, status === "unreachable" ? 503 : 200);
	});

	app.post("/api/sign-in", async (c) => {
		const body = await parseBody(c, SignIn);
		if (!body.success) return refuse(c, body.error);
		await sessions.begin(c, body.data.name);
		return c.body(null, 204);
	});
	app.post("/api/sign-out", async (c) => {
		await sessions.end(c);
		return c.body(null, 204);
	});

	const signedIn =
		(answer: (c: Context, visitor: Visitor) => Response | Promise<Response>) => async (c: Context) => {
			const visitor = await sessions.find(c);
			return visitor ? answer(c, visitor) : c.json({ error: "Sign in first." }, 401);
		};

	app.get(
		"/api/me",
		signedIn((c, { user }) => c.json(user)),
	);
	app.get(
		"/api/stream",
		signedIn((c, visitor) => push(c, manager, live, visitor, closing)),
	);
	app.get(
		"/api/history/:symbol",
		signedIn(async (c) => c.json(await readHistory(manager, live, c.req.param("symbol") ?? "", traded))),
	);
	app.post(
		"/api/settings",
		signedIn(async (c, { user }) => {
			const body = await parseBody(c, SettingsPatch);
			if (!body.success) return refuse(c, body.error);
			const given = Object.fromEntries(Object.entries(body.data).filter(([, value]) => value !== undefined));
			await manager.user(user.id).update("settings", (settings) => ({ ...settings, ...given }));
			return c.body(null, 204);
		}),
	);
	app.post(
		"/api/pace",
		signedIn(async (c, { user }) => {
			const body = await parseBody(c, PacePatch);
			if (!body.success) return refuse(c, body.error);
			const { speed, paused } = body.data;
			await manager.shared.commit(async (tx) => {
				const before = await tx.get("pace");
				const pace = { speed: speed ?? before.speed, paused: paused ?? before.paused };
				tx.set("pace", pace);
				tx.emit("pace_changed", { ...pace, by: user.name });
			});
			return c.body(null, 204);
		}),
	);
	app.get("/*", (c) => page.file(c));
	return app;
}

/** A symbol's past in this run, of one instant; the trades come from the log of facts. */
async function readHistory(manager: Manager, live: Live, symbol: string, traded: string): Promise<History> {
	await live.ready;
	const { revision } = live;
	const members = live.list();
	const run = live.get("run") ?? 1;
	const under = <V>(prefix: string): [string, V][] =>
		members
			.filter(({ key }) => key.startsWith(prefix))
			.map(({ key, value }) => [key.slice(prefix.length), value as V]);
	const trades: History["trades"][number][] = [];
	for await (const { payload } of manager.shared.events.history({ type: "trade_executed" }))
		if (payload.symbol === symbol && payload.run === run) trades.push(payload);
	return {
		revision,
		bars: under(`bars/${symbol}/`),
		equity: symbol === traded ? under("equity/") : [],
		trades,
	};
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
	return success ? { success, data } : { success, error: z.prettifyError(error) };
}

const refuse = (c: Context, error: string) => c.json({ error }, 400);
