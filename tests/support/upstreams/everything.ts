// The reference server of the MCP project, as a child process: legacy era, sessions, resumable streams.
import { freePort, start } from "../processes.ts";

const specifier = "npm:@modelcontextprotocol/server-everything@2026.8.31";

export interface Everything extends AsyncDisposable {
  readonly url: string;
  readonly pid: number;
  /** What it has printed so far. */
  readonly output: () => string;
  readonly stop: () => Promise<void>;
}

/** Starts the reference server on a free loopback port and waits until it listens. */
export async function startEverything(): Promise<Everything> {
  const port = freePort();
  const child = start({
    // Outside the checkout's configuration, so that its lock file is left alone.
    command: [Deno.execPath(), "run", "-A", "--no-config", "--no-lock", specifier, "streamableHttp"],
    env: { PORT: `${port}`, NO_COLOR: "1" },
    cwd: Deno.env.get("TMPDIR") ?? "/tmp",
  });
  const stop = async () => void await child.kill("SIGKILL");
  try {
    await child.port(port);
  } catch (error) {
    await stop();
    throw error;
  }
  const url = `http://127.0.0.1:${port}/mcp`;
  return { url, pid: child.pid, output: () => child.output, stop, [Symbol.asyncDispose]: stop };
}
