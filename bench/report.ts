/** What a suite found: a table for the terminal, rows for `results/`. */
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { join } from "node:path";

/** Ours beside one peer's. */
export interface Row {
	readonly case: string;
	/** Operations a second (more is better), or what less of is better: bytes, milliseconds, connections, percent of a core. */
	readonly unit: "ops/s" | "bytes/key" | "bytes" | "ms" | "connections" | "cpu %";
	readonly ops: number;
	readonly peer: string;
	readonly peerOps: number;
	/** Ours over the peer's: at 2 we do twice as many a second, or take twice the bytes. */
	readonly ratio: number;
	/** What the ratio must reach, where that was promised; must not pass, where less is better. */
	readonly bar?: number;
	/** The peer answers at once, without a promise: it does less. */
	readonly sync?: true;
}

/** Where it was measured. */
const machine = () => ({
	cpu: cpus()[0]?.model.trim() ?? "unknown",
	cores: cpus().length,
	memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
	node: process.version,
	platform: `${process.platform} ${process.arch}`,
	date: new Date().toISOString(),
});

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const fraction = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });

const columns = [36, 14, 28, 14, 8, 6] as const;

function line(...cells: readonly [string, string, string, string, string, string]): string {
	// Names to the left, numbers to the right.
	return cells
		.map((cell, i) => (i % 2 === 0 && i < 4 ? cell.padEnd(columns[i] ?? 0) : cell.padStart(columns[i] ?? 0)))
		.join(" ");
}

/** The head of the table. */
export const head: string = line("case", "Holdfast", "beside", "its figure", "ratio", "bar");

const suffixes: Record<Row["unit"], string> = {
	"ops/s": "",
	"bytes/key": " B",
	bytes: " B",
	ms: " ms",
	connections: "",
	"cpu %": " %",
};

/** Our figure and the peer's, with their unit. */
export function figures({ unit, ops, peerOps }: Row): [string, string] {
	const figure = unit === "ms" || unit === "cpu %" ? fraction : whole;
	const written = (value: number): string => `${figure.format(value)}${suffixes[unit]}`;
	return [written(ops), written(peerOps)];
}

/** A row of the table; `✗` where it stays under its bar. */
export function print(row: Row): string {
	const { case: name, unit, peer, ratio, bar, sync } = row;
	const missed = bar !== undefined && (unit === "ops/s" ? ratio < bar : ratio > bar) ? " ✗" : "";
	const [ours, theirs] = figures(row);
	return `${line(
		name,
		ours,
		sync ? `${peer} (sync)` : peer,
		theirs,
		ratio < 0.1 ? ratio.toPrecision(1) : ratio.toFixed(2),
		bar?.toFixed(1) ?? "",
	)}${missed}`;
}

/** Writes the rows to `results/<suite>.json`. */
export function save(suite: string, rows: readonly Row[]): void {
	const folder = join(import.meta.dirname, "results");
	mkdirSync(folder, { recursive: true });
	const found = { suite, machine: machine(), rows };
	writeFileSync(join(folder, `${suite}.json`), `${JSON.stringify(found, null, "\t")}\n`);
}
