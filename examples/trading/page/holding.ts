/** What the strategy is measured against. */
import type { Bar } from "../bar.ts";

/** What a buy at the first close would be worth. */
export function holding(bars: readonly { readonly value: Bar }[], cash: number): number | undefined {
	const [first, last] = [bars[0]?.value.close, bars.at(-1)?.value.close];
	return first === undefined || last === undefined ? undefined : (cash * last) / first;
}
