/**
 * What the tests of an application need: time that they own, and a store that fails when they say so. Unlike the suite for backends it needs no
 * other package, and no test runner in particular.
 *
 * @packageDocumentation
 */
export { type Call, type Chaos, type ChaosOptions, chaos, type Faults } from "./chaos.js";
export { type Random, seeded } from "./random.js";
export { TestClock, type TestClockOptions } from "./test-clock.js";
