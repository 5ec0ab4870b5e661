// The ways in which an upstream of `startHostile` answers.
import type { Behaviour, Exchange } from "./hostile.ts";

const chunk = "x".repeat(65_536);

interface Answer {
  status?: string;
  type?: string;
  headers?: Record<string, string>;
  body: string;
}

function response({ status = "200 OK", type = "application/json", headers = {}, body }: Answer): string {
  const length = new TextEncoder().encode(body).length;
  const lines = Object.entries({
    "content-type": type,
    "content-length": `${length}`,
    ...headers,
    connection: "close",
  })
    .map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status}\r\n${lines.join("")}\r\n${body}`;
}

/** Headers without a length: the body lasts until the connection closes. */
function opening(type: string): string {
  return `HTTP/1.1 200 OK\r\ncontent-type: ${type}\r\nconnection: close\r\n\r\n`;
}

function answerTo({ message }: Exchange["request"], text: string): unknown {
  const results: Record<string, unknown> = {
    "initialize": {
      protocolVersion: "2025-11-25",
      capabilities: { tools: {} },
      serverInfo: { name: "hostile", version: "1.0.0" },
    },
    "tools/list": { tools: [{ name: "echo", description: "Echo", inputSchema: { type: "object" } }] },
    "tools/call": { content: [{ type: "text", text }] },
  };
  return { jsonrpc: "2.0", id: message.id, result: results[message.method ?? ""] ?? {} };
}

function event(data: unknown): string {
  return `event: message\ndata: ${JSON.stringify(data)}\n\n`;
}

function progress({ message }: Exchange["request"], done: number, total: number): string {
  const meta = message.params?._meta;
  const progressToken = meta && typeof meta === "object" && "progressToken" in meta
    ? meta.progressToken
    : message.id;
  return event({
    jsonrpc: "2.0",
    method: "notifications/progress",
    params: { progressToken, progress: done, total },
  });
}

/** Answers every message correctly, without sessions; the behaviour to begin with. */
export const good: Behaviour = async ({ request, send }) => {
  if (request.method !== "POST") {
    return void await send(response({ status: "405 Method Not Allowed", body: "" }));
  }
  if (request.message.id === undefined) {
    return void await send(response({ status: "202 Accepted", body: "" }));
  }
  await send(response({ body: JSON.stringify(answerTo(request, "ok")) }));
};

/** Says JSON and sends something else. */
export const garbage: Behaviour = async ({ send }) =>
  void await send(response({ body: "\u0000\u0001{{{not json" }));

/** Answers a page, as a captive portal or a login wall does. */
export const html: Behaviour = async ({ send }) =>
  void await send(response({ type: "text/html", body: "<!doctype html><title>Sign in</title>" }));

/** Answers 500 with a text. */
export const serverError: Behaviour = async ({ send }) =>
  void await send(response({ status: "500 Internal Server Error", type: "text/plain", body: "boom" }));

/** Redirects to another address. */
export function redirectTo(location: string, status = "307 Temporary Redirect"): Behaviour {
  return async ({ send }) => void await send(response({ status, headers: { location }, body: "" }));
}

/** Takes the request and never answers. */
export const hang: Behaviour = async ({ closed }) => await closed;

/** Sends the headers and half of the JSON, then nothing. */
export const hangMidBody: Behaviour = async ({ request, send, closed }) => {
  const whole = response({ body: JSON.stringify(answerTo(request, "never complete")) });
  await send(whole.slice(0, -20));
  await closed;
};

/** Sends one event of a stream, then nothing. */
export const hangMidStream: Behaviour = async ({ request, send, closed }) => {
  await send(opening("text/event-stream") + progress(request, 1, 2));
  await closed;
};

/** Sends JSON that never ends. */
export const endlessBody: Behaviour = async ({ send }) => {
  let connected = await send(opening("application/json") + '{"jsonrpc":"2.0","result":{"content":[{"text":"');
  while (connected) connected = await send(chunk);
};

/** Sends one event whose data never ends. */
export const endlessEvent: Behaviour = async ({ send }) => {
  let connected = await send(opening("text/event-stream") + "data: ");
  while (connected) connected = await send(chunk);
};

/** Sends an answer of so many bytes, correct and with its length. */
export function largeBody(bytes: number): Behaviour {
  return async ({ request, send }) => {
    const [head = "", tail = ""] = JSON.stringify(answerTo(request, "|")).split("|");
    const length = head.length + bytes + tail.length;
    let connected = await send(
      `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\nconnection: close\r\n\r\n${head}`,
    );
    for (let left = bytes; connected && left > 0; left -= chunk.length) {
      connected = await send(chunk.slice(0, left));
    }
    if (connected) await send(tail);
  };
}

/** Reports progress so many times with a pause before each, then answers. */
export function slowStream(
  { events, pauseMilliseconds }: { events: number; pauseMilliseconds: number },
): Behaviour {
  return async ({ request, send, closed }) => {
    let connected = await send(opening("text/event-stream"));
    for (let done = 1; connected && done <= events; done++) {
      await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, pauseMilliseconds))]);
      connected = await send(progress(request, done, events));
    }
    if (connected) await send(event(answerTo(request, "slow but done")));
  };
}

/** Closes the connection instead of answering. */
export const dropBeforeHeaders: Behaviour = () => Promise.resolve();

/** Closes the connection in the middle of a stream, without a result. */
export const dropMidStream: Behaviour = async ({ request, send }) =>
  void await send(opening("text/event-stream") + progress(request, 1, 2));

/** Closes the connection before the announced length is reached. */
export const dropMidBody: Behaviour = async ({ request, send }) =>
  void await send(response({ body: JSON.stringify(answerTo(request, "cut")) }).slice(0, -20));

/** Does not speak HTTP. */
export const notHttp: Behaviour = async ({ send }) => void await send("SSH-2.0-OpenSSH_9.9\r\n");

/** Answers with the id of another request. */
export const foreignId: Behaviour = async ({ request, send }) =>
  void await send(
    response({ body: JSON.stringify({ jsonrpc: "2.0", id: "not yours", result: request.message }) }),
  );

/** Answers correctly, with headers that must not reach the client (G05). */
export const leakyHeaders: Behaviour = async ({ request, send }) => {
  const headers = {
    "set-cookie": "session=upstream; Path=/",
    "x-upstream-internal": "10.0.0.7",
    "server": "hostile/1",
  };
  await send(response({ headers, body: JSON.stringify(answerTo(request, "ok")) }));
};

/** Refuses the credential. */
export const unauthorized: Behaviour = async ({ send }) =>
  void await send(
    response({
      status: "401 Unauthorized",
      headers: { "www-authenticate": 'Bearer error="invalid_token"' },
      body: "",
    }),
  );
