/** Servers of state for tests that run in a page: one for each test, opened and handled by requests. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type BackendHarness, memoryHarness, type RestoreSaved, remembering } from "@holdfast/core/testing";
import type { TestProject } from "vitest/node";
import { admin, StateServer } from "./state-server.js";

declare module "vitest" {
	interface ProvidedContext {
		/** Where servers are opened and handled. */
		readonly stateServers: string;
	}
}

interface Opened {
	readonly harness: BackendHarness;
	readonly server: StateServer;
	restore: RestoreSaved | undefined;
}

/** What a page can have done to its server: the abilities of its harness. */
async function handle(opened: Opened, action: string, ms: number): Promise<void> {
	const { harness, server } = opened;
	switch (action) {
		case "advance":
			await harness.advance?.(ms);
			return;
		case "restart":
			await server.stop();
			await harness.restart?.();
			await server.run();
			return;
		case "forget":
			await harness.forget?.();
			return;
		case "save":
			opened.restore = await harness.save?.();
			return;
		case "restore":
			await opened.restore?.();
			return;
		case "dispose":
			await server.stop();
			await harness.dispose();
	}
}

/** Vitest's global setup. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
	const opened: Opened[] = [];

	const open = async (): Promise<{ readonly id: number; readonly url: string }> => {
		const harness = memoryHarness({ layer: remembering, losesAnswers: true });
		// The page is of vitest's own origin.
		const server = await StateServer.start(await harness.create(), { ...admin, origins: [origin] });
		return { id: opened.push({ harness, server, restore: undefined }) - 1, url: server.url };
	};

	let origin = "";
	const control = createServer((request, response) => {
		const { pathname, searchParams } = new URL(request.url ?? "", "http://control");
		origin = request.headers.origin ?? "";
		const [, action = "", id] = pathname.split("/");
		const one = opened[Number(id)];
		const answer = one === undefined ? open() : handle(one, action, Number(searchParams.get("ms")));
		answer.then(
			(told) => {
				response.setHeader("access-control-allow-origin", "*");
				response.end(JSON.stringify(told ?? null));
			},
			(error: unknown) => {
				console.error(error);
				response.destroy();
			},
		);
	});
	control.listen(0, "127.0.0.1");
	await once(control, "listening");
	project.provide("stateServers", `http://127.0.0.1:${(control.address() as AddressInfo).port}`);
	return async () => {
		for (const { server } of opened) await server.stop();
		control.closeAllConnections();
		control.close();
	};
}
