// A real, headless Chromium for tests of the pages.
import { type BrowserContextOptions, chromium, type ConsoleMessage, type Page } from "playwright-core";
import { exists, findOnPath } from "./processes.ts";

const flags = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export interface PageOptions extends BrowserContextOptions {
  /** Errors that the page may have, by a pattern of their text; any other fails the test. */
  readonly expectedErrors?: RegExp;
}

/** Tells why no browser test can run here, or null when it can. */
export function whyNoBrowser(): string | null {
  return findBrowser() ? null : "Chromium is not installed";
}

/**
 * Runs `fn` with a page in a fresh browser of its own. Afterwards the test fails when a script of the page threw
 * or the console showed an error, a violation of the content security policy for example.
 */
export async function withPage(fn: (page: Page) => Promise<void>, options: PageOptions = {}): Promise<void> {
  const { expectedErrors, ...context } = options;
  const executablePath = findBrowser();
  if (!executablePath) throw new Error(`Cannot open a page: ${whyNoBrowser()}`);
  const browser = await chromium.launch({ executablePath, args: flags });
  try {
    const page = await (await browser.newContext(context)).newPage();
    page.setDefaultTimeout(15_000);
    const errors: string[] = [];
    page.on("pageerror", (error) => void errors.push(error.message));
    page.on("console", (message) => {
      if (message.type() === "error" && !isMereStatus(message)) errors.push(message.text());
    });
    await fn(page);
    const unexpected = errors.filter((error) => !expectedErrors?.test(error));
    if (unexpected.length > 0) throw new Error(`The page had errors:\n${unexpected.join("\n")}`);
  } finally {
    await browser.close();
  }
}

/** Registers a test with a page; without a browser it is skipped loudly, or fails where CI is set. */
export function onPage(name: string, fn: (page: Page) => Promise<void>, options: PageOptions = {}): void {
  const reason = whyNoBrowser();
  const ignore = reason !== null && !Deno.env.get("CI");
  if (ignore) addEventListener("unload", () => console.error(`\n!!! SKIPPED "${name}": ${reason}`));
  Deno.test({ name, ignore, fn: () => withPage(fn, options) });
}

/** Writes a picture of the whole page to a temporary folder and gives its path. */
export async function screenshot(page: Page, name: string): Promise<string> {
  const folder = `${Deno.env.get("TMPDIR") ?? "/tmp"}/mesh-screenshots`;
  await Deno.mkdir(folder, { recursive: true });
  const path = `${folder}/${name.replaceAll(/[^\w.-]+/g, "-")}.png`;
  await page.screenshot({ path, fullPage: true });
  return path;
}

/** The browser also reports every answer of 400 and above; those are the tests' own business. */
function isMereStatus(message: ConsoleMessage): boolean {
  return /^Failed to load resource: the server responded with a status of 4\d\d/.test(message.text());
}

function findBrowser(): string | undefined {
  const given = Deno.env.get("CHROMIUM_PATH");
  if (given) return given;
  const applications = ["/Applications/Chromium.app/Contents/MacOS/Chromium"];
  return findOnPath(["chromium", "chromium-browser", "google-chrome"]) ?? applications.find(exists);
}
