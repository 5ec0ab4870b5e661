import { isQuerySecret, mask, redactText } from "./secrets.ts";

const parts = /^([a-z][a-z0-9+.-]*:\/\/)([^\/?#]*)([^?#]*)(\?[^#]*)?(#.*)?$/is;

/**
 * What may be shown of a URL: parts of its path and query that are secrets, or look like it, are `***`. Servers hand
 * out addresses that let in whoever knows them, or want a key in the query.
 */
export function publicUrl(url: string): string {
  return replaceSecrets(url, () => mask);
}

/** The parts of a URL that are not shown, as they stand in it and decoded. */
export function secretParts(url: string): string[] {
  const found = new Set<string>();
  replaceSecrets(url, (part) => {
    found.add(part).add(decoded(part));
    return "";
  });
  return [...found];
}

function replaceSecrets(url: string, replace: (part: string) => string): string {
  const [, scheme, host = "", path = "", query = "", fragment] = parts.exec(url) ?? [];
  if (scheme === undefined) return url === "" ? "" : replace(url);
  const unless = (part: string, hides: boolean) => hides ? replace(part) : part;
  return scheme + host.replace(/^[^@]*(?=@)/, replace) +
    path.replace(/[^\/]+/g, (segment) => unless(segment, looksSecret(segment))) +
    query.replace(/([?&;])([^=&;]*)(=?)([^&;]*)/g, (_all, lead, name, equals, value) => {
      const hides = value !== "" && (isQuerySecret(decoded(name)) || looksSecret(value));
      return lead + unless(name, looksSecret(name)) + equals + unless(value, hides);
    }) +
    (fragment ? `#${replace(fragment.slice(1))}` : "");
}

const uuid = /[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}/i;

/** True for what a person would not think up: runs of letters and digits, identifiers, known kinds of tokens. */
function looksSecret(part: string): boolean {
  const text = decoded(part);
  if (uuid.test(text) || redactText(text) !== text) return true;
  const runs = text.match(/[A-Za-z0-9]{16,}/g) ?? [];
  if (runs.some((run) => run.length >= 32 || /\d/.test(run))) return true;
  return text.length >= 16 && [/[a-z]/, /[A-Z]/, /\d/].every((kind) => kind.test(text)) &&
    !/[.:\s]/.test(text);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // no percent-encoding, so it stands for itself
  }
}
