/** What the property tests draw is the same each time, so that only a change of the code decides how they end. */
import fc from "fast-check";

// Another seed draws others: `HOLDFAST_SEED=$RANDOM npx vitest`.
fc.configureGlobal({ seed: Number(process.env.HOLDFAST_SEED ?? 1) });
