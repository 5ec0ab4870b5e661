import assert from "node:assert/strict";
import { type EarlySession, EarlySessions } from "../../server/mcp/early_sessions.ts";
import { SessionIds } from "../../server/mcp/session_id.ts";
import type { Passage } from "../../server/mcp/call.ts";

const sessions = new SessionIds(new Uint8Array(32));

/** A request of a session, as far as its sessions are concerned. */
function passage(session: string | null): Passage {
  const known = {
    sessions,
    actor: { userId: "usr_1" },
    target: { organizationId: "org_1", id: "conn_1" },
    request: { headers: new Headers(session === null ? {} : { "mcp-session-id": session }) },
  };
  return known as Partial<Passage> as Passage;
}

const links = { capabilities: { elicitation: { url: {} } } };

Deno.test("a session is remembered as one that opens links, but not by an id of any length", () => {
  const early = new EarlySessions();
  const [short, long] = ["a".repeat(100), "b".repeat(1000)];
  for (const id of [short, long]) early.note(id, links);
  assert.equal(early.opensLinks(passage(short)), true);
  assert.equal(early.opensLinks(passage(long)), false);
});

Deno.test("what clients say of themselves fills no more than its share of the memory", () => {
  const early = new EarlySessions();
  const params = { protocolVersion: "2025-11-25", clientInfo: { name: "x".repeat(32_000) } };
  const first = early.begin(passage(null), params);
  const ids = Array.from({ length: 600 }, () => early.begin(passage(null), params).id);
  const find = (id: string): EarlySession | null => early.find(passage(id));
  assert.deepEqual(find(ids.at(-1) ?? "")?.params, params);
  assert.throws(() => find(first.id), /no such session/); // L04: its client begins anew
});
