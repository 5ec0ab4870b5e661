import { makeApp, makeSetupToken } from "../app.ts";
import { type Config, loadConfig } from "../config.ts";
import { AppError, messageOf } from "../errors.ts";
import { version } from "../version.ts";
import { Lifecycle } from "../lifecycle.ts";
import { serverErrors } from "../log.ts";
import type { Services } from "../services.ts";
import { startServices, stopServices } from "../start.ts";

/** How long running calls may take after SIGTERM, and what is left of them to end in order; in milliseconds. */
const drainLimitMs = 25_000;
const endLimitMs = 1000;

/** `mesh serve`: starts, says where, and runs until SIGTERM or SIGINT. */
export async function serve(): Promise<number> {
  const config = withPort(loadConfig());
  const services = await startServices(config);
  const lifecycle = new Lifecycle();
  const setupToken = await makeSetupToken(services);
  const app = makeApp({ services, lifecycle, setupToken });
  const stop = new AbortController();
  const server = listen(services, (request, info) => app.fetch(request, info), stop.signal);
  console.log(`MCP Mesh ${version} is ready at ${config.baseUrl}`);
  if (setupToken) console.log(`To set it up, open ${config.baseUrl}/setup and give the token ${setupToken}`);
  const signal = await stopSignal();
  services.log.info("stopping", { signal });
  await endCalls(services, lifecycle, drainLimitMs);
  const closed = server.shutdown(); // accepts nothing new and lets answers under way finish
  const limit = setTimeout(() => stop.abort(), endLimitMs); // kept-alive connections end by themselves or are ended
  await Promise.race([closed, server.finished]);
  clearTimeout(limit);
  await stopServices(services);
  return 0;
}

/**
 * Waits for running calls, meanwhile answering what they wait for and telling the health check of the stop. Those that
 * take too long are broken off, so that each has its row and its client an error.
 */
export async function endCalls(
  { outbound, log }: Pick<Services, "outbound" | "log">,
  lifecycle: Lifecycle,
  limitMs: number,
): Promise<void> {
  if (await lifecycle.drain(limitMs)) return;
  log.warn("calls still running are broken off");
  outbound.breakOff();
  await lifecycle.drain(endLimitMs);
}

/** With the port 0 the system chooses one, which the URL has to name. */
function withPort(config: Config): Config {
  if (config.port !== 0) return config;
  const listener = Deno.listen({ hostname: config.host, port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  return Object.freeze({
    ...config,
    port,
    baseUrl: config.baseUrl.replace(/^http:\/\/localhost:0$/, `http://localhost:${port}`),
  });
}

function listen(
  { config, log }: Services,
  handler: (request: Request, info: Deno.ServeHandlerInfo) => Response | Promise<Response>,
  signal: AbortSignal,
): Deno.HttpServer {
  try {
    return Deno.serve({
      hostname: config.host,
      port: config.port,
      signal,
      onListen: () => {},
      onError: serverErrors(log),
    }, handler);
  } catch (error) {
    const advice = error instanceof Deno.errors.AddrInUse
      ? "set PORT to another port"
      : "HOST and PORT say where";
    const what = `Cannot listen on ${config.host}:${config.port}: ${messageOf(error)}; ${advice}`;
    throw new AppError("unavailable", what, { cause: error });
  }
}

function stopSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      Deno.addSignalListener(signal, () => resolve(signal));
    }
  });
}
