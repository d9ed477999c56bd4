/** What stands in the dashboard's place while there is nothing to show yet. */
import type { ReactNode } from "react";
import icon from "./icon.svg";

/** Until the server was heard. */
export const Waiting = (): ReactNode => (
	<p className="waiting" role="status">
		<img src={icon} alt="" width="44" height="44" />
		Connecting
	</p>
);

/** The server can't be reached. */
export const Unreached = (): ReactNode => (
	<div className="waiting" role="alert">
		<p>The dashboard could not be loaded.</p>
		<button className="primary" type="button" onClick={() => location.reload()}>
			Try again
		</button>
	</div>
);
