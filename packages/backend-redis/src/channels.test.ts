import type { Signal } from "@holdfast/core";
import { expect, test } from "vitest";
import { Channels } from "./channels.js";

test.each(["", "{", "null", "5", "[5]", '[[1,0,0,"","id",0,null,7]]'])(
	"%j, which somebody else published, is a hint, and no error in the client's reader",
	(message) => {
		const channels = new Channels();
		const signals: Signal[] = [];
		channels.add("c", (signal) => signals.push(signal));
		channels.hear("c", message);
		expect(signals).toEqual([{ type: "wake" }]);
	},
);
