// A backend's own test file: the conformance suite loads beside the package.
import assert from "node:assert/strict";
import { conformance } from "@holdfast/core/testing";

assert.equal(typeof conformance, "function");
