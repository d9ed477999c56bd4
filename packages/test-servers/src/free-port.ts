/** Ports for servers of a test's own. */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";

// Below those that a system gives to who wants any, and to connections that go out: nobody gets one of these by chance.
const least = 11_000;
const most = 31_000;

/** A port of this machine that nobody listens on, and that no other process of tests is given while this one lives. */
export const freePort = (): Promise<number> => freePorts([0]);

/** One such port, and with it the one so far above it, which some servers take too. */
export const freePair = (distance: number): Promise<number> => freePorts([0, distance]);

async function freePorts(distances: readonly number[]): Promise<number> {
	for (;;) {
		const first = least + Math.floor(Math.random() * (most - least - Math.max(...distances)));
		let free = true;
		for (const distance of distances) free &&= await reserve(first + distance);
		if (free) return first;
	}
}

/** Whether a port is ours from now on. A socket for datagrams marks it, which a server's for connections does not disturb, and which ends with its process. */
async function reserve(port: number): Promise<boolean> {
	const mark = createSocket("udp4").unref();
	try {
		mark.bind({ port, address: "127.0.0.1", exclusive: true });
		await once(mark, "listening");
	} catch {
		mark.close();
		return false;
	}
	const isFree = await canListen(port);
	if (!isFree) mark.close();
	return isFree;
}

/** Whether nobody listens on a port. */
async function canListen(port: number): Promise<boolean> {
	const server = createServer().listen(port, "127.0.0.1");
	try {
		await once(server, "listening");
	} catch {
		return false;
	}
	server.close();
	await once(server, "close");
	return true;
}
