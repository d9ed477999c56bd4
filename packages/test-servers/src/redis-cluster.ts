/** A real Redis Cluster of a test's own: three primaries, each with a replica if asked. */
import { setTimeout as delay } from "node:timers/promises";
import { freePair } from "./free-port.ts";
import { RedisServer } from "./redis-server.ts";

const slotCount = 16_384;

// How far above its port a server has its bus.
const busDistance = 10_000;

/** How a cluster is started. */
export interface ClusterSettings {
	/** Whether each primary has a replica. Default `true`. */
	readonly replicas?: boolean;
	/** After how many ms a node that says nothing has failed. Default 15,000. */
	readonly nodeTimeout?: number;
	/** More options of a `redis.conf`, as arguments. */
	readonly options?: readonly string[];
	/** The files of the certificate by which its servers speak TLS too. */
	readonly tls?: { readonly certificate: string; readonly key: string };
}

/** A slot on its way. */
export interface SlotMove {
	/** The slot's keys that are still where they were. */
	keys(): Promise<string[]>;
	moveKey(key: string): Promise<void>;
	/** Moves what is left, and the slot. */
	finish(): Promise<void>;
}

/** A running cluster. */
export class RedisCluster {
	/** Its servers, the first three of them primaries at first. */
	readonly servers: readonly RedisServer[];
	/** The ports where they speak TLS. */
	readonly tlsPorts: readonly number[];

	private constructor(servers: readonly RedisServer[], tlsPorts: readonly number[]) {
		this.servers = servers;
		this.tlsPorts = tlsPorts;
	}

	/** Starts the servers and makes them one cluster; resolves once all of them know it. */
	static async start({
		replicas = true,
		nodeTimeout = 15_000,
		options = [],
		tls,
	}: ClusterSettings = {}): Promise<RedisCluster> {
		const count = replicas ? 6 : 3;
		const servers = [];
		const buses: number[] = [];
		const tlsPorts: number[] = [];
		for (let i = 0; i < count; i++) {
			const port = await freePair(busDistance);
			const secure = [];
			if (tls !== undefined) {
				const { certificate, key } = tls;
				const tlsPort = await freePair(busDistance);
				tlsPorts.push(tlsPort);
				secure.push(
					"--tls-port",
					String(tlsPort),
					"--tls-cluster",
					"yes",
					"--tls-auth-clients",
					"no",
					"--tls-key-file",
					key,
				);
				secure.push("--tls-cert-file", certificate, "--tls-ca-cert-file", certificate);
			}
			buses.push((tlsPorts[i] ?? port) + busDistance);
			servers.push(
				await RedisServer.start(
					[
						...["--cluster-enabled", "yes", "--cluster-node-timeout", String(nodeTimeout)],
						// A replica stays with its primary, and takes over however old its data are.
						...["--cluster-migration-barrier", "100", "--cluster-replica-validity-factor", "0"],
						...["--repl-diskless-sync-delay", "0"],
						...[...secure, ...options],
					],
					port,
				),
			);
		}
		const cluster = new RedisCluster(servers, tlsPorts);
		for (const [i, server] of servers.entries()) {
			await server.ask("cluster", "set-config-epoch", i + 1);
			const [first, after] = [0, 1].map((next) => Math.floor(((i + next) * slotCount) / 3)) as [
				number,
				number,
			];
			if (i < 3)
				await server.ask(
					"cluster",
					"addslots",
					...Array.from({ length: after - first }, (_, n) => first + n),
				);
		}
		const ids = (await Promise.all(servers.map((server) => server.ask("cluster", "myid")))) as string[];
		const nodesOf = async (server: RedisServer): Promise<string> =>
			String(await server.ask("cluster", "nodes"));
		for (const server of servers)
			for (;;) {
				const known = await nodesOf(server);
				const missing = ids.flatMap((id, i) => (known.includes(id) ? [] : [i]));
				if (missing.length === 0) break;
				// Again and again: a server forgets whom it met if that one takes long to answer.
				for (const i of missing)
					await server.ask("cluster", "meet", "127.0.0.1", servers[i]?.port as number, buses[i] as number);
				await delay(50);
			}
		for (const [i, replica] of servers.slice(3).entries())
			await replica.ask("cluster", "replicate", ids[i] as string);
		await cluster.whenWhole();
		return cluster;
	}

	/** Addresses of its nodes. */
	get nodes(): { host: string; port: number }[] {
		return this.servers.map(({ port }) => ({ host: "127.0.0.1", port }));
	}

	/** Resolves once every server takes calls, all name the same three primaries, and the replicas follow. */
	async whenWhole(): Promise<void> {
		while (!(await this.#isWhole())) await delay(50);
	}

	async #isWhole(): Promise<boolean> {
		const said = await Promise.all(
			this.servers.map(async (server) => {
				const [info, nodes, replication] = await Promise.all(
					[
						["cluster", "info"],
						["cluster", "nodes"],
						["info", "replication"],
					].map(async ([command = "", part = ""]) => String(await server.ask(command, part))),
				);
				const primaries = [
					...(nodes ?? "").matchAll(/^(\w+) \S+ (?:myself,)?master (?!.* disconnected).*\d-\d/gm),
				];
				return {
					isReady:
						info?.includes("cluster_state:ok") === true && !/master_link_status:down/.test(replication ?? ""),
					isPrimary: /^role:master/m.test(replication ?? ""),
					primaries: primaries
						.map(([, id]) => id)
						.sort()
						.join(),
				};
			}),
		);
		const [first] = said;
		return (
			said.filter(({ isPrimary }) => isPrimary).length === 3 &&
			said.every(({ isReady, primaries }) => isReady && primaries === first?.primaries)
		);
	}

	/** Ends all as a crash would, and starts them again. */
	async restart(): Promise<void> {
		await Promise.all(this.servers.map((server) => server.kill()));
		await Promise.all(this.servers.map((server) => server.run()));
		await this.whenWhole();
	}

	/** The server that has a slot, as the first one says that takes calls. */
	async primaryOf(slot: number): Promise<RedisServer> {
		const ranges = (await this.servers[0]?.ask("cluster", "slots")) as [number, number, [string, number]][];
		const [, , [, port]] = ranges.find(
			([first, last]) => first <= slot && slot <= last,
		) as (typeof ranges)[0];
		return this.servers.find((server) => server.port === port) as RedisServer;
	}

	/** Begins to move a slot from its primary to another; what it answers goes on with it. */
	async moveSlot(slot: number): Promise<SlotMove> {
		const from = await this.primaryOf(slot);
		const to = this.servers.slice(0, 3).find((server) => server !== from) as RedisServer;
		const [fromId, toId] = (await Promise.all([from, to].map((server) => server.ask("cluster", "myid")))) as [
			string,
			string,
		];
		await to.ask("cluster", "setslot", slot, "importing", fromId);
		await from.ask("cluster", "setslot", slot, "migrating", toId);
		const keys = async (): Promise<string[]> =>
			(await from.ask("cluster", "getkeysinslot", slot, 100_000)) as string[];
		const moveKey = async (key: string): Promise<void> => {
			await from.ask("migrate", "127.0.0.1", to.port, key, 0, 60_000);
		};
		const finish = async (): Promise<void> => {
			for (const key of await keys()) await moveKey(key);
			for (const server of [to, from]) await server.ask("cluster", "setslot", slot, "node", toId);
		};
		return { keys, moveKey, finish };
	}

	async stop(): Promise<void> {
		await Promise.all(this.servers.map((server) => server.stop()));
	}
}
