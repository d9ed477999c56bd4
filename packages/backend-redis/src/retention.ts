import type { Retention } from "@holdfast/core";

/** A retention, as a scope's hash holds it: of changes and of events how many, for how long in ms. */
export const retentionText = ({ changes, events }: Retention): string =>
	`${changes.count} ${changes.age} ${events.count} ${events.age}`;

/** What core lets a log keep where nothing else is said: that is not written down. To change it here changes what existing scopes keep. */
export const usualAge = 3_600_000;
export const usualRetention = `10000 ${usualAge} 100000 2592000000`;
