/**
 * The browser's storage and a server's state as backends of Holdfast.
 *
 * @packageDocumentation
 */

export { type RemoteBackend, type RemoteOptions, remote } from "./remote.js";
export type { Page, PageNews } from "./remote-page.js";
export type { Pending, RemoteStatus } from "./remote-status.js";
