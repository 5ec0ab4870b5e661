// A reverse proxy that adds request headers, for clients that cannot be told to send them. It works on the
// bytes: after the heads everything streams both ways, and either side's end ends the other.
import { closeQuietly, nullWhenGone, writeAll } from "./sockets.ts";

const encoder = new TextEncoder();

export interface Forwarder extends AsyncDisposable {
  readonly url: string;
  readonly stop: () => Promise<void>;
}

/** Forwards every request to the target's path, with these headers added; all else passes untouched. */
export function startForwarder(target: string, added: Readonly<Record<string, string>> = {}): Forwarder {
  const { hostname, port, host, pathname } = new URL(target);
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const own = `127.0.0.1:${listener.addr.port}`;
  const open = new Map<Deno.TcpConn, Promise<void>>();

  function rewritten(head: string): string {
    const [first = "", ...lines] = head.split("\r\n");
    const [method, , version] = first.split(" ");
    const replaced = new Set(["connection", ...Object.keys(added).map((name) => name.toLowerCase())]);
    const kept = lines.filter((line) => !replaced.has(nameOf(line))).map((line) =>
      // Only our own address is translated, so that a forged one still arrives forged.
      ["host", "origin"].includes(nameOf(line)) ? line.replace(own, host) : line
    );
    const extra = Object.entries(added).map(([name, value]) => `${name}: ${value}`);
    return [`${method} ${pathname} ${version}`, ...kept, ...extra].join("\r\n");
  }

  async function forward(incoming: Deno.TcpConn): Promise<void> {
    const request = await readUntil(incoming, "\r\n\r\n");
    if (!request) return closeQuietly(incoming);
    const onward = await Deno.connect({ hostname, port: Number(port) });
    await writeAll(onward, encoder.encode(`${rewritten(request.text)}\r\n\r\n`));
    await writeAll(onward, request.rest);
    await Promise.all([pipe(incoming, onward), answer(onward, incoming)]);
  }

  const accepting = (async () => {
    for await (const connection of listener) {
      open.set(connection, forward(connection).finally(() => open.delete(connection)));
    }
  })();
  const stop = async () => {
    closeQuietly(listener);
    for (const connection of open.keys()) closeQuietly(connection);
    await accepting;
    await Promise.all(open.values());
  };
  return { url: `http://${own}${pathname}`, stop, [Symbol.asyncDispose]: stop };
}

async function answer(from: Deno.TcpConn, to: Deno.TcpConn): Promise<void> {
  const response = await readUntil(from, "\r\n\r\n");
  if (response) {
    const kept = response.text.split("\r\n").filter((line) =>
      !["connection", "keep-alive"].includes(nameOf(line))
    );
    // One request a connection, so that what follows on it needs no parsing.
    await writeAll(to, encoder.encode([...kept, "connection: close", "", ""].join("\r\n")));
    await writeAll(to, response.rest);
  }
  await pipe(from, to);
}

async function pipe(from: Deno.TcpConn, to: Deno.TcpConn): Promise<void> {
  const buffer = new Uint8Array(65_536);
  for (;;) {
    const size = await nullWhenGone(from.read(buffer));
    if (!size || !await writeAll(to, buffer.subarray(0, size))) break;
  }
  closeQuietly(from);
  closeQuietly(to);
}

async function readUntil(
  connection: Deno.TcpConn,
  end: string,
): Promise<{ text: string; rest: Uint8Array } | null> {
  let bytes = new Uint8Array();
  const buffer = new Uint8Array(65_536);
  for (;;) {
    const size = await nullWhenGone(connection.read(buffer));
    if (!size) return null;
    bytes = new Uint8Array([...bytes, ...buffer.subarray(0, size)]);
    // Latin 1 keeps one character a byte, so that the index fits the bytes.
    const text = new TextDecoder("latin1").decode(bytes);
    const at = text.indexOf(end);
    if (at >= 0) return { text: text.slice(0, at), rest: bytes.subarray(at + end.length) };
  }
}

function nameOf(line: string): string {
  return line.slice(0, line.indexOf(":")).toLowerCase();
}
