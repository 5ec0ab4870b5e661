import { secretParts } from "../audit/public_url.ts";
import type { Header } from "./credentials.ts";
import type { Caller } from "./holders.ts";

/** Shorter words are too common to be hidden wherever they occur. */
const shortestWord = 8;

/** A message as a server got it: what identifies the mesh or the caller there, and the address. */
export interface SentTo {
  readonly headers: readonly Header[];
  readonly url?: string;
}

const found = new WeakMap<readonly Header[], { url: string; secrets: readonly string[] }>();

/**
 * What a server may repeat of what it was sent, and its answer's other readers must not see: the values of the headers,
 * what stands behind a scheme, their longer words, and the secrets of the address. The longest comes first.
 */
export function secretsIn({ headers, url = "" }: SentTo): readonly string[] {
  const known = found.get(headers);
  if (known !== undefined && known.url === url) return known.secrets;
  const address = secretParts(url).filter((part) => part.length >= shortestWord);
  const all = new Set([...headers.flatMap(([, value]) => partsOf(value)), ...address]);
  const secrets = [...all].sort((one, other) => other.length - one.length);
  found.set(headers, { url, secrets });
  return secrets;
}

/** The same for the log, where it is no secret who calls, which a template may have said too. */
export function secretsFor(
  sent: SentTo,
  { email, name, userId, organizationId }: Pick<Caller, "email" | "name" | "userId" | "organizationId">,
): readonly string[] {
  const secrets = secretsIn(sent);
  if (secrets.length === 0) return secrets;
  const open = [email, name, userId, organizationId];
  return secrets.filter((secret) => !open.includes(secret));
}

function partsOf(value: string): string[] {
  const [, scheme = "", rest = value] = /^([A-Za-z][\w.-]*) +(.*)$/.exec(value) ?? [];
  const words = value.split(/[\s,;"']+/).filter((word) => word.length >= shortestWord);
  return [value, rest, ...words, ...scheme.toLowerCase() === "basic" ? [passwordIn(rest)] : []]
    .filter((part) => part !== "");
}

/** RFC 7617 section 2: user-id ":" password, in base64. */
function passwordIn(encoded: string): string {
  try {
    return atob(encoded.trim()).replace(/^[^:]*:?/, "");
  } catch {
    return ""; // no base64, so no password of anybody
  }
}
