/** How the page hears the server, said honestly. */
import type { RemoteStatus } from "@holdfast/backend-browser";
import { type ReactNode, useEffect, useState } from "react";
import { useConnection, usePending } from "./bindings.ts";
import { formatAge } from "./format.ts";

export function Connection({ status }: { readonly status: RemoteStatus }): ReactNode {
	const { online, stale } = useConnection();
	const { count } = usePending();
	const live = online && !stale;
	const word = live ? "Live" : online ? "Catching up" : "Reconnecting";
	return (
		<div className="link">
			<p id="connection" className={`connection ${live ? "live" : "lost"}`} role="status">
				<i aria-hidden="true" />
				<span>{word}</span>
			</p>
			{!live && <Age status={status} />}
			{count > 0 && <small className="pending">Saving {count === 1 ? "a change" : `${count} changes`}</small>}
		</div>
	);
}

/** How old what is shown may be; the status does not call back for it. */
function Age({ status }: { readonly status: RemoteStatus }): ReactNode {
	const [age, setAge] = useState(status.age);
	useEffect(() => {
		const timer = setInterval(() => setAge(status.age), 1000);
		return () => clearInterval(timer);
	}, [status]);
	return <small>{Number.isFinite(age) ? `as of ${formatAge(age)} ago` : "not reached yet"}</small>;
}
