/** The dashboard: where its panels stand. */
import type { RemoteStatus } from "@holdfast/backend-browser";
import { Component, type ReactNode, Suspense } from "react";
import { ActivityPanel } from "./activity-panel.tsx";
import { useConnection } from "./bindings.ts";
import { Cards } from "./cards.tsx";
import { Failures } from "./change.tsx";
import { EquityPanel } from "./equity-panel.tsx";
import { Header } from "./header.tsx";
import { PipelinePanel } from "./pipeline-panel.tsx";
import { PricePanel } from "./price-panel.tsx";
import { StrategyPanel } from "./strategy-panel.tsx";
import { Unreached, Waiting } from "./waiting.tsx";
import { WatchList } from "./watch-list.tsx";

/** The dashboard; a word in its place until the server was heard. What was shown once stays through an outage. */
export const Dashboard = (props: {
	readonly status: RemoteStatus;
	readonly signedOut: () => void;
}): ReactNode => (
	<Boundary>
		<Suspense fallback={<Waiting />}>
			<Failures>
				<div id="dashboard">
					<Header {...props} />
					<Panels>
						<Cards />
						<div className="column">
							<WatchList />
							<PipelinePanel />
						</div>
						<div className="column">
							<PricePanel />
							<EquityPanel />
						</div>
						<div className="column">
							<StrategyPanel />
							<ActivityPanel />
						</div>
					</Panels>
					<footer>
						Simulated orders on historical prices: no investment advice. Data:{" "}
						<a href="https://github.com/vega/vega-datasets">vega-datasets</a>. Charts:{" "}
						<a href="https://www.tradingview.com/lightweight-charts/">TradingView Lightweight Charts™</a>.
					</footer>
				</div>
			</Failures>
		</Suspense>
	</Boundary>
);

/** The panels, which look like what they are while the server can't be heard: old. */
function Panels({ children }: { readonly children: ReactNode }): ReactNode {
	const { online, stale } = useConnection();
	return <main className={online && !stale ? "live" : "old"}>{children}</main>;
}

/** Shown where the state could not be had at all. */
class Boundary extends Component<{ readonly children: ReactNode }, { readonly failed: boolean }> {
	override state = { failed: false };

	static getDerivedStateFromError(): { readonly failed: boolean } {
		return { failed: true };
	}

	override render(): ReactNode {
		return this.state.failed ? <Unreached /> : this.props.children;
	}
}
