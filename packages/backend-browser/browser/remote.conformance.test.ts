import { conformance } from "@holdfast/core/testing";
import { inject } from "vitest";
import { remote } from "../src/remote.js";

const control = inject("stateServers");

const tell = async (path: string): Promise<never> => {
	const response = await fetch(`${control}/${path}`, { method: "POST" });
	return response.json() as Promise<never>;
};

conformance(
	"remote in a page",
	async () => {
		const { id, url }: { readonly id: number; readonly url: string } = await tell("open");
		return {
			create: () => remote({ url }),
			advance: (ms) => tell(`advance/${id}?ms=${ms}`),
			losesAnswers: true,
			restart: () => tell(`restart/${id}`),
			reconnects: true,
			forget: () => tell(`forget/${id}`),
			save: async () => {
				await tell(`save/${id}`);
				return () => tell(`restore/${id}`);
			},
			// Where four handles have a stream, the fifth asks every two seconds.
			patience: 120_000,
			dispose: () => tell(`dispose/${id}`),
		};
	},
	// A page has six connections to a server: what a test asks at once queues for them. Each test has a server of its own, and mostly waits.
	{ timeout: 600_000, concurrent: true },
);
