/** React's hooks, with the types of the application's state. */
import { createHooks } from "@holdfast/backend-browser/react";
import type { state } from "../state.ts";

export const { useConnection, useEntries, useEntry, useMirror, usePending, useScope } =
	createHooks<typeof state>();

/** The symbol that is traded, until the strategy has said it. */
const index = "SP500";

/** The symbol that the strategy trades. */
export const useTraded = (): string => useEntry("shared", "strategy")?.symbol ?? index;
