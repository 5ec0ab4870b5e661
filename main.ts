import { main } from "./server/cli/mod.ts";

if (import.meta.main) Deno.exit(await main(Deno.args));
