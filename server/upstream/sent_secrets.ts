import type { Header } from "./credentials.ts";
import type { Caller } from "./holders.ts";

/** Shorter words are too common to be hidden wherever they occur. */
const shortestWord = 8;

const found = new WeakMap<readonly Header[], readonly string[]>();

/**
 * What a server may repeat of the headers that it was sent, and its answer's other readers must not see: the values,
 * what stands behind a scheme, and their longer words. The longest comes first.
 */
export function secretsIn(headers: readonly Header[]): readonly string[] {
  let secrets = found.get(headers);
  if (secrets === undefined) {
    const all = new Set(headers.flatMap(([, value]) => partsOf(value)));
    secrets = [...all].sort((one, other) => other.length - one.length);
    found.set(headers, secrets);
  }
  return secrets;
}

/** The same for the log, where it is no secret who calls, which a template may have said too. */
export function secretsFor(
  headers: readonly Header[],
  { email, name, userId, organizationId }: Pick<Caller, "email" | "name" | "userId" | "organizationId">,
): readonly string[] {
  const secrets = secretsIn(headers);
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
