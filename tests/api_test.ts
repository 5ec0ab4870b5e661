import assert from "node:assert/strict";
import { Hono } from "hono";
import type { Actor } from "../server/access/actor.ts";
import { actions } from "../server/actions/mod.ts";
import { api, type ApiEnv } from "../server/api.ts";
import type { Services } from "../server/services.ts";
import { someone, withKey } from "./actions/connection_support.ts";
import { onServices } from "./support/services.ts";
import { behaviours, startHostile } from "./support/upstreams.ts";

/** The API where the application mounts it, for an actor that earlier middleware has found. */
function mounted(services: Services, actor: Actor | null) {
  const app = new Hono<ApiEnv>();
  app.use(async (c, next) => {
    c.set("actor", actor);
    c.set("requestId", "req_test");
    await next();
  });
  app.route("/api/tools", api(services));
  return async (path: string, init: RequestInit = {}) => {
    const response = await app.request(`/api/tools${path}`, init);
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, body: text ? JSON.parse(text) : null };
  };
}

const json = (body: unknown): RequestInit => ({
  method: "POST",
  headers: { "content-type": "application/json; charset=utf-8" },
  body: typeof body === "string" ? body : JSON.stringify(body),
});

/** Arrays within each other: to read them takes a time that grows with the square of their depth. */
function nested(depth: number): string {
  return `{"a":${"[".repeat(depth)}${"]".repeat(depth)}}`;
}

onServices("api: an action is run and its output is the answer", async (services) => {
  await using upstream = startHostile(behaviours.good);
  const ask = mounted(services, await someone(services));
  const data = { title: "T", connection_url: upstream.url, connection_token: "quiet-heron" };
  const made = await ask("/COLLECTION_CONNECTIONS_CREATE", json({ data }));
  assert.equal(made.status, 200);
  assert.equal(made.headers.get("cache-control"), "no-store");
  assert.equal(made.body.item.status, "active");
  assert.ok(!made.text.includes("quiet-heron"));
  const list = await ask("/COLLECTION_CONNECTIONS_LIST", json(""));
  assert.deepEqual([list.status, list.body.totalCount], [200, 1], "no body is no input");
  const byKey = mounted(services, withKey(await someone(services), { self: ["*"] }));
  const bare = await byKey("/COLLECTION_CONNECTIONS_LIST", { method: "POST" });
  assert.deepEqual(
    [bare.status, bare.body.totalCount],
    [200, 0],
    "nor needs it a type, where no cookie is used",
  );
  const untyped = { method: "POST", body: new TextEncoder().encode("{}") };
  assert.equal((await byKey("/COLLECTION_CONNECTIONS_LIST", untyped)).status, 415);
});

onServices("api: each failure has its status, code and sentence", async (services) => {
  const ann = await someone(services);
  const bob = await someone(services, ["user"], ann.organizationId);
  const create = "/COLLECTION_CONNECTIONS_CREATE";
  const inner = { data: { title: "T", connection_url: "http://10.1.2.3/" } };
  const cases: [string, Actor | null, string, RequestInit, number, string, RegExp][] = [
    ["nobody", null, create, json({}), 401, "unauthenticated", /token/],
    ["not JSON", ann, create, json("{"), 400, "malformed", /not JSON/],
    ["too deep", bob, create, json(nested(50_000)), 400, "malformed", /nested too deeply/],
    [
      "too many parts",
      ann,
      create,
      json(`{"data":[${"{},".repeat(3_000_000)}0]}`),
      400,
      "malformed",
      /too many objects/,
    ],
    ["no object", ann, create, json("[]"), 400, "malformed", /not a JSON object/],
    ["null", ann, create, json("null"), 400, "malformed", /not a JSON object/],
    ["no type", ann, create, { method: "POST" }, 415, "unsupported_media_type", /application\/json/],
    [
      "a form",
      ann,
      create,
      { method: "POST", body: new URLSearchParams({ a: "b" }) },
      415,
      "unsupported_media_type",
      /json/,
    ],
    [
      "no right",
      bob,
      create,
      json(inner),
      403,
      "forbidden",
      /permission 'COLLECTION_CONNECTIONS_CREATE' on 'self'/,
    ],
    ["no tool", ann, "/NO_SUCH_TOOL", json({}), 404, "not_found", /'NO_SUCH_TOOL'/],
    ["a name of every object", ann, "/toString", json({}), 404, "not_found", /'toString'/],
    ["no row", ann, "/COLLECTION_CONNECTIONS_DELETE", json({ id: "conn_x" }), 404, "not_found", /'conn_x'/],
    [
      "a bad field",
      ann,
      create,
      json({ data: { title: "" } }),
      422,
      "invalid",
      /data\.title: it is required/,
    ],
    ["no fields", ann, create, json({}), 422, "invalid", /data: it is required/],
    [
      "a missing object",
      ann,
      "/CONNECTION_CONFIGURE",
      json({ id: "conn_x" }),
      422,
      "invalid",
      /configuration_state: it is required/,
    ],
    [
      "a wrong operator",
      ann,
      "/COLLECTION_CONNECTIONS_LIST",
      json({ where: { operator: "and", conditions: [{ field: ["title"], operator: "is", value: "T" }] } }),
      422,
      "invalid",
      /where\.conditions\.0\.operator: .*"contains"/,
    ],
    [
      "a wrong resource",
      ann,
      "/API_KEY_CREATE",
      json({ name: "K", permissions: { connections: ["*"] } }),
      422,
      "invalid",
      /permissions\.connections: a resource is 'self', 'conn_\.\.\.'/,
    ],
    ["a refused address", ann, create, json(inner), 422, "outbound_refused", /OUTBOUND_ALLOW/],
    ["a GET", ann, create, {}, 405, "method_not_allowed", /POST/],
  ];
  for (const [name, actor, path, init, status, code, message] of cases) {
    const answer = await mounted(services, actor)(path, init);
    assert.deepEqual([answer.status, answer.body.code], [status, code], name);
    assert.match(answer.body.message, message, name);
  }
  const nobody = await mounted(services, null)(create, json({}));
  assert.match(nobody.headers.get("www-authenticate") ?? "", /^Bearer /);
  const fields = await mounted(services, ann)(create, json({ data: { title: "" } }));
  assert.equal(fields.body.fields["data.title"], "it is required");
  assert.equal((await mounted(services, ann)(create)).headers.get("allow"), "POST");
});

onServices("api: a body over the limit is refused", async (services) => {
  const ask = mounted(services, await someone(services));
  const answer = await ask("/COLLECTION_CONNECTIONS_LIST", json({ pad: "x".repeat(11_000_000) }));
  assert.deepEqual([answer.status, answer.body.code], [413, "too_large"]);
});

onServices("api: an error that nobody expected says nothing of itself", async (services) => {
  const ask = mounted(services, await someone(services));
  await services.db.schema.dropTable("connection_tools").execute();
  const answer = await ask("/COLLECTION_CONNECTIONS_LIST", json({ binding: "search" }));
  assert.equal(answer.status, 500);
  assert.deepEqual(answer.body, { code: "internal", message: "Internal error", requestId: "req_test" });
});

onServices("api: the list has what the caller may run, with schemas", async (services) => {
  const ann = await someone(services);
  const all = await mounted(services, ann)("");
  assert.equal(all.status, 200);
  const offered = actions.filter(({ internal }) => !internal).map(({ name }) => name);
  assert.deepEqual(all.body.tools.map(({ name }: { name: string }) => name), offered);
  const create = all.body.tools.find(({ name }: { name: string }) =>
    name === "COLLECTION_CONNECTIONS_CREATE"
  );
  assert.deepEqual(create.inputSchema.required, ["data"]);
  assert.deepEqual([create.inputSchema.type, create.outputSchema.type], ["object", "object"]);
  const few = await mounted(services, withKey(ann, { self: ["COLLECTION_CONNECTIONS_GET"] }))("");
  assert.deepEqual(few.body.tools.map(({ name }: { name: string }) => name), ["COLLECTION_CONNECTIONS_GET"]);
  assert.equal((await mounted(services, null)("")).status, 401);
});
