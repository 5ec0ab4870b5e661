import assert from "node:assert/strict";
import { Log } from "../../server/log.ts";
import { Outbound } from "../../server/outbound.ts";
import { relay } from "../../server/upstream/relay.ts";
import type { RelayTarget } from "../../server/upstream/upstream.ts";
import { behaviours, startHostile } from "../support/upstreams.ts";
import { until } from "../support/until.ts";

Deno.test("relay: what fails while the upstream works ends the call, and the answer is not left hanging", async () => {
  await using upstream = startHostile(behaviours.good);
  const outbound = new Outbound({ allow: [], loopbackAllowed: true });
  const target: RelayTarget = {
    id: "conn_a",
    organizationId: "org_a",
    title: "A",
    status: "active",
    url: upstream.url,
    headers: [],
    plain: true,
    templated: false,
    identityToken: false,
    credentialMode: "shared",
    credentialType: "static",
    personalHeaders: null,
    actsForItself: false,
    timeoutMs: null,
    era: null,
    target: outbound.target(upstream.url),
    tools: () => null,
  };
  const failed: unknown[] = [];
  let done = 0;
  const call = relay(outbound, target, {
    method: "POST",
    headers: [["content-type", "application/json"]],
    credential: [],
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping" }),
    watch: {
      id: 1,
      rewrite: () => false,
      mustRewrite: false,
      settle: () => undefined,
      cancelOnLeave: false,
      endless: false,
      errorText: () => "",
      endText: null,
    },
    timeoutMs: 10_000,
    sent: () => {
      throw new Error("cannot prepare");
    },
    seen: () => {},
    failed: (error) => {
      failed.push(error);
      return undefined;
    },
    done: () => done++,
    onStop: () => () => {},
    log: new Log("silent"),
  });
  await assert.rejects(call, /cannot prepare/);
  assert.equal(failed.length, 1);
  assert.equal(done, 1);
  await until(() => outbound.sockets.open === outbound.sockets.idle);
  outbound.close();
});
