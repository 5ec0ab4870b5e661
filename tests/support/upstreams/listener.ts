// A web-standard handler on node:http. Deno.serve does not notice that a client left before the response's
// headers when head and body of the request came in separate packets; node:http does, and M11 needs it.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";

export type Handler = (request: Request) => Promise<Response>;

/** Serves the handler on a loopback port (0 = a free one); the request's signal aborts when the client leaves. */
export async function listen(
  handler: Handler,
  port = 0,
): Promise<{ port: number; stop: () => Promise<void> }> {
  const server = createServer((incoming, outgoing) => void answer(handler, incoming, outgoing));
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The server has no port");
  const stop = async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  };
  return { port: address.port, stop };
}

async function answer(handler: Handler, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const abort = new AbortController();
  outgoing.on("close", () => abort.abort());
  const body = await readBody(incoming);
  if (body === undefined) return;
  const response = await handler(toRequest(incoming, body, abort.signal));
  if (outgoing.destroyed) return void await response.body?.cancel();
  outgoing.writeHead(response.status, [...response.headers].flat());
  outgoing.flushHeaders();
  const reader = response.body?.getReader();
  outgoing.on("close", () => void reader?.cancel());
  for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
    outgoing.write(part.value);
  }
  outgoing.end();
}

/** Gives the body, null when the method has none, undefined when the client left before it was whole. */
async function readBody(incoming: IncomingMessage): Promise<Blob | null | undefined> {
  if (incoming.method !== "POST") return null;
  const chunks: BlobPart[] = [];
  try {
    for await (const chunk of incoming) chunks.push(chunk);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ECONNRESET") return undefined;
    throw error;
  }
  return new Blob(chunks);
}

function toRequest(incoming: IncomingMessage, body: Blob | null, signal: AbortSignal): Request {
  const headers = new Headers();
  for (const [name, values] of Object.entries(incoming.headersDistinct)) {
    for (const value of values ?? []) headers.append(name, value);
  }
  const { method = "GET" } = incoming;
  return new Request(`http://${incoming.headers.host}${incoming.url}`, { method, headers, body, signal });
}
