/** Imported before any schema: zod looks whether it may compile code, which the page's content security policy forbids and reports. */
import { config } from "zod";

config({ jitless: true });
