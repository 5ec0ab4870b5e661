import assert from "node:assert/strict";
import { publicUrl } from "../../server/audit/public_url.ts";

const run = "q7w8e9r0t1y2u3i4";

Deno.test("what may be shown of a URL: names and plain words, not what lets in whoever knows it", () => {
  const shown: [string, string][] = [
    ["https://mcp.example.com/mcp", "https://mcp.example.com/mcp"],
    ["http://127.0.0.1:3001", "http://127.0.0.1:3001"],
    ["HTTPS://MCP.example.com:8443/a/b/?", "HTTPS://MCP.example.com:8443/a/b/?"],
    ["https://x.test/mcp?region=eu-west-1&v=2025-11-25", "https://x.test/mcp?region=eu-west-1&v=2025-11-25"],
    ["https://x.test/streamable-http-endpoint-of-2025", "https://x.test/streamable-http-endpoint-of-2025"],
    ["https://x.test/mcp?apiKey=blue", "https://x.test/mcp?apiKey=***"],
    ["https://x.test/mcp?a=1&access_token=x&b=2", "https://x.test/mcp?a=1&access_token=***&b=2"],
    ["https://x.test/mcp?%61pi_key=blue", "https://x.test/mcp?%61pi_key=***"],
    ["https://x.test/mcp?key=blue;sig=b", "https://x.test/mcp?key=***;sig=***"],
    ["https://x.test/mcp?apiKey=", "https://x.test/mcp?apiKey="],
    ["https://x.test/mcp?apiKey=a=b=c", "https://x.test/mcp?apiKey=***"],
    [`https://x.test/mcp?p=${run}`, "https://x.test/mcp?p=***"],
    [`https://x.test/mcp?${run}`, "https://x.test/mcp?***"],
    [`https://x.test/s/${run}/mcp`, "https://x.test/s/***/mcp"],
    [`https://x.test/s/${run}?${run}=${run}`, "https://x.test/s/***?***=***"],
    ["https://x.test/s/3f2504e0-4f89-11d3-9a0c-0305e82c3301/mcp", "https://x.test/s/***/mcp"],
    ["https://x.test/s/aB3-xY9_kLm2-Pq8Rs/mcp", "https://x.test/s/***/mcp"],
    ["https://x.test/s/sk-12345678/mcp", "https://x.test/s/***/mcp"],
    ["https://x.test/s/%71%37w8e9r0t1y2u3i4/mcp", "https://x.test/s/***/mcp"],
    ["https://ann:pass@x.test/mcp", "https://***@x.test/mcp"],
    ["https://x.test/mcp#blue", "https://x.test/mcp#***"],
    ["no address", "***"],
  ];
  for (const [url, expected] of shown) {
    assert.equal(publicUrl(url), expected);
    assert.equal(publicUrl(expected), expected, "what is shown can be shown again");
  }
});
