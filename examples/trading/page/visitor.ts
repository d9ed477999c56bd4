/** Who is signed in, and how they like the page. */
import { createContext, use } from "react";
import type { Visitor } from "../sessions.ts";
import type { Settings } from "../state.ts";
import { useEntry, useMirror, useScope } from "./bindings.ts";

export const VisitorContext = createContext<Visitor>({ id: "", name: "" });

/** The user's settings, as they are in all of that user's windows, and what changes some of them: it resolves once they show. */
export function useSettings(): [settings: Settings, save: (patch: Partial<Settings>) => Promise<void>] {
	const { id } = use(VisitorContext);
	const settings = useEntry(["user", id], "settings");
	const scope = useScope(["user", id]);
	const mirror = useMirror(["user", id], "settings");
	const save = async (patch: Partial<Settings>): Promise<void> => {
		const { revision } = await scope.commit(async (tx) => {
			tx.set("settings", { ...(await tx.get("settings")), ...patch });
		});
		await mirror.at(revision);
	};
	return [settings, save];
}
