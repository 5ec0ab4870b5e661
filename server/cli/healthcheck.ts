import { loadConfig } from "../config.ts";
import { messageOf } from "../errors.ts";
import { Outbound } from "../outbound.ts";

/** `mesh healthcheck`, which prints JSON in any case: 0 where the mesh on this machine answers that it is healthy, else 1. */
export async function healthcheck(): Promise<number> {
  const { host, port } = loadConfig();
  const everywhere = /^(0\.0\.0\.0|\[?::\]?)$/.test(host);
  const name = everywhere ? "127.0.0.1" : host.replace(/^\[|\]$/g, "");
  const outbound = new Outbound({ allow: [name], loopbackAllowed: true });
  try {
    const url = `http://${name.includes(":") ? `[${name}]` : name}:${port}/health`;
    const response = await outbound.fetch(url, { signal: AbortSignal.timeout(5000) });
    console.log(await response.text());
    return response.ok ? 0 : 1;
  } catch (error) {
    console.error(`mesh: ${messageOf(error)}`);
    return 1;
  } finally {
    outbound.close();
  }
}
