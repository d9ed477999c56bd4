/** For tests: a browser's Storage. */
import type { Items } from "./session-store.js";

/** A Storage with so much room, that can end in the middle. */
export class Room implements Items {
	readonly items = new Map<string, string>();
	/** How many characters it holds. */
	room = Number.POSITIVE_INFINITY;
	/** After so many more writes the tab is killed. */
	writes = Number.POSITIVE_INFINITY;

	get length(): number {
		return this.items.size;
	}

	key(index: number): string | null {
		return [...this.items.keys()][index] ?? null;
	}

	getItem(item: string): string | null {
		return this.items.get(item) ?? null;
	}

	setItem(item: string, text: string): void {
		this.#count();
		const others = [...this.items].filter(([name]) => name !== item);
		const used = others.reduce((sum, [name, value]) => sum + name.length + value.length, 0);
		if (used + item.length + text.length > this.room) throw new DOMException("no room", "QuotaExceededError");
		this.items.set(item, text);
	}

	removeItem(item: string): void {
		this.#count();
		this.items.delete(item);
	}

	#count(): void {
		if (this.writes-- <= 0) throw new Error("killed");
	}
}
