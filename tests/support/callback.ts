// Where an application waits for its answer, on this machine.

/** An address that a browser comes back to. */
export interface Callback extends AsyncDisposable {
  readonly url: string;
  /** The parameters of the next answer. */
  next(): Promise<URLSearchParams>;
}

/** Waits on a free port; `then` is where the browser is sent on, `host` the name of this machine in the address. */
export function startCallback(
  { host = "localhost", then, body = "Back in the application" }: {
    host?: "localhost" | "127.0.0.1" | "[::1]";
    then?: string;
    body?: string;
  } = {},
): Callback {
  const waiting: ((answer: URLSearchParams) => void)[] = [];
  const arrived: URLSearchParams[] = [];
  const server = Deno.serve(
    { hostname: host === "[::1]" ? "::1" : "127.0.0.1", port: 0, onListen: () => {} },
    (request) => {
      const { pathname, searchParams } = new URL(request.url);
      if (pathname !== "/callback") return new Response(null, { status: 204 });
      const take = waiting.shift();
      if (take) take(searchParams);
      else arrived.push(searchParams);
      if (then !== undefined) return new Response(null, { status: 302, headers: { location: then } });
      return new Response(`<!doctype html><title>Back</title>${body}`, {
        headers: { "content-type": "text/html" },
      });
    },
  );
  return {
    url: `http://${host}:${server.addr.port}/callback`,
    next() {
      const first = arrived.shift();
      return first ? Promise.resolve(first) : new Promise((resolve) => waiting.push(resolve));
    },
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}
