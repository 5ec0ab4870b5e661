import assert from "node:assert/strict";
import { AppError } from "../../server/errors.ts";
import * as connections from "../../server/storage/connections.ts";
import { migrate, openDatabase } from "../../server/storage/database.ts";
import type { Db } from "../../server/storage/dialect.ts";
import { listInput } from "../../server/storage/filters.ts";
import { onEachDatabase } from "../support/databases.ts";

const here = "org_here";
const elsewhere = "org_elsewhere";

interface Sample {
  id: string;
  title: string;
  organization?: string;
  description?: string | null;
  status?: string;
  tools?: string[];
  createdAt?: number;
}

function row(sample: Sample) {
  const createdAt = sample.createdAt ?? Date.UTC(2026, 0, 1);
  return {
    id: sample.id,
    organization_id: sample.organization ?? here,
    title: sample.title,
    title_lower: sample.title.toLowerCase(),
    description: sample.description ?? null,
    icon: null,
    app_name: null,
    app_id: null,
    connection_type: "HTTP",
    connection_url: "https://mcp.example.com/mcp",
    header_names: "[]",
    oauth_config: null,
    configuration_scopes: "[]",
    metadata: null,
    tools: sample.tools ? JSON.stringify(sample.tools.map((name) => ({ name }))) : null,
    tool_count: sample.tools?.length ?? 0,
    resources: null,
    prompts: null,
    bindings: null,
    status: sample.status ?? "active",
    status_reason: null,
    sealed_token: null,
    sealed_headers: null,
    sealed_configuration: null,
    credential_mode: "shared",
    credential_type: "static",
    personal_headers: null,
    options: null,
    sealed_oauth: null,
    sealed_certificate: null,
    sealed_url: null,
    protocol_version: null,
    created_by: "usr_one",
    updated_by: "usr_one",
    created_at: createdAt,
    updated_at: createdAt,
  };
}

/** Runs `work` on a migrated database that holds the samples. */
async function withRows(url: string, samples: Sample[], work: (db: Db) => Promise<void>): Promise<void> {
  const db = await openDatabase(url);
  try {
    await migrate(db);
    for (const sample of samples) await connections.insert(db, row(sample), sample.tools ?? []);
    await work(db);
  } finally {
    await db.destroy();
  }
}

async function ids(db: Db, input: Record<string, unknown>, binding?: string[]): Promise<string[]> {
  const { rows } = await connections.list(db, here, { ...listInput.parse(input), binding });
  return rows.map(({ id }) => id);
}

const found = (db: Db, where: unknown) =>
  ids(db, { where, orderBy: [{ field: ["title"], direction: "asc" }] });
const leaf = (field: string, operator: string, value: unknown) => ({ field: [field], operator, value });

const samples: Sample[] = [
  { id: "conn_a", title: "Alpha", tools: ["search", "fetch"], createdAt: Date.UTC(2026, 0, 1) },
  {
    id: "conn_b",
    title: "Beta 100%",
    description: "Über",
    tools: ["search"],
    createdAt: Date.UTC(2026, 0, 2),
  },
  { id: "conn_c", title: "Gamma_x!", status: "error", createdAt: Date.UTC(2026, 0, 3) },
  {
    id: "conn_d",
    title: "ÄPFEL",
    status: "inactive",
    tools: ["fetch", "send"],
    createdAt: Date.UTC(2026, 0, 3),
  },
  { id: "conn_z", title: "Alpha", organization: elsewhere, tools: ["search", "fetch"] },
];

onEachDatabase("connections: conditions are decided by the database, for each operator", async (_t, url) => {
  await withRows(url, samples, async (db) => {
    const cases: [unknown, string[]][] = [
      [leaf("title", "eq", "ALPHA"), ["conn_a"]],
      [leaf("title", "gt", "beta"), ["conn_b", "conn_c", "conn_d"]],
      [leaf("title", "lte", "alpha"), ["conn_a"]],
      [leaf("title", "in", ["alpha", "äpfel"]), ["conn_a", "conn_d"]],
      [leaf("title", "in", []), []],
      [leaf("title", "like", "%A"), ["conn_a"]],
      [leaf("title", "like", "gamma_x!"), ["conn_c"]],
      [leaf("title", "contains", "%"), ["conn_b"]],
      [leaf("title", "contains", "_"), ["conn_c"]],
      [leaf("title", "contains", "X!"), ["conn_c"]],
      [leaf("title", "contains", "Ä"), ["conn_d"]],
      [leaf("title", "contains", "\\"), []],
      [leaf("title", "eq", "' or 1=1 --"), []],
      [leaf("description", "eq", null), ["conn_a", "conn_c", "conn_d"]],
      [leaf("description", "contains", "BER"), ["conn_b"]],
      [leaf("description", "contains", "ÜBER"), ["conn_b"]],
      [leaf("description", "like", "üb%"), ["conn_b"]],
      [leaf("icon", "eq", null), ["conn_a", "conn_b", "conn_c", "conn_d"]],
      [leaf("status", "like", "%active"), ["conn_a", "conn_b", "conn_d"]],
      [leaf("status", "contains", "ERR"), ["conn_c"]],
      [leaf("status", "in", ["error", "inactive"]), ["conn_c", "conn_d"]],
      [leaf("tool_count", "gte", 2), ["conn_a", "conn_d"]],
      [leaf("created_at", "gt", "2026-01-02T00:00:00Z"), ["conn_c", "conn_d"]],
      [leaf("created_at", "lt", "2026-01-02T01:00:00+02:00"), ["conn_a"]],
      [leaf("created_at", "gte", "2026-01-02T00:00:00"), ["conn_b", "conn_c", "conn_d"]],
      [{ operator: "and", conditions: [leaf("status", "eq", "active"), leaf("tool_count", "eq", 1)] }, [
        "conn_b",
      ]],
      [{ operator: "or", conditions: [leaf("id", "eq", "conn_a"), leaf("id", "eq", "conn_z")] }, ["conn_a"]],
      [{ operator: "or", conditions: [] }, ["conn_a", "conn_b", "conn_c", "conn_d"]],
      [{ operator: "not", conditions: [leaf("description", "eq", "Über")] }, ["conn_a", "conn_c", "conn_d"]],
      [{ operator: "not", conditions: [{ operator: "not", conditions: [leaf("id", "eq", "conn_a")] }] }, [
        "conn_a",
      ]],
    ];
    for (const [where, expected] of cases) {
      assert.deepEqual((await found(db, where)).sort(), expected, JSON.stringify(where));
    }
  });
});

onEachDatabase("connections: what cannot be used in a condition is refused by name", async (_t, url) => {
  await withRows(url, [], async (db) => {
    const refused: [Record<string, unknown>, RegExp][] = [
      [{ where: leaf("sealed_token", "eq", "x") }, /no field 'sealed_token'/],
      [{ where: leaf("organization_id", "eq", elsewhere) }, /no field 'organization_id'/],
      [{ where: leaf("toString", "eq", "x") }, /no field 'toString'/],
      [{ where: { field: ["title", "x"], operator: "eq", value: "x" } }, /no field 'title.x'/],
      [{ where: leaf("status", "eq", "broken") }, /'status' is one of active, inactive, error/],
      [{ where: leaf("tool_count", "eq", "2") }, /'tool_count' takes a whole number/],
      [{ where: leaf("tool_count", "gt", 1e12) }, /'tool_count' takes a whole number/],
      [{ where: leaf("tool_count", "gt", 1.5) }, /'tool_count' takes a whole number/],
      [{ where: leaf("created_at", "gt", "yesterday") }, /'created_at' takes an ISO 8601 time/],
      [{ where: leaf("title", "gt", null) }, /'title' takes a text/],
      [{ where: leaf("title", "eq", ["a"]) }, /'eq' on the field 'title' takes one value/],
      [{ where: leaf("title", "in", "a") }, /'in' on the field 'title' takes an array/],
      [{ where: leaf("created_at", "like", "2026%") }, /'like' on the field 'created_at'/],
      [{ orderBy: [{ field: ["nothing"], direction: "asc" }] }, /no field 'nothing'/],
    ];
    for (const [input, message] of refused) {
      await assert.rejects(ids(db, input), (error) => {
        assert.ok(error instanceof AppError);
        assert.equal(error.code, "invalid");
        assert.match(error.message, message);
        return true;
      });
    }
    const names = Array.from({ length: 101 }, (_, i) => `tool_${i}`);
    await assert.rejects(ids(db, {}, names), /at most 100 tools/);
  });
});

Deno.test("connections: a list input is bounded in depth, in conditions and in values", () => {
  const nested = (depth: number): unknown =>
    depth === 0 ? leaf("id", "eq", "x") : { operator: "and", conditions: [nested(depth - 1)] };
  assert.ok(listInput.safeParse({ where: nested(5) }).success);
  assert.ok(!listInput.safeParse({ where: nested(6) }).success);
  assert.ok(!listInput.safeParse({ where: nested(3000) }).success);
  assert.ok(!listInput.safeParse({ where: leaf("id", "in", Array(101).fill("x")) }).success);
  assert.ok(!listInput.safeParse({ where: leaf("id", "eq", "x".repeat(1001)) }).success);
  assert.ok(!listInput.safeParse({ where: leaf("id", "eq", "\0") }).success);
  assert.ok(!listInput.safeParse({ where: leaf("id", "matches", "x") }).success);
  for (const input of [{ limit: 0 }, { limit: 1001 }, { limit: 1.5 }, { offset: -1 }]) {
    assert.ok(!listInput.safeParse(input).success, JSON.stringify(input));
  }
  assert.deepEqual(listInput.parse({}), { limit: 100, offset: 0 });
});

onEachDatabase("connections: too many conditions in all are refused", async (_t, url) => {
  await withRows(url, [], async (db) => {
    const ten = { operator: "or", conditions: Array(10).fill(leaf("id", "eq", "x")) };
    await assert.rejects(
      ids(db, { where: { operator: "and", conditions: Array(6).fill(ten) } }),
      /more than 50/,
    );
  });
});

onEachDatabase("connections: pages neither overlap nor skip, in any offered order", async (_t, url) => {
  const many = Array.from({ length: 25 }, (_, i) => ({
    id: `conn_${String(i).padStart(2, "0")}`,
    title: `Title ${i % 3}`,
    createdAt: Date.UTC(2026, 0, 1 + i % 4),
  }));
  await withRows(url, many, async (db) => {
    const orders = [
      undefined,
      [{ field: ["title"], direction: "asc" }],
      [{ field: ["title"], direction: "desc", nulls: "last" }, { field: ["created_at"], direction: "asc" }],
      [{ field: ["status"], direction: "asc", nulls: "first" }],
    ];
    for (const orderBy of orders) {
      const seen: string[] = [];
      for (let offset = 0; offset < 30; offset += 10) {
        seen.push(...await ids(db, { orderBy, limit: 10, offset }));
      }
      assert.deepEqual(seen.length, 25);
      assert.deepEqual(new Set(seen).size, 25);
      assert.deepEqual(seen, await ids(db, { orderBy }));
    }
    assert.deepEqual((await ids(db, {})).slice(0, 2), ["conn_23", "conn_19"], "newest first");
    const page = await connections.list(db, here, listInput.parse({ limit: 2, offset: 24 }));
    assert.equal(page.totalCount, 25);
    assert.equal(page.rows.length, 1);
  });
});

onEachDatabase("connections: a page ends early where servers list megabytes", async (_t, url) => {
  const tools = Array.from({ length: 60 }, (_, i) => `${i}`.padEnd(100_000, "x"));
  const large = ["conn_a", "conn_b", "conn_c", "conn_d"].map((id) => ({ id, title: id, tools }));
  await withRows(url, large, async (db) => {
    const from = (offset: number) => ids(db, { offset, orderBy: [{ field: ["title"], direction: "asc" }] });
    assert.deepEqual(await from(0), ["conn_a", "conn_b"]);
    assert.deepEqual(await from(2), ["conn_c", "conn_d"]);
    assert.deepEqual(await from(4), []);
  });
});

onEachDatabase(
  "connections: they sort by any field, without regard to case, nulls where they are wanted",
  async (_t, url) => {
    const described = ["beta", "Alpha", null, "ärger", null, "Zeta", ""];
    const rows = described.map((description, i) => ({ id: `conn_${i}`, title: "T", description }));
    await withRows(url, rows, async (db) => {
      const by = (direction: string, nulls?: string) =>
        ids(db, { orderBy: [{ field: ["description"], direction, nulls }] });
      const ascending = ["conn_6", "conn_1", "conn_0", "conn_5", "conn_3"];
      const descending = ascending.toReversed();
      assert.deepEqual(await by("asc", "first"), ["conn_2", "conn_4", ...ascending]);
      assert.deepEqual(await by("asc", "last"), [...ascending, "conn_2", "conn_4"]);
      assert.deepEqual(await by("desc", "first"), ["conn_4", "conn_2", ...descending]);
      assert.deepEqual(await by("desc", "last"), [...descending, "conn_4", "conn_2"]);
      for (const field of Object.keys(connections.fields)) {
        const sorted = await ids(db, { orderBy: [{ field: [field], direction: "desc" }] });
        assert.equal(sorted.length, rows.length, field);
      }
    });
  },
);

onEachDatabase("connections: a binding finds those that have all its tools", async (_t, url) => {
  await withRows(url, samples, async (db) => {
    assert.deepEqual((await ids(db, {}, ["search"])).sort(), ["conn_a", "conn_b"]);
    assert.deepEqual(await ids(db, {}, ["search", "fetch"]), ["conn_a"]);
    assert.deepEqual(await ids(db, {}, ["search", "nothing"]), []);
    assert.deepEqual(await ids(db, { where: leaf("title", "eq", "beta 100%") }, ["search"]), ["conn_b"]);
    assert.deepEqual(connections.bindingNames("search"), ["search"]);
    assert.deepEqual(connections.bindingNames(["a", { name: "b" }, "a"]), ["a", "b"]);
  });
});

onEachDatabase("connections: no verb reaches another organization's rows", async (_t, url) => {
  await withRows(url, samples, async (db) => {
    assert.equal(await connections.find(db, here, "conn_z"), null);
    assert.equal(await connections.findForRelay(db, here, "conn_z"), null);
    assert.equal(await connections.findVersion(db, here, "conn_z"), null);
    assert.equal(await connections.update(db, here, { id: "conn_z", changes: { title: "taken" } }), false);
    const change = { id: "conn_z", changes: { tools: "[]" }, toolNames: ["mine"] };
    assert.equal(await connections.replaceTools(db, here, change), false);
    assert.equal(await connections.remove(db, here, "conn_z"), false);
    assert.deepEqual({ ...await connections.find(db, elsewhere, "conn_z") }, row(samples[4]!));
    const { rows } = await connections.list(db, elsewhere, {
      ...listInput.parse({}),
      binding: ["search", "fetch"],
    });
    assert.deepEqual(rows.map(({ id }) => id), ["conn_z"]);
    assert.equal(await connections.find(db, elsewhere, "conn_z "), null);
  });
});

onEachDatabase(
  "connections: each change raises the version, and tools are replaced as a whole",
  async (_t, url) => {
    await withRows(url, samples, async (db) => {
      const versions = [await connections.findVersion(db, here, "conn_a") ?? 0];
      for (let i = 0; i < 5; i++) {
        assert.ok(await connections.update(db, here, { id: "conn_a", changes: { title: `T${i}` } }));
        versions.push(await connections.findVersion(db, here, "conn_a") ?? 0);
      }
      assert.ok(versions.every((version, i) => i === 0 || version > versions[i - 1]!), versions.join());
      // Names that a database pads, cuts or cannot hold are no reason to refuse the others.
      const toolNames = ["send", "send", "send ", "x".repeat(201), "nul\0", "\ud800", "\ud801", "日本語"];
      await connections.replaceTools(db, here, { id: "conn_a", changes: { tool_count: 8 }, toolNames });
      assert.deepEqual(await ids(db, {}, ["search"]), ["conn_b"]);
      assert.deepEqual((await ids(db, {}, ["send"])).sort(), ["conn_a", "conn_d"]);
      assert.deepEqual(await ids(db, {}, ["日本語"]), ["conn_a"]);
      assert.equal((await connections.find(db, here, "conn_a"))?.tool_count, 8);
    });
  },
);

onEachDatabase("connections: a removed connection leaves nothing behind", async (_t, url) => {
  await withRows(url, samples, async (db) => {
    assert.equal(await connections.remove(db, here, "conn_a"), true);
    assert.equal(await connections.find(db, here, "conn_a"), null);
    const left = await db.selectFrom("connection_tools").select("name").where("connection_id", "=", "conn_a")
      .execute();
    assert.deepEqual(left, []);
    assert.equal(await connections.remove(db, here, "conn_a"), false);
  });
});

onEachDatabase("connections: JSON columns come back as they were", async (_t, url) => {
  await withRows(url, [], async (db) => {
    const tools = [{
      name: "échange",
      inputSchema: { type: "object", $defs: { a: { const: "\\ \u0000 \u{1f600}" } } },
    }];
    const values = {
      ...row({ id: "conn_j", title: "J" }),
      tools: JSON.stringify(tools),
      metadata: '{"a":[1,null]}',
    };
    await connections.insert(db, values);
    const read = await connections.find(db, here, "conn_j");
    assert.ok(read);
    const parsed = connections.parse(read);
    assert.deepEqual(parsed.tools, tools);
    assert.deepEqual(parsed.metadata, { a: [1, null] });
    assert.equal(parsed.resources, null);
    assert.deepEqual(parsed.headerNames, []);
  });
});
