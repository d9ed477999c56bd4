/**
 * The messages between a page and a server's scopes, and their encoding.
 *
 * @packageDocumentation
 */
export * from "./answer.js";
export * from "./commit.js";
export * from "./entry.js";
export * from "./event-stream.js";
export * from "./failure.js";
export * from "./messages.js";
export * from "./open-session.js";
export * from "./queue.js";
export * from "./record.js";
