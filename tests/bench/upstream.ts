// The raw upstream of the benchmark: answers every tools/call at once, as JSON, or below /sse as an event stream.

const headers = {
  json: { "content-type": "application/json" },
  sse: { "content-type": "text/event-stream" },
};

Deno.serve(
  { hostname: "127.0.0.1", port: Number(Deno.args[0]), onListen: () => console.log("listening") },
  async (request) => {
    const { id } = await request.json();
    const body = JSON.stringify({
      jsonrpc: "2.0",
      id,
      result: { content: [{ type: "text", text: "Hello from the upstream" }] },
    });
    if (!request.url.endsWith("/sse")) return new Response(body, { headers: headers.json });
    return new Response(`event: message\ndata: ${body}\n\n`, { headers: headers.sse });
  },
);
