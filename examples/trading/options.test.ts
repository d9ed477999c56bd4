import { isHoldfastError } from "@holdfast/core";
import { expect, test } from "vitest";
import { openBackend } from "./backend.ts";
import { parseOptions } from "./options.ts";

/** What is said against arguments and an environment. */
function refusalOf(args: readonly string[], environment: NodeJS.ProcessEnv = {}): string {
	try {
		parseOptions(args, environment);
	} catch (error) {
		if (isHoldfastError(error, "invalid-argument")) return error.message;
		throw error;
	}
	return "accepted";
}

test("the backend is what the command line says, else the environment, else memory", () => {
	const environment = { HOLDFAST_BACKEND: "rediss://cache:6380" };
	expect(parseOptions([], {}).backend).toBe("memory");
	expect(parseOptions([], environment).backend).toBe("rediss://cache:6380");
	expect(parseOptions(["--backend", "sqlite:./state.db"], environment).backend).toBe("sqlite:./state.db");
});

test.each([
	"redis://h",
	"rediss://h",
	"postgres://h/d",
	"mysql://h/d",
	"mariadb://h/d",
	"sqlite:s.db",
	"memory",
])("%s is a backend", (where) => expect(refusalOf(["--backend", where])).toBe("accepted"));

test.each(["", "redis", "redis://", "sqlite:", "http://host", "mongodb://user:secret@host", "toString"])(
	"%j is none, and the refusal says what is, and no password",
	async (where) => {
		expect(refusalOf(["--backend", where])).toMatch(/^--backend: .*memory, redis:\/\/…/);
		expect(refusalOf([], { HOLDFAST_BACKEND: where })).toMatch(/^HOLDFAST_BACKEND: .*sqlite:<file>/);
		expect(refusalOf(["--backend", where])).not.toContain("secret");
		await expect(openBackend(where)).rejects.toMatchObject({ code: "invalid-argument" });
	},
);

test("the pace is nobody's unless it is asked for", () => {
	expect(parseOptions([], {})).toMatchObject({ fast: 20, slow: 50 });
	expect(parseOptions([], {}).speed).toBeUndefined();
	expect(parseOptions(["--paused"], {}).paused).toBe(true);
	expect(refusalOf(["--speed", "0", "--fast", "60"], { SESSION_SECRET: "short" })).toMatch(
		/--speed: .*\nSESSION_SECRET: /,
	);
});
