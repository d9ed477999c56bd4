import { expect, test } from "vitest";
import { failureOf, isOutOfMemory, isReplica } from "./failure.js";

/** As Redis 6.2 says what a command in a script was refused with. */
const inScript = (refusal: string): Error =>
	new Error(
		`ERR Error running script (call to f_1028a5dba704e1d8a01fd96efeba25bb78f62df2): @user_script:4: @user_script: 4: ${refusal}`,
	);

test("what a command in a script is refused with is known, also as Redis 6.2 tells it", () => {
	for (const said of [inScript, (refusal: string) => new Error(refusal.slice(1))]) {
		const readOnly = said("-READONLY You can't write against a read only replica.");
		expect(isReplica(readOnly)).toBe(true);
		expect(failureOf(readOnly)).toMatchObject({ failed: "unavailable" });
		const full = said("-OOM command not allowed when used memory > 'maxmemory'.");
		expect(isOutOfMemory(full)).toBe(true);
	}
	expect(failureOf(inScript("WRONGTYPE Operation against a key"))).toMatchObject({ failed: "unknown" });
});

test("one server of a cluster, taken for all of it, names the way out", () => {
	const failure = failureOf(new Error("MOVED 3999 127.0.0.1:6381"));
	expect(failure.failed).toBe("refused");
	expect(failure.message).toMatch("give `nodes`, or a Cluster as `client`");
});
