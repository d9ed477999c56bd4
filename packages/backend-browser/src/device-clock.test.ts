import type { Clock } from "@holdfast/core";
import { expect, test } from "vitest";
import { DeviceClock } from "./device-clock.js";

/** A device whose two clocks are set by hand. */
class Device implements Clock {
	wall = 1_000_000_000;
	ticks = 0;

	now(): number {
		return this.wall;
	}

	monotonic(): number {
		return this.ticks;
	}

	after(): () => void {
		return () => {};
	}

	/** Time goes by. */
	pass(ms: number): void {
		this.wall += ms;
		this.ticks += ms;
	}
}

const begin = () => {
	const device = new Device();
	const clock = new DeviceClock(device);
	return { device, clock, start: clock.now() };
};

test("it goes with the device's clock", () => {
	const { device, clock, start } = begin();
	device.pass(5000);
	expect(clock.now()).toBe(start + 5000);
	expect(clock.offset).toBe(0);
});

test("when the device's clock is set back it neither runs backwards nor stands still", () => {
	const { device, clock, start } = begin();
	device.pass(5000);
	device.wall -= 3_600_000;
	expect(clock.now()).toBe(start + 5000);
	device.pass(1000);
	expect(clock.now()).toBe(start + 6000);
	expect(clock.offset).toBe(3_600_000);
});

test("set back while nobody looked, it still counts the time that went by", () => {
	const { device, clock, start } = begin();
	device.pass(7_200_000);
	device.wall -= 3_600_000;
	expect(clock.now()).toBe(start + 7_200_000);
});

test("a device that slept wakes up at its own time", () => {
	const { device, clock, start } = begin();
	device.wall += 3_600_000;
	expect(clock.now()).toBe(start + 3_600_000);
});

test("set right again, it is the device's clock once more", () => {
	const { device, clock, start } = begin();
	device.wall -= 3_600_000;
	clock.now();
	device.wall += 3_600_000;
	expect(clock.now()).toBeGreaterThanOrEqual(start);
	expect(clock.offset).toBe(0);
	device.pass(1000);
	expect(clock.now()).toBe(device.wall);
});

test("a page that opens after the clock was set back goes on from what was written", () => {
	const { device, clock } = begin();
	const written = { time: device.wall + 3_600_000, offset: 3_600_000 };
	clock.witness(written);
	expect(clock.now()).toBe(written.time);
	device.pass(1000);
	expect(clock.now()).toBe(written.time + 1000);
});

test("the time that went by since it was written counts, too", () => {
	const { device, clock } = begin();
	const written = { time: device.wall + 3_600_000, offset: 3_600_000 };
	device.pass(60_000);
	clock.witness(written);
	expect(clock.now()).toBe(written.time + 60_000);
	expect(clock.offset).toBe(3_600_000);
	device.pass(1000);
	expect(clock.now()).toBe(written.time + 61_000);
});

test("what was written before the device's own time says nothing", () => {
	const { device, clock } = begin();
	clock.witness({ time: device.wall - 1, offset: 3_600_000 });
	expect(clock.now()).toBe(device.wall);
});

test("a device that slews its clock a little is believed, and a small step back does not stop the time", () => {
	const { device, clock, start } = begin();
	device.pass(5000);
	device.wall -= 500;
	expect(clock.now()).toBe(start + 4500);
	expect(clock.offset).toBe(0);
	device.wall -= 500;
	expect(clock.now()).toBe(start + 4500);
	device.pass(100);
	expect(clock.now()).toBe(start + 4600);
});

test("what was written earlier does not turn it back where the device's clock was", () => {
	const { device, clock, start } = begin();
	device.wall -= 3_600_000;
	clock.now();
	clock.witness({ time: start - 5000, offset: 0 });
	expect(clock.now()).toBe(start);
});
