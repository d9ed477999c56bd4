/**
 * The browser's storage, and the way from a page to a server's state, as backends of Holdfast.
 *
 * @packageDocumentation
 */

export { type BrowserBackend, type BrowserOptions, browser } from "./browser.js";
export { type OfflineQueue, offlineQueue, type RefusedWrite } from "./offline.js";
export { type RemoteBackend, type RemoteOptions, remote } from "./remote.js";
export type { Page, PageNews } from "./remote-page.js";
export type { Pending, RemoteStatus } from "./remote-status.js";
export type { StorageState } from "./row-backend.js";
