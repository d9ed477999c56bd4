/** The page: the sign-in, or the dashboard of who is signed in. */
import { signIn } from "./connection.ts";
import { showDashboard } from "./dashboard-page.ts";
import { byId } from "./element.ts";

if (document.documentElement.dataset.user === undefined) {
	const form = byId("sign-in").querySelector("form") as HTMLFormElement;
	byId("name").focus();
	form.addEventListener("submit", (event) => {
		event.preventDefault();
		signIn(String(new FormData(form).get("name"))).then(
			() => location.reload(),
			(error: Error) => {
				(form.querySelector(".error") as Element).textContent = error.message;
			},
		);
	});
} else {
	showDashboard();
}
