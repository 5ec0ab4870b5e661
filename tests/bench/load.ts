// Load on one URL from a number of kept connections: by wrk where it is installed, else by our own generator.
import { findOnPath, run } from "../support/processes.ts";

/** What is asked, over and over. */
export interface Shot {
  url: string;
  headers: Readonly<Record<string, string>>;
  body: string;
}

/** Figures of one run; times in milliseconds. */
export interface Figures {
  requestsPerSecond: number;
  p50: number;
  p99: number;
  /** Answers that were not 2xx, and connections that failed. */
  errors: number;
}

/** The generator that is used on this machine. */
export const generator = findOnPath(["wrk"]) ? "wrk" : "own";

/** Loads the URL from so many connections for so many seconds. */
export async function load(shot: Shot, options: { connections: number; seconds: number }): Promise<Figures> {
  return generator === "wrk" ? await byWrk(shot, options) : await byOwn(shot, options);
}

async function byWrk(
  shot: Shot,
  { connections, seconds }: { connections: number; seconds: number },
): Promise<Figures> {
  const script = await Deno.makeTempFile({ suffix: ".lua" });
  const headers = Object.entries(shot.headers).map(([name, value]) =>
    `wrk.headers[${lua(name)}] = ${lua(value)}`
  );
  await Deno.writeTextFile(
    script,
    `wrk.method = "POST"\nwrk.body = ${lua(shot.body)}\n${headers.join("\n")}
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format("\\nFIGURES %d %d %f %f %d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), e.status + e.connect + e.read + e.write + e.timeout))
end\n`,
  );
  try {
    const args = ["-t1", `-c${connections}`, `-d${seconds}s`, "-s", script, shot.url];
    const { stdout, stderr } = await run({ command: ["wrk", ...args] });
    const found = /FIGURES (\d+) (\d+) ([\d.]+) ([\d.]+) (\d+)/.exec(stdout);
    if (!found) throw new Error(`wrk gave no figures: ${stdout}${stderr}`);
    const [requests = 0, microseconds = 1, p50 = 0, p99 = 0, errors = 0] = found.slice(1).map(Number);
    return { requestsPerSecond: requests / microseconds * 1e6, p50: p50 / 1000, p99: p99 / 1000, errors };
  } finally {
    await Deno.remove(script);
  }
}

function lua(text: string): string {
  return JSON.stringify(text);
}

async function byOwn(
  shot: Shot,
  { connections, seconds }: { connections: number; seconds: number },
): Promise<Figures> {
  const url = new URL(shot.url);
  const body = new TextEncoder().encode(shot.body);
  const head = Object.entries({ ...shot.headers, host: url.host, "content-length": String(body.length) })
    .map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const request = new Uint8Array([
    ...new TextEncoder().encode(`POST ${url.pathname} HTTP/1.1\r\n${head}\r\n`),
    ...body,
  ]);
  const times: number[] = [];
  let errors = 0;
  const until = performance.now() + seconds * 1000;
  async function client(): Promise<void> {
    const connection = await Deno.connect({ hostname: url.hostname, port: Number(url.port) });
    connection.setNoDelay(true);
    while (performance.now() < until) {
      const began = performance.now();
      await connection.write(request);
      if (!(await answer(connection)).startsWith("HTTP/1.1 2")) errors++;
      times.push(performance.now() - began);
    }
    connection.close();
  }
  const began = performance.now();
  await Promise.all(Array.from({ length: connections }, client));
  const elapsed = (performance.now() - began) / 1000;
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.floor(times.length * share)] ?? 0;
  return { requestsPerSecond: times.length / elapsed, p50: at(0.5), p99: at(0.99), errors };
}

/** Reads one whole answer, by its length or its last chunk. */
async function answer(connection: Deno.TcpConn): Promise<string> {
  const buffer = new Uint8Array(65_536);
  let text = "";
  for (;;) {
    const count = await connection.read(buffer);
    if (count === null) throw new Error("The connection was closed");
    text += new TextDecoder("latin1").decode(buffer.subarray(0, count));
    const end = text.indexOf("\r\n\r\n");
    if (end < 0) continue;
    const length = /content-length: (\d+)/i.exec(text.slice(0, end))?.[1];
    if (length === undefined ? text.endsWith("\r\n0\r\n\r\n") : text.length >= end + 4 + Number(length)) {
      return text;
    }
  }
}
