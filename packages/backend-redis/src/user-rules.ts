/** What the manual page on Redis says that a user needs, so that the page is what is tested. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { isRedisSince } from "@holdfast/test-servers/redis-server";

const page = readFileSync(join(import.meta.dirname, "../../../docs/redis.md"), "utf8");

const [, ofAll = "", ofCluster = ""] =
	/ACL SETUSER app on >secret ([^`]+)```.*?```\n([^`]+)```/s.exec(page) ?? [];

/** Whether the server knows a rule: before 6.2 none is for channels, and all users may use all of them; 7.0 brought sharded ones. */
const isKnown = (rule: string): boolean =>
	rule.startsWith("&")
		? isRedisSince("6.2")
		: !/^\+s(un)?(subscribe|publish)$/.test(rule) || isRedisSince("7.0");

const listed = (text: string): string[] => text.split(/\s+/).filter((rule) => rule !== "" && isKnown(rule));

/** The rules of a user of the prefix `hf`. */
export const userRules = listed(ofAll);

/** The rules that it needs beside these in a cluster. */
export const clusterRules = listed(ofCluster);
