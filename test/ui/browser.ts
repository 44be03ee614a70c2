// A real browser on the real page.

import { existsSync } from "node:fs";
import { type Browser, chromium, type Page } from "playwright-core";

const places = [
  process.env.BETTERTEST_CHROMIUM,
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome-stable",
  "/usr/bin/google-chrome",
];
const executablePath = places.find((path) => path !== undefined && existsSync(path));

/** For `test(name, { skip: noBrowser }, ...)`. */
export const noBrowser = executablePath
  ? false
  : "no Chromium found; install it, or name one by BETTERTEST_CHROMIUM";

export interface OpenPage extends AsyncDisposable {
  readonly browser: Browser;
  readonly page: Page;
  /** What went wrong inside the page: exceptions, violations of its security policy, failed assertions. */
  readonly errors: string[];
}

export async function openPage(
  url: string,
  options: { readonly colorScheme?: "light" | "dark" } = {},
): Promise<OpenPage> {
  const browser = await chromium.launch({
    executablePath: executablePath!,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--no-first-run",
    ],
  });
  const page = await browser.newPage({
    viewport: { width: 1280, height: 800 },
    colorScheme: options.colorScheme ?? "light",
  });
  page.setDefaultTimeout(60_000);
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => {
    // What the browser itself reports of a boss that is away is no error of the page.
    if (message.type() === "error" && !message.text().includes("net::ERR")) {
      errors.push(message.text());
    }
  });
  await page.goto(url);
  return { browser, page, errors, [Symbol.asyncDispose]: () => browser.close() };
}
