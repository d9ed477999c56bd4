/** All that the suite checks. */
import { atomic } from "./atomic.js";
import { bounded } from "./bounded.js";
import type { Check } from "./check.js";
import { concurrent } from "./concurrent.js";
import { conditions } from "./conditions.js";
import { ending } from "./ending.js";
import { expiring } from "./expiring.js";
import { fenced } from "./fenced.js";
import { frozen } from "./frozen.js";
import { inTime } from "./in-time.js";
import { isolated } from "./isolated.js";
import { lifetimes } from "./lifetimes.js";
import { listing } from "./listing.js";
import { losingLeases } from "./losing-leases.js";
import { modelled } from "./model.js";
import { once } from "./once.js";
import { ordered } from "./ordered.js";
import { refusing } from "./refusing.js";
import { resetting } from "./resetting.js";
import { rich } from "./rich.js";
import { sealed } from "./sealed.js";
import { subscribing } from "./subscribing.js";
import { watching } from "./watching.js";

/** Every check of every promise: {@link conformance} registers them; run by hand, they judge a store without vitest's reports. */
export const checks: readonly Check[] = [
	...atomic,
	...ordered,
	...concurrent,
	...sealed,
	...conditions,
	...isolated,
	...listing,
	...expiring,
	...lifetimes,
	...watching,
	...subscribing,
	...resetting,
	...fenced,
	...losingLeases,
	...frozen,
	...rich,
	...bounded,
	...refusing,
	...ending,
	...once,
	...inTime,
	...modelled,
];
