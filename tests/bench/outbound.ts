/**
 * Compares HTTP clients for the relay: a raw upstream, then a tiny relay before it with each client.
 *   deno run -A --no-check tests/bench/outbound.ts [seconds]
 * Needs wrk. Every server is a process of its own; the figures go into docs/benchmarks.md.
 */
import http from "node:http";
import { Outbound } from "../../server/outbound.ts";

const body =
  `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"hello"}}}`;
const answer =
  `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"hello"}],"isError":false}}`;
const sent: [string, string][] = [
  ["accept", "application/json, text/event-stream"],
  ["content-type", "application/json"],
  ["mcp-protocol-version", "2025-11-25"],
  ["authorization", "Bearer of-the-bench"],
  ["user-agent", "bench"],
];

type Relay = (upstream: string) => (body: string) => Promise<Response>;

const relays: Record<string, Relay> = {
  "outbound.ts": (upstream) => {
    const outbound = new Outbound({ allow: [], loopbackAllowed: true });
    const target = outbound.target(upstream);
    return async (body) => {
      const got = await outbound.exchange(target, {
        method: "POST",
        headers: sent,
        body,
        headersTimeoutMs: 60_000,
        idleTimeoutMs: 60_000,
      });
      return new Response(got.body, {
        status: got.status,
        headers: [["content-type", got.header("content-type")!]],
      });
    };
  },
  "node:http": (upstream) => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 256, maxFreeSockets: 64 });
    const { hostname, port, pathname } = new URL(upstream);
    return (body) =>
      new Promise((resolve, reject) => {
        const headers = { ...Object.fromEntries(sent), "content-length": body.length };
        const request = http.request(
          { agent, hostname, port, path: pathname, method: "POST", headers },
          (got) => {
            const pieces: Uint8Array[] = [];
            got.on("data", (piece: Uint8Array) => pieces.push(piece));
            got.on("error", reject);
            got.on("end", () => {
              const init = {
                status: got.statusCode!,
                headers: { "content-type": got.headers["content-type"]! },
              };
              resolve(new Response(new Blob(pieces as BlobPart[]), init));
            });
          },
        );
        request.on("error", reject);
        request.end(body);
      });
  },
  "global client": (upstream) => async (body) => {
    const got = await globalThis["fetch"](upstream, { method: "POST", headers: sent, body });
    return new Response(got.body, {
      status: got.status,
      headers: { "content-type": got.headers.get("content-type")! },
    });
  },
};

function serve(handler: (request: Request) => Response | Promise<Response>): void {
  Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: ({ port }) => console.log(port) }, handler);
}

async function start(...args: string[]): Promise<{ url: string; child: Deno.ChildProcess }> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", import.meta.filename!, ...args],
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  return { url: `http://127.0.0.1:${new TextDecoder().decode(value).trim()}/mcp`, child };
}

/** Processor time of a process so far, in microseconds: it hardly depends on what else the machine does. */
function processorMicroseconds(pid: number): number {
  const fields = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1]!.split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

function residentMiB(pid: number): number {
  const kib = /VmRSS:\s+(\d+)/.exec(Deno.readTextFileSync(`/proc/${pid}/status`))?.[1];
  return Math.round(Number(kib) / 1024);
}

async function load(url: string, connections: number, seconds: number): Promise<string[]> {
  const script = await Deno.makeTempFile({ suffix: ".lua" });
  await Deno.writeTextFile(
    script,
    `wrk.method = "POST"\nwrk.body = [[${body}]]\nwrk.headers["content-type"] = "application/json"\n`,
  );
  const args = ["-t1", `-c${connections}`, `-d${seconds}`, "--latency", "-s", script, url];
  const text = new TextDecoder().decode((await new Deno.Command("wrk", { args }).output()).stdout);
  await Deno.remove(script);
  const find = (pattern: RegExp) => pattern.exec(text)?.[1] ?? "-";
  return [
    find(/Requests\/sec:\s+([\d.]+)/),
    find(/\n\s+50%\s+(\S+)/),
    find(/\n\s+99%\s+(\S+)/),
    find(/Non-2xx or 3xx responses: (\d+)/),
  ];
}

async function main(seconds: number): Promise<void> {
  const upstream = await start("upstream");
  console.log(["client", "connections", "requests/s", "p50", "p99", "not 2xx", "CPU us", "MiB"].join("\t"));
  for (const name of ["direct", ...Object.keys(relays)]) {
    const { url, child } = name === "direct" ? upstream : await start("relay", name, upstream.url);
    await load(url, 16, 2);
    for (const connections of [1, 16, 64]) {
      const before = processorMicroseconds(child.pid);
      const figures = await load(url, connections, seconds);
      const processor = (processorMicroseconds(child.pid) - before) / (Number(figures[0]) * seconds);
      console.log([name, connections, ...figures, processor.toFixed(1), residentMiB(child.pid)].join("\t"));
    }
    if (name !== "direct") child.kill();
  }
  upstream.child.kill();
}

const [role = "5", name = "", upstreamUrl = ""] = Deno.args;
if (role === "upstream") {
  serve(async (request) => {
    await request.text();
    return new Response(answer, { headers: { "content-type": "application/json" } });
  });
} else if (role === "relay") {
  const relay = relays[name]!(upstreamUrl);
  serve(async (request) => await relay(await request.text()));
} else {
  await main(Number(role));
}
