/** Asks who is there. */
import { type ReactNode, useActionState } from "react";
import type { Visitor } from "../sessions.ts";
import { signIn } from "./commands.ts";
import icon from "./icon.svg";

export function SignIn({ signedIn }: { readonly signedIn: (visitor: Visitor) => void }): ReactNode {
	const [{ name, refusal }, submit, isBusy] = useActionState(
		async (_: unknown, form: FormData) => {
			const name = String(form.get("name"));
			try {
				signedIn(await signIn(name));
				return { name, refusal: "" };
			} catch (error) {
				return { name, refusal: (error as Error).message };
			}
		},
		{ name: "", refusal: "" },
	);
	return (
		<section className="sign-in" aria-labelledby="sign-in-title">
			<form className="panel" action={submit}>
				<img src={icon} alt="" width="44" height="44" />
				<h1 id="sign-in-title">Holdfast Trading</h1>
				<p>
					A moving-average strategy trades the S&amp;P 500 in a replay of 2000–2020. Open it in two windows.
				</p>
				<label htmlFor="name">Your name</label>
				<input
					id="name"
					name="name"
					defaultValue={name}
					autoComplete="username"
					maxLength={40}
					required
					// biome-ignore lint/a11y/noAutofocus: the form is all that the page has
					autoFocus
				/>
				<p className="error" role="alert">
					{refusal}
				</p>
				<button className="primary" type="submit" disabled={isBusy}>
					Sign in
				</button>
				<p className="note">
					A demonstration: no password, simulated money, and no data of yours leaves this server.
				</p>
			</form>
		</section>
	);
}
