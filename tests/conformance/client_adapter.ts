// What the suite starts in place of a client: it passes the task on to the test, and ends as that says.
const { MCP_CONFORMANCE_SCENARIO, MCP_CONFORMANCE_PROTOCOL_VERSION, MCP_CONFORMANCE_CONTEXT, ...rest } = Deno
  .env
  .toObject();
const response = await fetch(rest.CLIENT_DRIVER_URL ?? "", {
  method: "POST",
  body: JSON.stringify({
    scenario: MCP_CONFORMANCE_SCENARIO,
    version: MCP_CONFORMANCE_PROTOCOL_VERSION,
    context: JSON.parse(MCP_CONFORMANCE_CONTEXT ?? "{}"),
    serverUrl: Deno.args.at(-1),
  }),
});
console.log(await response.text());
Deno.exit(response.ok ? 0 : 1);
