/** The connections of a pool: what is asked on one that says nothing must not wait until the system gives it up, which takes a quarter of an hour. */
import type { Socket } from "node:net";
import { usual } from "./options.js";

/** The socket of a connection of node-postgres. */
export const socketOf = (client: object): Socket =>
	(client as { readonly connection: { readonly stream: Socket } }).connection.stream;

/** The sockets of one pool. */
export class Sockets {
	readonly #open = new Set<Socket>();
	readonly #used = new WeakSet<Socket>();
	readonly #silentFor: number;
	#isPatient = true;

	/** @param silentFor - For how many ms one may say nothing; longer than any statement of ours takes, each of which waits for locks for a second at most. */
	constructor(silentFor: number = usual.answerWithin) {
		this.#silentFor = silentFor;
	}

	/** Takes one that is open. */
	add(socket: Socket): void {
		this.#open.add(socket);
		socket.once("close", () => this.#open.delete(socket));
		socket.setTimeout(this.#silentFor);
		socket.on("timeout", () => {
			if (this.#isPatient || !this.#used.has(socket)) return;
			const error = new Error(`the database said nothing for ${this.#silentFor} ms`);
			socket.destroy(Object.assign(error, { code: "ETIMEDOUT" }));
		});
	}

	/** It is asked something, so it is not to be silent. */
	lend(socket: Socket): void {
		this.#used.add(socket);
	}

	/** All is answered. */
	takeBack(socket: Socket): void {
		this.#used.delete(socket);
	}

	/** The tables are there, which may take any time to make: from now on a silent connection is left. */
	hurry(): void {
		this.#isPatient = false;
	}

	/** Ends all at once: a server that is frozen would let them linger. */
	hangUp(): void {
		for (const socket of this.#open) socket.destroy();
	}
}
