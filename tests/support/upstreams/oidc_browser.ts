// A browser without a window: it keeps cookies and follows redirects through the sign-in of oidc_provider.ts.

/** Who sits in front of the browser. */
export interface Person {
  /** The account to sign in with, `ann` by default. */
  readonly account?: string;
  /** False for somebody who does not consent. */
  readonly consents?: boolean;
}

/** Follows an authorization URL until it leads away from the issuer; gives the URL that it leads to. */
export async function follow(
  { authorizationUrl, issuer, person = {} }: {
    authorizationUrl: string;
    issuer: string;
    person?: Person | undefined;
  },
): Promise<string> {
  const { account = "ann", consents = true } = person;
  const jar = new Map([["person", `${consents ? "" : "!"}${account}`]]);
  let url = authorizationUrl;
  for (let steps = 0; steps < 20; steps++) {
    if (!url.startsWith(`${issuer}/`)) return url;
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join("; ");
    const response = await fetch(url, { redirect: "manual", headers: { cookie } });
    const text = await response.text();
    for (const line of response.headers.getSetCookie()) keep(jar, line);
    const location = response.headers.get("location");
    if (location === null) throw new Error(`${new URL(url).pathname} answered ${response.status}: ${text}`);
    url = new URL(location, url).href;
  }
  throw new Error("The authorization server redirects without end");
}

function keep(jar: Map<string, string>, line: string): void {
  const [, name, value] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
  if (name === undefined || value === undefined) return;
  if (value === "") jar.delete(name);
  else jar.set(name, value);
}
