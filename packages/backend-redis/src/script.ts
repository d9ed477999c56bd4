/** A Lua script that is sent once and then called by its hash. */
import { createHash } from "node:crypto";

/** A script with its hash. */
export class Script {
	readonly text: string;
	readonly hash: string;

	constructor(text: string) {
		this.text = text;
		this.hash = createHash("sha1").update(text).digest("hex");
	}
}
