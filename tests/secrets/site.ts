// A mesh of its own process with two people in it, and everything that it says to them.
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { hashPassword } from "../../server/login/password.ts";
import { newId } from "../../server/ids.ts";
import * as users from "../../server/storage/users.ts";
import { type Answer, Visitor } from "../pages/support.ts";
import { legacy, legacyVersion, modern, post, type Sent } from "../mcp/support.ts";
import { besides, mesh, serve, type Serving } from "../support/executable.ts";
import { Markers, type Said } from "./markers.ts";

/** Somebody with a browser and an API key. */
export interface Person {
  readonly name: string;
  readonly browser: Browser;
  readonly key: string;
}

/** What an answer may repeat. */
export interface Allowing {
  readonly allowed?: readonly string[];
}

/** A browser whose every answer is kept. */
export class Browser extends Visitor {
  readonly #keep: Keep;
  #allowing: Allowing = {};

  constructor(url: string, keep: Keep) {
    super(url);
    this.#keep = keep;
  }

  /** The same browser, of whose next answer something is expected. */
  allowing(...allowed: string[]): this {
    this.#allowing = { allowed };
    return this;
  }

  override async get(path: string, headers: Record<string, string> = {}): Promise<Answer> {
    return this.#kept(`GET ${path}`, await super.get(path, headers));
  }

  override async post(
    path: string,
    form: Record<string, string | string[]> = {},
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    return this.#kept(`POST ${path}`, await super.post(path, form, headers));
  }

  #kept(where: string, answer: Answer): Answer {
    this.#keep(where, answer, this.#allowing);
    this.#allowing = {};
    return answer;
  }
}

type Keep = (where: string, answer: Answer, allowing: Allowing) => void;

const greeting = {
  protocolVersion: legacyVersion,
  capabilities: {},
  clientInfo: { name: "test", version: "1.0.0" },
};

export class Site {
  readonly markers: Markers;
  readonly said: Said[] = [];
  readonly #env: Record<string, string> & { DATA_DIR: string };
  readonly #serving: Serving;

  private constructor(markers: Markers, env: Site["settings"], serving: Serving) {
    this.markers = markers;
    this.#env = env;
    this.#serving = serving;
  }

  /** Starts a mesh that says as much as it can, and checks its connections all the time. */
  static async start(dir: string): Promise<Site> {
    const markers = new Markers();
    const key = Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("base64");
    const env = {
      DATA_DIR: dir,
      LOG_LEVEL: "debug",
      HEALTH_CHECK_SECONDS: "1",
      UPSTREAM_TIMEOUT_SECONDS: "5",
      ENCRYPTION_KEY: markers.add("master key", key),
    };
    return new Site(markers, env, await serve(env));
  }

  get settings(): Record<string, string> & { DATA_DIR: string } {
    return this.#env;
  }

  /** Runs a command of the command line beside the server, and keeps what it prints. */
  async command(...args: string[]): Promise<void> {
    const child = mesh(args, this.#env);
    const { code } = await child.ended;
    assert.equal(code, 0, child.output);
    this.said.push({ where: `mesh ${args.join(" ")}`, text: child.output });
  }

  /** As the browser has to call it, so that it comes back under the same name. */
  get url(): string {
    return this.#serving.url.replace("127.0.0.1", "localhost");
  }

  /** What the process has written so far. */
  get log(): string {
    return this.#serving.child.output;
  }

  browser(name: string): Browser {
    return new Browser(this.url, (where, answer, { allowed = [] }) => {
      const { status, headers, html } = answer;
      this.#say(`${where} as ${name}`, { status, headers, body: html, allowed });
    });
  }

  /** Who has set the mesh up. */
  async owner(): Promise<Person> {
    const password = this.markers.make("password");
    const browser = this.browser("owner");
    await browser.get("/setup");
    const names = { name: "Ann", organization: "Northwind" };
    const answer = await browser.post("/setup", { ...names, email: "ann@example.com", password });
    assert.equal(answer.headers.get("location"), "/", answer.text);
    return await this.#withKey("owner", browser);
  }

  /** A member who signs in with a password, after a wrong one. */
  async member(owner: Person): Promise<Person> {
    const password = this.markers.make("password of a member");
    const email = "ben@example.com";
    const passwordHash = await hashPassword(password);
    await besides(`file:${this.#env.DATA_DIR}/mesh.db`, async (db) => {
      const now = Date.now();
      const user = { id: newId("usr"), name: "Ben", email, image: null, createdAt: now, updatedAt: now };
      await users.insert(db, { ...user, passwordHash });
    });
    await owner.browser.get("/members");
    const added = await owner.browser.post("/members", { email, role: "user" });
    assert.equal(added.status, 303, added.text);
    const browser = this.browser("member");
    await browser.get("/login");
    const wrong = await browser.post("/login", { email, password: this.markers.make("wrong password") });
    assert.equal(wrong.status, 422, wrong.text);
    const right = await browser.post("/login", { email, password });
    assert.equal(right.status, 303, right.text);
    return await this.#withKey("member", browser);
  }

  async #withKey(name: string, browser: Browser): Promise<Person> {
    const [cookie = ""] = browser.cookies.values();
    this.markers.add(`session of the ${name}`, cookie);
    const made = await this.#ask("API_KEY_CREATE", {
      init: {
        headers: { cookie: [...browser.cookies].map((pair) => pair.join("=")).join("; "), origin: this.url },
      },
      input: { name, permissions: { "*": ["*"] } },
      // The one answer that shows it.
      record: () => {},
    });
    return { name, browser, key: this.markers.add(`API key of the ${name}`, made.body.key) };
  }

  /** Runs an action through the JSON API; its answer whatever it is. */
  async run(person: Person, action: string, input: unknown = {}, allowed: string[] = []): Promise<Asked> {
    const where = `${action} as ${person.name}`;
    return await this.#ask(action, {
      init: { headers: { authorization: `Bearer ${person.key}` } },
      input,
      record: (response, body) => this.#say(where, { ...facts(response), body, allowed }),
    });
  }

  /** Calls a tool of a connection in both eras. */
  async call(person: Person, connection: string, name: string, allowed: string[] = []): Promise<Asked[]> {
    const params = { name, arguments: { note: "a quiet heron" } };
    const answers: Asked[] = [];
    const where = `${name} of ${connection} as ${person.name}`;
    const send = async (sent: Sent) => {
      const response = await post({ url: `${this.url}/mcp/${connection}`, key: person.key }, sent);
      const text = await response.text();
      this.#say(`${sent.body} to ${where}`, { ...facts(response), body: text, allowed });
      answers.push({ status: response.status, body: text });
      return response.headers.get("mcp-session-id");
    };
    const session = await send(legacy("initialize", greeting));
    await send(legacy("tools/call", params, { session }));
    await send(modern("tools/call", params));
    return answers.slice(1);
  }

  /** Sends a message to the management server. */
  async manage(person: Person, method: string, params: Record<string, unknown>): Promise<void> {
    for (const sent of [legacy(method, params), modern(method, params)]) {
      const response = await post({ url: `${this.url}/mcp`, key: person.key }, sent);
      this.#say(`${method} of /mcp as ${person.name}`, { ...facts(response), body: await response.text() });
    }
  }

  async #ask(
    action: string,
    { init, input, record }: {
      init: RequestInit;
      input: unknown;
      record: (from: Response, body: string) => void;
    },
  ): Promise<Asked> {
    const response = await fetch(`${this.url}/api/tools/${action}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...init.headers as Record<string, string> },
      body: JSON.stringify(input),
    });
    const text = await response.text();
    record(response, text);
    return { status: response.status, body: JSON.parse(text) };
  }

  #say(
    where: string,
    { status, headers, body, allowed = [] }: Allowing & { status: number; headers: Headers; body: string },
  ): void {
    // The session is set in the one header that is there for it.
    const lines = [...headers].filter(([name]) => name !== "set-cookie").map((pair) => pair.join(": "));
    this.said.push({ where: `${where}, ${status}`, text: [...lines, "", body].join("\n"), allowed });
  }

  /** Ends the process as a service manager does. */
  async stop(): Promise<void> {
    assert.deepEqual(await this.#serving.child.kill("SIGTERM"), { code: 0, signal: null });
  }

  /** Ends it in any case. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#serving.child.kill("SIGKILL");
  }
}

/** An answer; `body` as JSON where it is from the JSON API. */
export interface Asked {
  readonly status: number;
  // deno-lint-ignore no-explicit-any -- what is answered has no type before it is looked at
  readonly body: any;
}

function facts({ status, headers }: Response): { status: number; headers: Headers } {
  return { status, headers };
}
