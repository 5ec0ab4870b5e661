// Broken servers, and connections to them as a test of a connection takes them.
import assert from "node:assert/strict";
import { Outbound } from "../../server/outbound.ts";
import {
  diagnose,
  type Diagnosed,
  type DiagnoseOptions,
  type Subject,
} from "../../server/upstream/diagnosis.ts";
import { discoverAuthorization } from "../../server/upstream/oauth_client.ts";
import { Authority } from "../outbound/certificates.ts";
import type { Behaviour } from "../support/upstreams.ts";

/** The authority that the tests trust. */
export const authority = new Authority("an authority of this test");

/** A client that finds every name of `.example` on this machine and trusts `authority`. */
export function outboundHere(): Outbound {
  return new Outbound({
    allow: [],
    loopbackAllowed: true,
    caCerts: [authority.cert],
    resolve: (host) =>
      host.endsWith(".example") ? Promise.resolve(["127.0.0.1"]) : Promise.reject(new Error("no such host")),
  });
}

/** Tests a server through a client of its own, which must be left without a connection in use. */
export async function examine(
  url: string,
  given: Partial<Subject> = {},
  options: DiagnoseOptions = {},
): Promise<Diagnosed> {
  const outbound = outboundHere();
  const subject: Subject = {
    title: "Linear",
    url,
    target: outbound.target(url),
    headers: () => [],
    oauth: false,
    discover: async (challenge) => {
      const connection = { id: "conn_1", organizationId: "org_1", title: "Linear", url, config: null };
      const parts = { outbound, baseUrl: "http://127.0.0.1:3000" };
      const { issuer, source } = await discoverAuthorization(parts, { connection, challenge });
      return { issuer, guessed: source === "default_endpoints" };
    },
    ...given,
  };
  try {
    return await diagnose(outbound, subject, options);
  } finally {
    const { open, idle } = outbound.sockets;
    assert.equal(open - idle, 0, "a connection is still in use");
    outbound.close();
  }
}

/** Each stage in order as one letter: passed, failed, not needed (.), not tried (-). */
export function marks({ diagnosis }: Diagnosed): string {
  return diagnosis.stages.map(({ ok, skipped, ms, stage }) => {
    assert.ok(skipped ? ms === 0 : ms >= 0, stage);
    if (skipped) return ok ? "." : "-";
    return ok ? "p" : "f";
  }).join("");
}

/** A whole answer that ends its connection. */
export function reply(status: string, headers: Record<string, string> = {}, body = ""): string {
  const lines = {
    "content-length": String(new TextEncoder().encode(body).length),
    connection: "close",
    ...headers,
  };
  return `HTTP/1.1 ${status}\r\n${
    Object.entries(lines).map(([name, value]) => `${name}: ${value}\r\n`).join("")
  }\r\n${body}`;
}

export function json(value: unknown, status = "200 OK"): string {
  return reply(status, { "content-type": "application/json" }, JSON.stringify(value));
}

/** Answers JSON-RPC requests by method, with a result, an error or raw bytes; initialize is answered as it should be. */
export function speaking(answers: Record<string, { result?: unknown; error?: unknown } | string>): Behaviour {
  const result = {
    protocolVersion: "2025-11-25",
    capabilities: { tools: {} },
    serverInfo: { name: "broken", version: "1" },
  };
  return async ({ request, send }) => {
    const { id, method = "" } = request.message;
    if (id === undefined) return void await send(reply("202 Accepted"));
    const unknown = { error: { code: -32601, message: "Method not found" } };
    const answer = { initialize: { result }, ...answers }[method] ?? unknown;
    await send(typeof answer === "string" ? answer : json({ jsonrpc: "2.0", id, ...answer }));
  };
}

/** A server that asks for a token, and says (or not) which authorization server gives it. */
export function guarded(origin: () => string, says: "metadata" | "nothing"): Behaviour {
  return async ({ request, send }) => {
    const { path, method } = request;
    if (path.startsWith("/mcp")) {
      const metadata = `, resource_metadata="${origin()}/.well-known/oauth-protected-resource/mcp"`;
      const challenge = `Bearer error="invalid_token"${says === "metadata" ? metadata : ""}`;
      return void await send(reply("401 Unauthorized", { "www-authenticate": challenge }));
    }
    const documents: Record<string, unknown> = says === "nothing" ? {} : {
      "/.well-known/oauth-protected-resource/mcp": {
        resource: `${origin()}/mcp`,
        authorization_servers: [origin()],
      },
      "/.well-known/oauth-authorization-server": {
        issuer: origin(),
        authorization_endpoint: `${origin()}/authorize`,
        token_endpoint: `${origin()}/token`,
        response_types_supported: ["code"],
        code_challenge_methods_supported: ["S256"],
      },
    };
    const found = method === "GET" ? documents[path] : undefined;
    await send(found ? json(found) : reply("404 Not Found"));
  };
}
