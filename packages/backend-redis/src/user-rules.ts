/** What the manual page on Redis says that a user needs, so that the page is what is tested. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

const page = readFileSync(join(import.meta.dirname, "../../../docs/redis.md"), "utf8");

const [, ofAll = "", ofCluster = ""] =
	/ACL SETUSER app on >secret ([^`]+)```.*?```\n([^`]+)```/s.exec(page) ?? [];

const listed = (text: string): string[] => text.split(/\s+/).filter((rule) => rule !== "");

/** The rules of a user of the prefix `hf`. */
export const userRules = listed(ofAll);

/** The rules that it needs beside these in a cluster. */
export const clusterRules = listed(ofCluster);
