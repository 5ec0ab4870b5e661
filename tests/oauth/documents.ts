// A site of an application, with a certificate of its own, and the way to it.
import { Outbound } from "../../server/outbound.ts";
import { Authority } from "../outbound/certificates.ts";

const authority = new Authority("documents of clients");

/** A site that answers each path as a test says. */
export class Site implements AsyncDisposable {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  /** Method and path of each request. */
  readonly seen: string[] = [];
  answer: (request: Request) => Response | Promise<Response> = () => new Response(null, { status: 404 });

  constructor() {
    const certificate = authority.issue(["client.example", "127.0.0.1"]);
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {}, ...certificate },
      (request) => {
        this.seen.push(`${request.method} ${new URL(request.url).pathname}`);
        return this.answer(request);
      },
    );
  }

  at(path: string): string {
    return `https://client.example:${this.#server.addr.port}${path}`;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#server.shutdown();
  }
}

/** Finds every name on this machine and trusts its certificate. */
export class TestOutbound extends Outbound implements Disposable {
  constructor(loopbackAllowed = true) {
    const resolve = () => Promise.resolve(["127.0.0.1"]);
    super({ allow: [], loopbackAllowed, resolve, caCerts: [authority.cert] });
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** The document of a client with this id. */
export function documentOf(id: string, more: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    client_id: id,
    client_name: "Claude Code",
    client_uri: "https://claude.example",
    redirect_uris: ["http://localhost/callback", "http://127.0.0.1/callback"],
    token_endpoint_auth_method: "none",
    ...more,
  };
}
