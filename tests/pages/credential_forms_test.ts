// Whose credential a connection uses and of which kind, by the forms alone.
import assert from "node:assert/strict";
import type { Mesh } from "../support/app.ts";
import { startFixture } from "../support/upstreams.ts";
import { type Answer, leads, onMesh, setUp, type Visitor } from "./support.ts";

const secret = "quiet-heron-7";

/** Runs `fn` with a visitor who owns the mesh, and a server that answers. */
function onForms(name: string, fn: (visitor: Visitor, url: string, mesh: Mesh) => Promise<void>): void {
  onMesh(name, async (mesh) => {
    const fixture = await startFixture();
    try {
      await fn(await setUp(mesh), fixture.url, mesh);
    } finally {
      await fixture.stop();
    }
  });
}

/** Makes a connection with these fields; gives the path of its page. */
async function make(visitor: Visitor, form: Record<string, string>): Promise<string> {
  const answer = await visitor.post("/connections", { title: "Linear", ...form });
  return leads(answer, /^\/connections\/conn_\w+/).replace(/\/credentials$/, "");
}

/** The kind and owner that the form of the credentials shows. */
function shown({ html }: Answer): (string | undefined)[] {
  const kind = /<option value="(\w+)" selected/.exec(html.slice(html.indexOf('name="kind"')))?.[1];
  const whose = /name="whose" value="(\w+)" checked/.exec(html)?.[1];
  return [kind, whose];
}

onForms("a URL alone makes a connection, and its credential can be of every kind", async (visitor, url) => {
  const path = await make(visitor, { url });
  const tab = `${path}/credentials`;
  assert.deepEqual(shown(await visitor.get(tab)), ["none", "shared"]);
  const cases: [Record<string, string>, (string | undefined)[]][] = [
    [{ kind: "token", whose: "shared", token: secret }, ["token", "shared"]],
    [{ kind: "token", whose: "shared", token: "" }, ["token", "shared"]],
    [{ kind: "token", whose: "per_user", token: "left over" }, ["token", "per_user"]],
    [{ kind: "headers", whose: "per_user", personal_headers: "X-Email, X-Key" }, ["headers", "per_user"]],
    [{ kind: "oauth", whose: "per_user", machine_client_id: "left over" }, ["oauth", "per_user"]],
    [{ kind: "oauth", whose: "shared", oauth_client_id: "mesh", oauth_client_secret: secret }, [
      "oauth",
      "shared",
    ]],
    [{ kind: "headers", whose: "shared", headers: `X-Api-Key: ${secret}` }, ["headers", "shared"]],
    [{ kind: "none", whose: "per_user", remove_header: "X-Api-Key" }, ["none", "shared"]],
  ];
  for (const [form, expected] of cases) {
    leads(await visitor.post(tab, form), tab);
    const page = await visitor.get(tab);
    assert.deepEqual(shown(page), expected, JSON.stringify(form));
    assert.ok(!page.html.includes(secret), "a secret is never shown");
    assert.doesNotMatch(page.html, /left over/, "what the kind has no use for is passed over");
  }
});

onForms("what is wrong stands at its field, and no secret comes back", async (visitor, url) => {
  const path = await make(visitor, { url });
  const cases: [string, Record<string, string>, RegExp][] = [
    ["credentials", { kind: "token", whose: "shared" }, /id="f-token-error">Paste the token</],
    [
      "credentials",
      { kind: "headers", whose: "per_user" },
      /id="f-personal_headers-error">Name at least one header</,
    ],
    [
      "credentials",
      { kind: "headers", whose: "per_user", personal_headers: "Host" },
      /personal_headers-error/,
    ],
    [
      "credentials",
      { kind: "client_credentials", machine_client_secret: secret },
      /id="f-machine_client_id-error">It is required</,
    ],
    [
      "credentials",
      { kind: "oauth", whose: "shared", oauth_client_secret: secret },
      /id="f-oauth_client_id-error">It is required where the client has a secret</,
    ],
    [
      "credentials",
      { kind: "oauth", whose: "shared", oauth_client_id: "mesh", oauth_private_key: secret },
      /id="f-oauth_private_key-error">It is not a private key/,
    ],
    ["settings", { title: "L", url, timeout_seconds: "0" }, /id="f-timeout_seconds-error"/],
    [
      "settings",
      { title: "L", url, ca_certificates: "none" },
      /id="f-ca_certificates-error">It takes cert/,
    ],
    [
      "settings",
      { title: "L", url, certificate: secret, certificate_key: secret },
      /id="f-certificate-error"/,
    ],
  ];
  for (const [tab, form, message] of cases) {
    const answer = await visitor.post(`${path}/${tab}`, form);
    assert.equal(answer.status, 422, JSON.stringify(form) + answer.text.slice(0, 300));
    assert.match(answer.html, message);
    assert.ok(!answer.html.includes(secret), JSON.stringify(form));
    const made = await visitor.post("/connections", { url, ...form });
    assert.equal(made.status, 422, JSON.stringify(form));
    assert.match(made.html, message);
    assert.ok(!made.html.includes(secret), JSON.stringify(form));
  }
});

onForms(
  "what a change has ended is said, and what another kind left over is passed over",
  async (visitor, url) => {
    const path = await make(visitor, { url, kind: "token", whose: "per_user" });
    const id = path.split("/").at(-1) ?? "";
    await visitor.post(`/my-connections/${id}/token`, { token: secret });
    const tab = `${path}/credentials`;
    leads(await visitor.post(tab, { kind: "headers", whose: "per_user", personal_headers: "X-Key" }), tab);
    const page = await visitor.get(tab);
    assert.match(page.text, /The changes are saved\. One credential was given for the connection as it was/);
    assert.match(page.text, /Nobody yet/);
    const auto = await make(visitor, { url, kind: "auto", token: secret, headers: "X-Left: over" });
    assert.deepEqual(shown(await visitor.get(`${auto}/credentials`)), ["none", "shared"]);
  },
);

onForms("time-out and identity token are kept, changed and cleared", async (visitor, url) => {
  const path = await make(visitor, { url, timeout_seconds: "20", identity_token: "1" });
  const settings = await visitor.get(`${path}/settings`);
  assert.match(settings.html, /name="timeout_seconds" type="number" value="20"/);
  assert.match(settings.html, /id="identity-token" name="identity_token" value="1" checked/);
  leads(await visitor.post(`${path}/settings`, { title: "L", url, status: "active" }), `${path}/settings`);
  const cleared = await visitor.get(`${path}/settings`);
  assert.match(cleared.html, /name="timeout_seconds" type="number" value=""/);
  assert.doesNotMatch(cleared.html, /name="identity_token" value="1" checked/);
});

onForms("those who look after a connection see who has connected, and end it", async (visitor, url, mesh) => {
  const path = await make(visitor, { url, kind: "token", whose: "per_user" });
  const id = path.split("/").at(-1) ?? "";
  assert.match((await visitor.get(`${path}/credentials`)).text, /Nobody yet/);
  leads(await visitor.post(`/my-connections/${id}/token`, { token: secret }), `/my-connections/${id}`);
  await mesh.services.db.updateTable("upstream_credentials")
    .set({ state: "attention", reason: "Linear did not accept the token (401). Paste a new one." }).execute();
  const page = await visitor.get(`${path}/credentials`);
  assert.match(page.text, /1 of 1 member .*1 person needs to reconnect/);
  assert.match(page.text, /Ann Larsen ann@example\.com Needs to reconnect Linear did not accept the token/);
  assert.ok(!page.html.includes(secret));
  const [end = ""] = new RegExp(`${path}/credentials/usr_\\w+/disconnect`).exec(page.html) ?? [];
  assert.match(
    (await visitor.get(end)).text,
    /Disconnect Ann Larsen from “Linear” .*Nobody else is affected/,
  );
  leads(await visitor.post(end), `${path}/credentials`);
  assert.match((await visitor.get(`${path}/credentials`)).text, /Ann Larsen is disconnected\. .*/);
  assert.equal((await visitor.post(end)).status, 404);
});
