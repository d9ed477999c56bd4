/**
 * The browser's storage, and the way from a page to a server's state, as backends of Holdfast.
 *
 * @packageDocumentation
 */

export { type BrowserBackend, type BrowserOptions, browser, indexedDb } from "./browser.js";
export type { LogoutOptions, OfflineOptions, OfflineQueue, RefusedWrite } from "./offline.js";
export type { Conflict, Resolve } from "./offline-conflict.js";
export { offlineQueue } from "./offline-queue.js";
export { type RemoteOptions, remote } from "./remote.js";
export type { RemoteBackend } from "./remote-backend.js";
export type { Page, PageNews } from "./remote-page.js";
export type { Pending, RemoteStatus } from "./remote-status.js";
export type { StorageState } from "./row-backend.js";
