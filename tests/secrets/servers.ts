// Connections whose servers are sent a token and headers, and repeat them wherever they can.
import assert from "node:assert/strict";
import { Authority } from "../outbound/certificates.ts";
import { type Leak, leaks } from "./leaky.ts";
import type { Person, Site } from "./site.ts";

/** Answers that are the server's own words to its caller, which the mesh passes on as they are. */
const relayed: readonly Leak[] = ["result", "tool_error", "rpc_error", "status_400", "status_404", "events"]
  .concat("events_error") as Leak[];
/** Of those, what the tool tester and CONNECTION_CALL_TOOL give: results. */
const results: readonly Leak[] = ["result", "tool_error", "events"];

export interface People {
  readonly owner: Person;
  readonly member: Person;
}

/** Makes a connection, and gives its id. */
export async function connect(site: Site, owner: Person, data: Record<string, unknown>): Promise<string> {
  const { status, body } = await site.run(owner, "COLLECTION_CONNECTIONS_CREATE", { data });
  assert.equal(status, 200, JSON.stringify(body));
  return body.item.id;
}

/** Calls a tool in all ways that there are: as an MCP client, as an action, and, as the owner does, on the page. */
async function callEverywhere(
  site: Site,
  { person, id, leak, sent }: { person: Person; id: string; leak: Leak; sent: readonly string[] },
): Promise<void> {
  const passed = relayed.includes(leak) ? [...sent] : [];
  const resulting = results.includes(leak) ? [...sent] : [];
  await site.call(person, id, leak, passed);
  await site.run(person, "CONNECTION_CALL_TOOL", { id, toolName: leak }, resulting);
  if (person.name !== "owner") return;
  await person.browser.get(`/connections/${id}?tool=${leak}`);
  const form = { tool: leak, mode: "json", json: "{}", action: "run" };
  await person.browser.allowing(...resulting).post(`/connections/${id}/run`, form);
}

/** One token and headers for everybody. */
export async function shared(site: Site, { owner, member }: People, url: string): Promise<void> {
  const { markers } = site;
  const sent = ["connection token", "header value", "header template"];
  const [connection_token = "", header = "", template = ""] = sent.map((name) => markers.make(name));
  const headers = {
    "X-Upstream": header,
    "X-Who": `${template} {user.email}`,
    "X-Basic": btoa(`x:${header}`),
  };
  const secrets = { connection_token, connection_headers: { headers } };
  const id = await connect(site, owner, { title: "Calls", connection_url: `${url}/calls`, ...secrets });
  for (const person of [owner, member]) {
    for (const leak of leaks) await callEverywhere(site, { person, id, leak, sent });
  }
  for (const leak of leaks) {
    const data = { title: `All ${leak}`, connection_url: `${url}/${leak}`, ...secrets };
    const leaking = await connect(site, owner, data);
    await site.run(owner, "CONNECTION_TEST", { id: leaking });
    await owner.browser.get(`/connections/${leaking}`);
    await owner.browser.post(`/connections/${leaking}/test`);
    await site.call(member, leaking, "anything", relayed.includes(leak) ? sent : []);
  }
  await site.run(owner, "CONNECTION_TEST", { id });
  await change(site, owner, { id, url });
  await bring(site, owner, url);
  for (const made of ["key in a query", "part of a path"]) {
    await addressed(site, { owner, member }, { url, made });
  }
}

/** A server whose address lets in whoever knows it. */
async function addressed(
  site: Site,
  { owner, member }: People,
  { url, made }: { url: string; made: string },
): Promise<void> {
  const secret = site.markers.make(made);
  const address = made === "part of a path" ? `${url}/at/${secret}/mcp` : `${url}/calls?apiKey=${secret}`;
  const id = await connect(site, owner, { title: `With a ${made}`, connection_url: address });
  for (const person of [owner, member]) {
    if (made === "part of a path") await site.call(person, id, "anything", [made]);
    else for (const leak of leaks) await callEverywhere(site, { person, id, leak, sent: [made] });
  }
  await site.run(owner, "CONNECTION_TEST", { id });
  await site.run(owner, "COLLECTION_CONNECTIONS_UPDATE", {
    id,
    data: { connection_url: address, title: "" },
  });
  await site.run(owner, "COLLECTION_CONNECTIONS_UPDATE", {
    id,
    data: { connection_url: `${address}/other` },
  });
  const json = JSON.stringify({ mcpServers: { again: { url: address } } });
  await site.run(owner, "CONNECTION_IMPORT", { json });
  await owner.browser.get(`/connections/${id}/settings`);
}

/** A certificate that the mesh shows, and a file of other clients' settings. */
async function bring(site: Site, owner: Person, url: string): Promise<void> {
  const { markers } = site;
  const { cert, key } = new Authority("Mesh").issue(["mesh.example"]);
  for (const line of key.split("\n").filter((line) => line.length > 30 && !line.startsWith("-----"))) {
    markers.add("key of a certificate", line);
  }
  const client_certificate = { certificate: cert, key };
  const id = await connect(site, owner, {
    title: "Shown",
    connection_url: `${url}/calls`,
    client_certificate,
  });
  await site.run(owner, "CONNECTION_TEST", { id });
  const imported = markers.make("imported header");
  const headers = { Authorization: `Bearer ${imported}`, "X-Imported": imported };
  const json = JSON.stringify({ mcpServers: { imported: { url: `${url}/tool_error`, headers } } });
  for (const text of [json, `${json},`, JSON.stringify({ servers: { imported: headers } })]) {
    await site.run(owner, "CONNECTION_IMPORT", { json: text, preview: true });
    await site.run(owner, "CONNECTION_IMPORT", { json: text });
    await owner.browser.get("/connections/import");
    // The form shows what is being entered to the one who enters it.
    await owner.browser.allowing("imported header").post("/connections/import", { json: text });
  }
}

/** What is refused, and what takes the place of something else. */
async function change(site: Site, owner: Person, { id, url }: { id: string; url: string }): Promise<void> {
  const { markers } = site;
  const refused = (name: string) => markers.make(`refused ${name}`);
  const wrong: Record<string, unknown>[] = [
    { connection_token: `${refused("token")}\nx` },
    { connection_headers: { headers: { "X-Bad": `${refused("header value")}\u0007` } } },
    { connection_headers: { headers: { "not a name": refused("value of no header") } } },
    { connection_headers: { headers: [refused("list of headers")] } },
    { oauth_config: { client_id: "x", client_secret: refused("client secret") }, credential_type: "static" },
    { oauth_config: { client_id: "x", private_key: refused("client key") } },
    { oauth_config: { client_id: "x", refresh_token: refused("unknown field") } },
    { client_certificate: { certificate: refused("certificate"), key: refused("key of a certificate") } },
    { connection_url: `http://ann:${refused("password in a URL")}@127.0.0.1:1/mcp` },
    { connection_token: { value: refused("token of another shape") } },
  ];
  for (const data of wrong) {
    const { status, body } = await site.run(owner, "COLLECTION_CONNECTIONS_UPDATE", { id, data });
    assert.equal(status, 422, JSON.stringify(body));
    await site.run(owner, "COLLECTION_CONNECTIONS_CREATE", { data: { title: "No", ...data } });
  }
  const replaced = { connection_token: markers.make("another connection token") };
  await site.run(owner, "COLLECTION_CONNECTIONS_UPDATE", { id, data: replaced });
  const form = { title: "By a form", url: `${url}/status_401`, token: markers.make("token of a form") };
  await owner.browser.get("/connections/new");
  await owner.browser.post("/connections", form);
  await owner.browser.post("/connections", { ...form, url: "no address" });
}

/** Each person's own token, or values of headers. */
export async function personal(site: Site, { owner, member }: People, url: string): Promise<void> {
  const { markers } = site;
  const mode = { credential_mode: "per_user", credential_type: "static", connection_url: `${url}/calls` };
  const tokens = await connect(site, owner, { title: "Tokens", ...mode });
  const values = await connect(site, owner, { title: "Values", ...mode, personal_headers: ["X-Own"] });
  const tokenOf = ({ name }: Person) => `personal token of the ${name}`;
  const valueOf = ({ name }: Person) => `personal header of the ${name}`;
  for (const person of [owner, member]) {
    await site.call(person, tokens, "result"); // not connected yet
    await person.browser.get(`/my-connections/${tokens}`);
    const kept = await person.browser.post(`/my-connections/${tokens}/token`, {
      token: markers.make(tokenOf(person)),
    });
    assert.equal(kept.status, 303, kept.text);
    const headers = { "X-Own": markers.make(valueOf(person)) };
    const { status } = await site.run(person, "CREDENTIAL_SET", { connectionId: values, headers });
    assert.equal(status, 200);
    const bad = `${markers.make(`refused value of the ${person.name}`)}\n`;
    await site.run(person, "CREDENTIAL_SET", {
      connectionId: values,
      headers: { "X-Own": `${bad}x`, Other: bad },
    });
    await site.run(person, "CREDENTIAL_SET", { connectionId: tokens, token: `${bad}x` });
  }
  // The refusal of a token ends its use, so it comes last.
  const order = leaks.toSorted((one, other) => Number(/40[13]/.test(one)) - Number(/40[13]/.test(other)));
  for (const person of [owner, member]) {
    for (const leak of order) {
      await callEverywhere(site, { person, id: tokens, leak, sent: [tokenOf(person)] });
      await callEverywhere(site, { person, id: values, leak, sent: [valueOf(person)] });
    }
    for (const id of [tokens, values]) {
      await site.run(person, "CONNECTION_TEST", { id });
      await site.run(person, "CREDENTIAL_HOLDERS_LIST", { connectionId: id });
      await person.browser.get(`/my-connections/${id}`);
    }
  }
}
