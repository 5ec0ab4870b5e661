// A real, headless Chromium for tests of the pages.
import { type BrowserContextOptions, chromium, type ConsoleMessage, type Page } from "playwright-core";
import { exists, findOnPath, leashed } from "./processes.ts";

const pollMilliseconds = 25;
/** What takes longer on a busy machine hangs. */
const startMilliseconds = 60_000;

const flags = [
  "--headless",
  "--hide-scrollbars",
  "--mute-audio",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--disable-dev-shm-usage",
  "--no-first-run",
  "--no-default-browser-check",
  "--disable-background-networking",
  "--disable-background-timer-throttling",
  "--disable-backgrounding-occluded-windows",
  "--disable-renderer-backgrounding",
  "--disable-back-forward-cache",
  "--disable-breakpad",
  "--disable-component-update",
  "--disable-default-apps",
  "--disable-extensions",
  "--disable-features=HttpsUpgrades,HttpsFirstBalancedModeAutoEnable,PaintHolding,OptimizationHints,MediaRouter",
  "--disable-field-trial-config",
  "--disable-hang-monitor",
  "--disable-ipc-flooding-protection",
  "--disable-popup-blocking",
  "--disable-prompt-on-repost",
  "--disable-sync",
  "--force-color-profile=srgb",
  "--password-store=basic",
  "--use-mock-keychain",
  // The first free port; the browser writes it into its folder.
  "--remote-debugging-port=0",
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
 * Runs `fn` with a page that shares nothing with others, in a file that has registered a test with one. Afterwards the
 * test fails when a script of the page threw or the console showed an error, a violation of the content security policy
 * for example.
 */
export async function withPage(fn: (page: Page) => Promise<void>, options: PageOptions = {}): Promise<void> {
  const { expectedErrors, ...context } = options;
  const browser = await chromium.connectOverCDP(await browserAddress(), { timeout: startMilliseconds });
  try {
    const page = await (await browser.newContext(context)).newPage();
    page.setDefaultTimeout(startMilliseconds);
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
  if (reason === null) startBrowser();
  Deno.test({ name, ignore, fn: () => withPage(fn, options) });
}

/** The folder of the browser of this test file. */
let profile: string | null = null;

/** Starts the browser of this test file, before its tests, each of which has a context of its own there. */
function startBrowser(): void {
  const executable = findBrowser();
  if (profile !== null || !executable) return;
  const folder = profile = Deno.makeTempDirSync({ prefix: "mesh-browser-" });
  const [program, ...args] = leashed([executable, ...flags, `--user-data-dir=${folder}`, "about:blank"]);
  const child = new Deno.Command(program, { args, stdin: "null", stdout: "null", stderr: "null" }).spawn();
  Deno.test.afterAll(async () => {
    child.kill("SIGTERM");
    await child.status;
    await removeLeft(folder);
  });
}

/** Removes the folder of a browser that has ended, into which its helpers may write for a moment longer. */
async function removeLeft(folder: string): Promise<void> {
  const deadline = Date.now() + startMilliseconds;
  while (exists(folder)) {
    try {
      await Deno.remove(folder, { recursive: true });
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, pollMilliseconds));
    }
  }
}

/** Where the browser takes commands, once it does. */
async function browserAddress(): Promise<string> {
  if (profile === null) throw new Error(`Cannot open a page: ${whyNoBrowser() ?? "no browser was started"}`);
  const deadline = Date.now() + startMilliseconds;
  for (;;) {
    const path = `${profile}/DevToolsActivePort`;
    const [port, place] = exists(path) ? (await Deno.readTextFile(path)).split("\n") : [];
    if (port && place) return `ws://127.0.0.1:${port}${place}`;
    if (Date.now() > deadline) throw new Error("Cannot open a page: Chromium does not start");
    await new Promise((resolve) => setTimeout(resolve, pollMilliseconds));
  }
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
