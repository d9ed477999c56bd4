import { describe, expect, test } from "vitest";
import type { LogPage, LogRecord } from "./backend.js";
import { follows, resumes } from "./resume.js";

const record = (previous: number, revision: number, previousEvents = 0): LogRecord => ({
	revision,
	previous,
	id: "c",
	time: 0,
	origin: undefined,
	metadata: undefined,
	quiet: false,
	changes: [],
	events: [],
	previousEvents,
});
const page = (head: number, ...records: LogRecord[]): LogPage => ({ records, more: false, head, now: 0 });

describe("a cursor into the changes", () => {
	test("holds where the next record comes right after it", () => {
		expect(resumes(page(9, record(5, 9)), 5, "changes")).toBe(true);
		expect(resumes(page(9, record(0, 9)), 0, "changes")).toBe(true);
		expect(follows(record(5, 9), 5, "changes")).toBe(true);
	});

	test("is a reset where a record is missing, or the history is another", () => {
		expect(resumes(page(9, record(7, 9)), 5, "changes")).toBe(false);
		expect(resumes(page(9, record(0, 9)), 5, "changes")).toBe(false);
		expect(resumes(page(9, record(4, 9)), 5, "changes")).toBe(false);
	});

	test("holds at the head only, where no record follows", () => {
		expect(resumes(page(5), 5, "changes")).toBe(true);
		expect(resumes(page(0), 0, "changes")).toBe(true);
		expect(resumes(page(9), 5, "changes")).toBe(false);
		expect(resumes(page(0), 5, "changes")).toBe(false);
	});
});

describe("a cursor into the events", () => {
	test("holds where no record with events lies between", () => {
		expect(resumes(page(9, record(8, 9, 3)), 5, "events")).toBe(true);
		expect(resumes(page(9, record(8, 9, 5)), 5, "events")).toBe(true);
		expect(resumes(page(9, record(8, 9, 6)), 5, "events")).toBe(false);
	});

	test("holds at and after the last event, where no record follows", () => {
		expect(resumes(page(5), 5, "events")).toBe(true);
		expect(resumes(page(3), 5, "events")).toBe(true);
		expect(resumes(page(6), 5, "events")).toBe(false);
	});
});
