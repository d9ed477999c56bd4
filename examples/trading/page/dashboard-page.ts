/** The dashboard's page: what the server pushes goes into the store, and once per frame from there into the panels. */
import { ActivityList } from "./activity-list.ts";
import { Cards } from "./cards.ts";
import { Connection, type ConnectionStatus } from "./connection.ts";
import { byId, makeChoice, makeToggle, setClass, setText } from "./element.ts";
import { EquityChart, holding } from "./equity-chart.ts";
import { formatCompact, formatDay, formatMoney, formatPercent, formatPrice, none, toneOf } from "./format.ts";
import { Header } from "./header.ts";
import { Histories } from "./history.ts";
import { PipelinePanel } from "./pipeline-panel.ts";
import { PriceChart, type Reading } from "./price-chart.ts";
import { Store } from "./store.ts";
import { StrategyPanel } from "./strategy-panel.ts";
import { WatchList } from "./watch-list.ts";

/** At 500 bars a second nobody reads more pictures a second than this allows, and a phone should stay cool. In ms. */
const shortestFrame = 40;

/** The symbol that the strategy trades, until the strategy has said it. */
const index = "SP500";

export function showDashboard(): void {
	const store = new Store();
	const connection = new Connection({
		status: (status) => show(status),
		snapshot(snapshot) {
			store.load(snapshot);
			histories.clear();
			redraw();
		},
		commit(commit) {
			store.apply(commit);
			histories.apply(commit);
			redraw();
		},
		signedOut: () => location.reload(),
	});
	const failed = (error: Error): void => console.error(error);
	const save = (settings: Parameters<Connection["saveSettings"]>[0]): void => {
		connection.saveSettings(settings).catch(failed);
	};
	const histories = new Histories((symbol) => connection.history(symbol), redraw);
	const header = new Header({
		setPace: (pace) => {
			connection.setPace(pace).catch(failed);
		},
		saveSettings: save,
		signOut: () => {
			connection.signOut().then(() => location.reload(), failed);
		},
	});
	const cards = new Cards();
	const watchList = new WatchList((symbol) => save({ symbol }));
	const strategyPanel = new StrategyPanel();
	const activityList = new ActivityList();
	const pipelinePanel = new PipelinePanel();
	const priceChart = new PriceChart(byId("price"), drawLegend);
	const equityChart = new EquityChart(byId("equity"));
	const showRange = makeChoice(
		byId("range"),
		[
			["6m", "6M"],
			["1y", "1Y"],
			["5y", "5Y"],
			["all", "All"],
		],
		(range) => save({ range }),
	);
	const showAverages = makeToggle(byId("layers"), "SMA", (averages) => save({ averages }));
	const showVolume = makeToggle(byId("layers"), "Volume", (volume) => save({ volume }));
	const showFilter = makeChoice(
		byId("activity-filter"),
		[
			["all", "All"],
			["trades", "Trades"],
		],
		(activity) => save({ activity }),
	);

	let asked = false;
	let drawn = Number.NEGATIVE_INFINITY;
	function redraw(): void {
		if (asked) return;
		asked = true;
		const paint = (): void => {
			asked = false;
			drawn = performance.now();
			draw();
		};
		setTimeout(() => requestAnimationFrame(paint), drawn + shortestFrame - performance.now());
	}

	function show(status: ConnectionStatus): void {
		header.drawConnection(status);
	}

	function draw(): void {
		const { account, strategy, replay, settings } = store;
		const { symbol = index, range = "1y", averages = true, volume = true, activity = "all" } = settings;
		const traded = strategy?.symbol ?? index;
		const own = histories.get(traded);
		const held = account && holding(own, account.startingCash);
		applyTheme();
		header.drawUser(store.user?.name ?? "", settings);
		header.drawReplay(replay, store.pace);
		cards.draw(account, store.position(traded), held);
		watchList.draw(store.quotes(), symbol, replay?.date ?? "");
		strategyPanel.draw(strategy, store.position(traded));
		activityList.draw(store.activity, activity);
		pipelinePanel.draw(store.pipeline);
		setText(byId("price-title"), store.quote(symbol)?.name ?? symbol);
		showRange(range);
		showAverages(averages);
		showVolume(volume);
		showFilter(activity);
		priceChart.draw(histories.get(symbol), strategy, { range, averages, volume });
		if (account === undefined) return;
		equityChart.draw(own, account.startingCash);
		const worth = formatPercent(account.equity / account.startingCash - 1, 1);
		const hold = held === undefined ? none : formatPercent(held / account.startingCash - 1, 1);
		legend("equity-legend", [
			["worth", "Strategy", worth],
			["hold", "Holding the index", hold],
		]);
		byId("equity").setAttribute(
			"aria-label",
			`The account is worth ${formatMoney(account.equity)}: ${worth}`,
		);
	}

	/** The user's choice, which may come from another window. */
	function applyTheme(): void {
		const { theme = "system", density = "comfortable" } = store.settings;
		const { dataset } = document.documentElement;
		if (dataset.theme === theme && dataset.density === density) return;
		dataset.theme = theme;
		dataset.density = density;
		restyle();
	}

	function restyle(): void {
		priceChart.restyle();
		equityChart.restyle();
		redraw();
	}

	function drawLegend(reading: Reading | undefined): void {
		if (reading === undefined) {
			legend("legend", []);
			return;
		}
		const { date, bar, before, fast, slow } = reading;
		const change = before === undefined ? 0 : bar.close / before.close - 1;
		const { open, high, low, close, volume } = bar;
		const { fastLength = 20, slowLength = 50 } = store.strategy ?? {};
		const range =
			open === undefined
				? []
				: ([
						["", "O", open],
						["", "H", high],
						["", "L", low],
					] as const);
		legend("legend", [
			["", "", formatDay(date)],
			...range.map(([name, label, value]) => [name, label, formatPrice(value ?? 0)] as const),
			["", open === undefined ? "Price" : "C", formatPrice(close)],
			[toneOf(change), "", formatPercent(change)],
			...(volume === undefined ? [] : ([["", "Vol", formatCompact(volume)]] as const)),
			...(fast === undefined ? [] : ([["fast", `SMA ${fastLength}`, formatPrice(fast)]] as const)),
			...(slow === undefined ? [] : ([["slow", `SMA ${slowLength}`, formatPrice(slow)]] as const)),
		]);
		byId("price").setAttribute("aria-label", `Price chart, ${formatPrice(close)} on ${formatDay(date)}`);
	}

	matchMedia("(prefers-color-scheme: dark)").addEventListener("change", restyle);
	connection.open();
}

/** Shows named figures in a row, reusing the nodes that are there. */
function legend(
	id: string,
	figures: readonly (readonly [className: string, label: string, value: string])[],
): void {
	const target = byId(id);
	while (target.children.length > figures.length) target.lastElementChild?.remove();
	for (const [i, [className, label, value]] of figures.entries()) {
		const node = target.children[i] ?? target.appendChild(document.createElement("span"));
		setClass(node, className);
		if (node.children.length === 0) node.append(document.createTextNode(""), document.createElement("b"));
		const [text, figure] = node.childNodes;
		if (text !== undefined && text.nodeValue !== `${label} `) text.nodeValue = `${label} `;
		if (figure !== undefined) setText(figure as Element, value);
	}
}
