/**
 * The server side of the bridge: a manager's scopes over HTTP, for pages.
 *
 * @packageDocumentation
 */
export {
	type CookieSession,
	type CookieSessionOptions,
	type CookieSessions,
	cookieSessions,
	type OpenedSession,
} from "./cookie-sessions.js";
export * from "./handler.js";
export { nodeHandler, type WebHandler } from "./node-handler.js";
export type { Access, Grant, ScopeParts } from "./principal.js";
export type { OpenSink, SinkEvents, StreamSink } from "./sink.js";
