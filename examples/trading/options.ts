/** The command line. */
import { parseArgs } from "node:util";
import { z } from "zod";
import { backends } from "./backend.ts";
import { Speed } from "./pace.ts";

export const usage = `The trading dashboard of Holdfast: a replay of real market data.

  --port <number>         where to listen; 0 for any free port (default 4173, the next free one if that is taken)
  --host <name>           on which address (default 127.0.0.1)
  --speed <number>        trading days a second, 0.1 to 1000 (default 20)
  --paused                start with the replay paused
  --backend <name>        where the state is kept (default memory)
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
		speed: z.coerce.number().pipe(Speed).default(20),
		paused: z.boolean().default(false),
		backend: z
			.string()
			.refine(
				(name) => name in backends,
				`For now there is only ${Object.keys(backends).join(", ")}: other backends come with their own packages.`,
			)
			.default("memory"),
		fast: integer.min(2).max(400).default(20),
		slow: integer.min(2).max(400).default(50),
		cash: z.coerce.number().positive().default(100_000),
		queue: integer.min(16).max(100_000).default(512),
		rest: z.coerce.number().min(0).max(3600).default(5),
		secret: z.string().min(16).optional(),
		help: z.boolean().default(false),
	})
	.refine(({ fast, slow }) => fast < slow, { error: "It must be less than --slow.", path: ["fast"] });
export type Options = z.output<typeof Options>;

const text = { type: "string" } as const;
const flag = { type: "boolean" } as const;

/** Reads the arguments. A secret for the cookies comes from the environment, never from a command line that others can read. */
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
	const parsed = Options.safeParse({ ...values, secret: environment.SESSION_SECRET });
	if (parsed.success) return parsed.data;
	const said = parsed.error.issues.map(({ path, message }) => `--${path.join(".")}: ${message}`);
	throw new Error(said.join("\n"));
}
