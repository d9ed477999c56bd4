import { conformance, memoryHarness, remembering } from "@holdfast/core/testing";
import { remote } from "./remote.js";
import { StateServer } from "./state-server.js";

conformance(
	"remote",
	async () => {
		const harness = memoryHarness({ layer: remembering, losesAnswers: true });
		const server = await StateServer.start(await harness.create());
		return {
			...harness,
			create: () => remote({ url: server.url, answerWithin: "1m" }),
			restart: async () => {
				await server.stop();
				await harness.restart?.();
				await server.run();
			},
			dispose: async () => {
				await server.stop();
				await harness.dispose();
			},
		};
	},
	// Most of the time is spent waiting.
	{ concurrent: true },
);
