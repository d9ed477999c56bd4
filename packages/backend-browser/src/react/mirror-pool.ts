/** One mirror for each scope and pattern that the components of a page read. */
import type { StateEntry, StateManager } from "@holdfast/core";
import type { HandedOver } from "./handover.js";
import { SharedMirror } from "./shared-mirror.js";

/** The scope of a hook: `shared`, or a kind and an id. */
export type ScopeRef = "shared" | readonly [kind: string, id: string];

// biome-ignore lint/suspicious/noExplicitAny: the hooks know the types
export type AnyManager = StateManager<any>;

/** A scope whose types the hooks know. */
export type AnyScope = AnyManager["shared"];

/** The scope that a reference names. */
export function scopeOf(manager: AnyManager, ref: ScopeRef): AnyScope {
	if (ref === "shared") return manager.shared;
	const [kind, id] = ref;
	if (kind === "user") return manager.user(id);
	if (kind === "session") return manager.session(id);
	return manager.scope(kind, id);
}

/** The mirrors of one manager, counted. */
export class MirrorPool {
	readonly #manager: AnyManager;
	readonly #mirrors = new Map<string, SharedMirror>();
	#handedOver: HandedOver | undefined;

	constructor(manager: AnyManager) {
		this.#manager = manager;
	}

	/** What a server rendered: shown until the store was heard. */
	take(handedOver: HandedOver): void {
		this.#handedOver ??= handedOver;
	}

	/** The mirror of a scope's pattern; opened if nobody reads it yet. */
	mirror(ref: ScopeRef, pattern: string): SharedMirror {
		const name = JSON.stringify([ref, pattern]);
		const open = this.#mirrors.get(name);
		if (open !== undefined) return open;
		const made = new SharedMirror(
			pattern,
			(initial) => scopeOf(this.#manager, ref).mirror(pattern, { initial }),
			this.#handedOver?.get(name),
			() => {
				if (this.#mirrors.get(name) === made) this.#mirrors.delete(name);
			},
		);
		this.#mirrors.set(name, made);
		return made;
	}

	/** What the mirrors hold, by the names under which another pool knows them. */
	contents(): readonly (readonly [name: string, entries: readonly StateEntry[]])[] {
		return [...this.#mirrors]
			.filter(([, mirror]) => mirror.isShown)
			.map(([name, mirror]) => [name, mirror.entries]);
	}

	/** Closes all mirrors. */
	close(): void {
		for (const mirror of [...this.#mirrors.values()]) mirror.close();
	}
}
