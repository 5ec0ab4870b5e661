// A browser without a screen: keeps cookies, sends forms as they stand in the last page.
import assert from "node:assert/strict";
import { createSession } from "../../server/login/session.ts";
import { type Mesh, type Person, startMesh } from "../support/app.ts";

/** An answer with its body read. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly html: string;
  /** The text of the page without markup, blanks as one. */
  readonly text: string;
}

export class Visitor {
  readonly cookies = new Map<string, string>();
  readonly #url: string;
  #csrf = "";

  constructor(url: string) {
    this.#url = url;
  }

  async get(path: string, headers: Record<string, string> = {}): Promise<Answer> {
    return await this.#send(path, { headers });
  }

  /** Sends a form; its token is that of the page that was shown last, unless it is given. */
  async post(
    path: string,
    form: Record<string, string | string[]> = {},
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const body = new URLSearchParams({ csrf: this.#csrf });
    for (const [name, value] of Object.entries(form)) {
      body.delete(name);
      for (const one of [value].flat()) body.append(name, one);
    }
    return await this.#send(path, { method: "POST", body, headers: { origin: this.#url, ...headers } });
  }

  async #send(path: string, init: RequestInit & { headers: Record<string, string> }): Promise<Answer> {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const headers = { accept: "text/html", ...(cookie && { cookie }), ...init.headers };
    const response = await fetch(this.#url + path, { ...init, headers, redirect: "manual" });
    for (const line of response.headers.getSetCookie()) this.#keep(line);
    const html = await response.text();
    this.#csrf = /name="csrf" value="([^"]+)"/.exec(html)?.[1] ?? this.#csrf;
    const text = html.replace(/<[^>]+>/g, " ").replace(/\s+/g, " ");
    return { status: response.status, headers: response.headers, html, text };
  }

  #keep(line: string): void {
    const [pair = ""] = line.split(";");
    const at = pair.indexOf("=");
    if (/max-age=0/i.test(line)) this.cookies.delete(pair.slice(0, at));
    else this.cookies.set(pair.slice(0, at), pair.slice(at + 1));
  }
}

/** A browser in which the person is signed in. */
export async function signedIn(mesh: Mesh, person: Person): Promise<Visitor> {
  const visitor = new Visitor(mesh.url);
  const session = { userId: person.userId, userAgent: null, previous: null };
  visitor.cookies.set("mesh_session", await createSession(mesh.services, session));
  await visitor.get("/settings");
  return visitor;
}

/** Registers a test with a mesh of its own that somebody owns. */
export function onMesh(
  name: string,
  fn: (mesh: Mesh, t: Deno.TestContext) => Promise<void>,
  env: Record<string, string> = {},
): void {
  Deno.test(name, async (t) => {
    const mesh = await startMesh(env);
    try {
      await fn(mesh, t);
    } finally {
      await mesh.stop();
    }
  });
}

/** What the setup page takes. */
export const owner = {
  name: "Ann Larsen",
  email: "ann@example.com",
  password: "a quiet heron at dusk",
  organization: "Northwind",
};

/** Sets the mesh up by its page; the browser is signed in as its owner. */
export async function setUp(mesh: Mesh): Promise<Visitor> {
  const visitor = new Visitor(mesh.url);
  await visitor.get("/setup");
  const answer = await visitor.post("/setup", owner);
  assert.equal(answer.headers.get("location"), "/", answer.text);
  await visitor.get("/settings");
  return visitor;
}

/** Asserts a redirect and gives where it leads. */
export function leads(answer: Answer, to: string | RegExp): string {
  const location = answer.headers.get("location") ?? "";
  assert.equal(answer.status, 303, answer.text.slice(0, 500));
  if (typeof to === "string") assert.equal(location, to);
  else assert.match(location, to);
  return location;
}
