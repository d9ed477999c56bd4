// An application in TypeScript, compiled both as an ES module and as a CommonJS one.
import { createStateManager, isHoldfastError, memory } from "@holdfast/core";

export async function main(): Promise<void> {
	const manager = createStateManager({ backend: memory() });
	try {
		await manager.shared.set("a", 1);
		console.log(await manager.shared.get("a"));
	} catch (error) {
		if (isHoldfastError(error)) console.log(error.code.toUpperCase());
		throw error;
	} finally {
		await manager.close();
	}
}
