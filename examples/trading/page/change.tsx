/** Changes that are on their way to the server, and what becomes of them. */
import { isHoldfastError } from "@holdfast/core";
import {
	createContext,
	type ReactNode,
	startTransition,
	use,
	useCallback,
	useEffect,
	useOptimistic,
	useState,
} from "react";

const FailedContext = createContext<(error: unknown) => void>(console.error);

/** How long a failure is read, in ms. */
const shownFor = 6000;

/** What a failure says of the change. Where the server was handed it and never answered, nobody knows. */
function sentenceOf(error: unknown): string {
	if (isHoldfastError(error, "unavailable")) return "The server is out of reach: this was not changed.";
	const isUnknown = isHoldfastError(error, "outcome-unknown") || isHoldfastError(error, "timeout");
	// A fetch that failed is a TypeError.
	if (isUnknown || error instanceof TypeError) return "The server did not answer: this may not be changed.";
	return `This was not changed: ${error instanceof Error ? error.message : error}`;
}

/** Tells of the changes under it that failed. */
export function Failures({ children }: { readonly children: ReactNode }): ReactNode {
	const [failure, setFailure] = useState<{ readonly sentence: string }>();
	const failed = useCallback((error: unknown) => setFailure({ sentence: sentenceOf(error) }), []);
	useEffect(() => {
		if (failure === undefined) return;
		const timer = setTimeout(() => setFailure(undefined), shownFor);
		return () => clearTimeout(timer);
	}, [failure]);
	return (
		<FailedContext value={failed}>
			{children}
			<p className="failure" role="alert">
				{failure?.sentence}
			</p>
		</FailedContext>
	);
}

/**
 * A value as its control shows it: what was chosen stands at once, and goes back if `store` fails. Everything else on the page shows what is
 * stored.
 */
export function useChange<Value extends string | boolean>(
	stored: Value,
	store: (value: Value) => Promise<unknown>,
): [shown: Value, change: (value: Value) => void] {
	const failed = use(FailedContext);
	const [shown, show] = useOptimistic(stored);
	const change = (value: Value): void =>
		startTransition(async () => {
			show(value);
			await store(value).catch(failed);
		});
	return [shown, change];
}
