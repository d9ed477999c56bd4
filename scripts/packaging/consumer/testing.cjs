// The same from CommonJS, where Node's `require` takes the ES module.
const assert = require("node:assert/strict");
const { conformance } = require("@holdfast/core/testing");

assert.equal(typeof conformance, "function");
