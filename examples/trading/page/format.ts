/** How numbers and days read. */

const money = new Intl.NumberFormat("en-US", {
	style: "currency",
	currency: "USD",
	maximumFractionDigits: 0,
});
const cents = new Intl.NumberFormat("en-US", { style: "currency", currency: "USD" });
const price = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const count = new Intl.NumberFormat("en-US");
const compact = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 2 });
const weekday = new Intl.DateTimeFormat("en-US", { weekday: "short", timeZone: "UTC" });
const month = new Intl.DateTimeFormat("en-US", { month: "short", year: "numeric", timeZone: "UTC" });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** Nothing to show yet. */
export const none = "–";

/** A real minus sign is as wide as a plus. */
const minus = (text: string): string => text.replace("-", "−");

export const formatMoney = (value: number): string => minus(money.format(value));
export const formatCents = (value: number): string => minus(cents.format(value));
export const formatPrice = (value: number): string => minus(price.format(value));
export const formatCount = (value: number): string => minus(count.format(value));
export const formatCompact = (value: number): string => compact.format(value);
export const formatWeekday = (iso: string): string => weekday.format(new Date(`${iso}T00:00Z`));
export const formatMonth = (iso: string): string => month.format(new Date(`${iso}T00:00Z`));
export const formatDay = (iso: string): string => `${iso.slice(8)} ${formatMonth(iso)}`;
export const formatClock = (time: number): string => clock.format(time);

/** With its sign, so that colour is never all that tells a gain from a loss. */
export const signed = (value: number, format: (value: number) => string): string =>
	value > 0 ? `+${format(value)}` : format(value);

export const formatPercent = (ratio: number, digits = 2): string => {
	const text = (ratio * 100).toFixed(digits);
	return `${Number(text) > 0 ? "+" : ""}${Number(text) === 0 ? text.replace("-", "") : minus(text)} %`;
};

/** The class of a gain or a loss. */
export const toneOf = (value: number): string => (value > 0 ? "gain" : value < 0 ? "loss" : "");

/** A span of time from ms, roughly. */
export const formatAge = (ms: number): string => {
	const seconds = Math.round(ms / 1000);
	return seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
};
