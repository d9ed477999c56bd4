/** Where the state is kept: the one place to choose it. */
import { type Backend, memory } from "@holdfast/core";

export const backends: Record<string, () => Backend> = {
	memory: () => memory(),
};
