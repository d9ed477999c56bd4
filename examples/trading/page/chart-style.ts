/** How both charts look. */
import { ColorType, CrosshairMode, type DeepPartial, type TimeChartOptions } from "lightweight-charts";
import type { Colors } from "./colors.ts";

export const chartOptions = (colors: Colors): DeepPartial<TimeChartOptions> => ({
	layout: {
		background: { type: ColorType.Solid, color: "transparent" },
		textColor: colors.quiet,
		fontFamily: getComputedStyle(document.documentElement).fontFamily,
		fontSize: 11,
		// The attribution is in the page's footer.
		attributionLogo: false,
	},
	grid: { vertLines: { color: colors.grid }, horzLines: { color: colors.grid } },
	rightPriceScale: { borderVisible: false, scaleMargins: { top: 0.1, bottom: 0.18 } },
	timeScale: { borderVisible: false, minBarSpacing: 0.05, rightOffset: 6 },
	crosshair: {
		mode: CrosshairMode.Magnet,
		vertLine: { color: colors.quiet, labelBackgroundColor: colors.accent },
		horzLine: { color: colors.quiet, labelBackgroundColor: colors.accent },
	},
	// The page scrolls; the chart is dragged sideways and pinched.
	handleScroll: { mouseWheel: false, vertTouchDrag: false },
	handleScale: { mouseWheel: true, axisPressedMouseMove: true },
	localization: { locale: "en-US", dateFormat: "dd MMM yyyy" },
});
