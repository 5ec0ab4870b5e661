import { describeConfig, loadConfig } from "../config.ts";
import { parseOutboundAllow } from "../outbound.ts";

/** `mesh config`: the settings as they are read here; fails where one of them cannot be used. */
export function printConfig(args: readonly string[]): Promise<number> {
  const rows = describeConfig();
  if (args.includes("--json")) console.log(JSON.stringify(rows, null, 2));
  else for (const { name, value, origin } of rows) console.log(`${name.padEnd(26)}${value} (${origin})`);
  parseOutboundAllow(loadConfig().outboundAllow.join(","));
  return Promise.resolve(0);
}
