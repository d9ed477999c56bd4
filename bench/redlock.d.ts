declare module "redlock" {
	import type { Redis } from "ioredis";

	/** The part of it that is measured; it comes without types. */
	export default class Redlock {
		constructor(
			clients: readonly Redis[],
			options: { readonly retryCount: number; readonly retryDelay: number },
		);
		lock(resource: string, ttl: number): Promise<{ unlock(): Promise<void> }>;
	}
}
