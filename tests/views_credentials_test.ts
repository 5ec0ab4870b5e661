import assert from "node:assert/strict";
import { connectionState } from "../views/components/badge.tsx";
import { kindOf } from "../views/components/credential_fields.tsx";
import { adviceWords, hostOf, listed, reasonWords, reconnectWords } from "../views/credential_words.ts";
import type { Connection } from "../views/types.ts";

Deno.test("a reason names the server and says what to do, once", () => {
  const linear = { title: "Linear", type: "oauth" as const, personal_headers: null };
  const say = (reason: string | null, more = {}) => adviceWords({ ...linear, reason, ...more });
  const refused = "The server did not accept the credential";
  assert.equal(reasonWords({ title: "Linear", reason: refused }), "Linear did not accept the credential.");
  assert.equal(say(refused), "Linear did not accept the credential. Reconnect to go on.");
  assert.equal(
    say(refused, { type: "static" }),
    "Linear did not accept the credential. Paste a new token.",
  );
  assert.equal(
    say(refused, { type: "static", personal_headers: ["X-Key"] }),
    "Linear did not accept the credential. Enter the values anew.",
  );
  const whole = "Linear did not accept the token (401). Reconnect, or paste a new token.";
  assert.equal(say(whole), whole);
  assert.equal(say(null), "Linear ended the access. Reconnect to go on.");
  assert.equal(reasonWords({ title: "$& $1", reason: "the server said no" }), "$& $1 said no.");
});

Deno.test("names and numbers are said as one would", () => {
  assert.deepEqual([1, 3, 1200].map(reconnectWords), [
    "1 person needs to reconnect",
    "3 people need to reconnect",
    "1,200 people need to reconnect",
  ]);
  assert.deepEqual([[], ["A"], ["A", "B"], ["A", "B", "C"], ["A", "B", "C", "D", "E"]].map(listed), [
    "",
    "A",
    "A and B",
    "A, B and C",
    "A, B and 3 more",
  ]);
  assert.deepEqual(["https://mcp.linear.app:8443/mcp", "none", null].map(hostOf), [
    "mcp.linear.app:8443",
    "none",
    "",
  ]);
});

Deno.test("the state of a connection is what matters most of it", () => {
  const people = { needReconnect: 3, sharedAccess: null };
  const say = (
    status: "active" | "inactive" | "error",
    signs: Partial<Parameters<typeof connectionState>[1]> = {},
  ) => connectionState({ status }, { listed: true, ...signs }).text;
  assert.equal(say("active"), "Healthy");
  assert.equal(say("active", { medianMs: 1500 }), "Slow");
  assert.equal(say("active", { listed: false }), "Nobody connected yet");
  assert.equal(say("active", { medianMs: 1500, standing: people }), "3 people need to reconnect");
  assert.equal(say("error", { standing: people }), "Not reachable");
  assert.equal(
    say("error", { standing: { needReconnect: 0, sharedAccess: "not_connected" } }),
    "Not connected yet",
  );
  assert.equal(
    say("active", { standing: { needReconnect: 0, sharedAccess: "needs_attention" } }),
    "Needs to reconnect",
  );
  assert.equal(say("inactive", { standing: people }), "Off");
});

Deno.test("the kind of a credential is read from what is stored", () => {
  const plain: Connection = { id: "conn_1", title: "Linear", connection_type: "HTTP", status: "active" };
  const kind = (more: Partial<Connection>) => kindOf({ ...plain, ...more });
  assert.equal(kind({}), "none");
  assert.equal(kind({ has_token: true, connection_headers: { headers: { "X-Team": "***" } } }), "token");
  assert.equal(kind({ connection_headers: { headers: { "X-Team": "***" } } }), "headers");
  assert.equal(kind({ credential_mode: "per_user" }), "token");
  assert.equal(kind({ credential_mode: "per_user", personal_headers: ["X-Key"] }), "headers");
  assert.equal(kind({ credential_type: "oauth", credential_mode: "per_user" }), "oauth");
  const oauth_config = { grant_type: "client_credentials" };
  assert.equal(kind({ credential_type: "oauth", oauth_config }), "client_credentials");
});
