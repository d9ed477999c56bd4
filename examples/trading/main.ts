/** `npm start`: runs the dashboard until it is told to end. */
import { startDashboard } from "./dashboard.ts";
import { type Options, parseOptions, usage } from "./options.ts";

function readOptions(): Options {
	try {
		return parseOptions(process.argv.slice(2), process.env);
	} catch (error) {
		console.error(`${error instanceof Error ? error.message : error}\n\n${usage}`);
		process.exit(2);
	}
}

const options = readOptions();
if (options.help) {
	console.log(usage);
} else {
	const dashboard = await startDashboard(options).catch((error: Error) => {
		console.error(error.message);
		process.exit(1);
	});
	console.log(`The dashboard is at ${dashboard.url}`);

	let ending = false;
	const end = (): void => {
		// Asked twice, it does not wait.
		if (ending) process.exit(1);
		ending = true;
		dashboard.close().catch((error) => {
			console.error(error);
			process.exitCode = 1;
		});
	};
	process.on("SIGINT", end);
	process.on("SIGTERM", end);
}
