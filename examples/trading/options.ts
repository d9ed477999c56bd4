/** The command line. */
import { parseArgs } from "node:util";
import { HoldfastError } from "@holdfast/core";
import { z } from "zod";
import { isBackend, knownBackends } from "./backend.ts";
import { Speed } from "./pace.ts";

export const usage = `The trading dashboard of Holdfast: a replay of real market data.

  --port <number>         where to listen; 0 for any free port (default 4173, the next free one if that is taken)
  --host <name>           on which address (default 127.0.0.1)
  --speed <number>        trading days a second, 0.1 to 1000 (default: as it stands in the store, at first 20)
  --paused                start with the replay paused
  --backend <where>       where the state is kept: memory, or a URL, redis://…, rediss://…, postgres://…, mysql://…,
                          mariadb://…, sqlite:<file> (default HOLDFAST_BACKEND, else memory). Servers that are given
                          the same store share it
  --fast, --slow <number> the lengths of the strategy's moving averages (default 20 and 50)
  --cash <number>         what the account starts with (default 100000)
  --queue <number>        how many bars may wait between the feed and the store (default 512)
  --rest <seconds>        how long the end of a replay stands before the next one (default 5)
`;

const integer = z.coerce.number().int();

const Options = z
	.object({
		port: integer.min(0).max(65_535).optional(),
		host: z.string().default("127.0.0.1"),
		speed: z.coerce.number().pipe(Speed).optional(),
		paused: z.boolean().optional(),
		backend: z
			.string()
			.refine(isBackend, `There is no such backend: give ${knownBackends}.`)
			.default("memory"),
		fast: integer.min(2).max(400).default(20),
		slow: integer.min(2).max(400).default(50),
		cash: z.coerce.number().positive().default(100_000),
		queue: integer.min(16).max(100_000).default(512),
		rest: z.coerce.number().min(0).max(3600).default(5),
		secret: z.string().min(32).optional(),
		help: z.boolean().default(false),
	})
	.refine(({ fast, slow }) => fast < slow, { error: "It must be less than --slow.", path: ["fast"] });
export type Options = z.output<typeof Options>;

const text = { type: "string" } as const;
const flag = { type: "boolean" } as const;

/**
 * Reads the arguments. What others must not read on a command line may come from the environment: the secret for the cookies only from there,
 * the backend's URL, which may hold a password, too.
 *
 * @throws HoldfastError `invalid-argument`, a line for each option that makes no sense.
 */
export function parseOptions(args: readonly string[], environment: NodeJS.ProcessEnv): Options {
	const { values } = parseArgs({
		args: [...args],
		options: {
			port: text,
			host: text,
			speed: text,
			paused: flag,
			backend: text,
			fast: text,
			slow: text,
			cash: text,
			queue: text,
			rest: text,
			help: { ...flag, short: "h" },
		},
	});
	const parsed = Options.safeParse({
		...values,
		backend: values.backend ?? environment.HOLDFAST_BACKEND,
		secret: environment.SESSION_SECRET,
	});
	if (parsed.success) return parsed.data;
	const given = (name: string): string => {
		if (name === "secret") return "SESSION_SECRET";
		return name === "backend" && values.backend === undefined ? "HOLDFAST_BACKEND" : `--${name}`;
	};
	const said = parsed.error.issues.map(({ path, message }) => `${given(path.join("."))}: ${message}`);
	throw new HoldfastError("invalid-argument", said.join("\n"));
}
