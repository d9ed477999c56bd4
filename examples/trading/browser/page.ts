/** The dashboard's page as a visitor uses it. */
import type { BrowserContext, Page } from "playwright-core";
import { expect } from "vitest";

/** Waits until a page hears the server; a failure tells where it was stuck instead. */
export const live = (page: Page): Promise<void> =>
	expect
		.poll(async () => {
			const user = await page.locator("html").getAttribute("data-user");
			return user === null
				? `signed out: ${await page.locator(".error").innerText()}`
				: page.locator("#connection").innerText();
		})
		.toBe("Live");

/** Opens the dashboard and signs in. */
export async function enter(context: BrowserContext, name: string, url: string): Promise<Page> {
	const page = await context.newPage();
	await page.goto(url);
	await page.getByLabel("Your name").fill(name);
	await page.getByRole("button", { name: "Sign in" }).click();
	await live(page);
	return page;
}

/** The replay's day, as the page shows it. */
export const dayOf = (page: Page): Promise<string | null> => page.locator("#date").getAttribute("datetime");

export async function setPaused(page: Page, paused: boolean): Promise<void> {
	await page.getByRole("button", { name: paused ? "Pause the replay" : "Go on with the replay" }).click();
	await page.getByRole("button", { name: paused ? "Go on with the replay" : "Pause the replay" }).waitFor();
}
