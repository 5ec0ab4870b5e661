import { makeApp, makeSetupToken } from "../app.ts";
import { loadConfig } from "../config.ts";
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
  const config = loadConfig();
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
    const place = `${config.host}:${config.port}`;
    throw new AppError(
      "unavailable",
      `Cannot listen on ${place}: ${messageOf(error)}; set PORT to another port`,
      {
        cause: error,
      },
    );
  }
}

function stopSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      Deno.addSignalListener(signal, () => resolve(signal));
    }
  });
}
