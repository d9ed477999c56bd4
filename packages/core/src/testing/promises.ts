/** The fourteen promises by number, in a word or two each; docs/promises.md says all of them in full. */
export const promises: Readonly<Record<number, string>> = {
	1: "atomic",
	2: "ordered",
	3: "compare-and-set",
	4: "isolated",
	5: "expiring",
	6: "watched without loss",
	7: "fenced locks",
	8: "immutable values",
	9: "rich values",
	10: "bounded",
	11: "typed refusals",
	12: "clean end",
	13: "once",
	14: "answered in time",
};
