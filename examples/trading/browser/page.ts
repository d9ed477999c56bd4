/** The dashboard's page as a visitor uses it. */
import type { BrowserContext, Page } from "playwright-core";
import { expect } from "vitest";
import { patience } from "../../../scripts/chromium.ts";

/** Waits until a page hears the server; a failure tells what it said instead. */
export const live = (page: Page): Promise<void> =>
	expect
		.poll(async () => (await page.locator("#connection, .waiting, .error").allInnerTexts()).join())
		.toBe("Live");

/** Opens the dashboard and signs in. */
export async function enter(context: BrowserContext, name: string, url: string): Promise<Page> {
	context.setDefaultTimeout(patience);
	const page = await context.newPage();
	await page.goto(url);
	await signIn(page, name);
	return page;
}

/** Fills in the form. */
export async function signIn(page: Page, name: string): Promise<void> {
	await page.getByLabel("Your name").fill(name);
	await page.getByRole("button", { name: "Sign in" }).click();
	await live(page);
}

/** Whom the page calls by name. */
export const visitorOf = (page: Page): Promise<string> => page.locator("#account-menu .name").innerText();

/** Opens the menu of the user's own settings. */
export const openMenu = (page: Page): Promise<void> => page.locator("#account-menu summary").click();

/** The replay's day, as the page shows it. */
export const dayOf = (page: Page): Promise<string | null> => page.locator("#date").getAttribute("datetime");

export async function setPaused(page: Page, paused: boolean): Promise<void> {
	await page.getByRole("button", { name: paused ? "Pause the replay" : "Go on with the replay" }).click();
	await page.getByRole("button", { name: paused ? "Go on with the replay" : "Pause the replay" }).waitFor();
}
