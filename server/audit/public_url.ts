import { isQuerySecret, mask, redactText } from "./secrets.ts";

const parts = /^([a-z][a-z0-9+.-]*:\/\/)([^\/?#]*)([^?#]*)(\?[^#]*)?(#.*)?$/is;

/**
 * What may be shown of a URL: parts of its path and query that are secrets, or look like it, are `***`. Servers hand
 * out addresses that let in whoever knows them, or want a key in the query.
 */
export function publicUrl(url: string): string {
  const [, scheme, host = "", path = "", query = "", fragment] = parts.exec(url) ?? [];
  if (scheme === undefined) return mask;
  return scheme + host.replace(/^.*@/s, `${mask}@`) +
    path.replace(/[^\/]+/g, (segment) => looksSecret(segment) ? mask : segment) +
    query.replace(/([?&;])([^=&;]*)(=?)([^&;]*)/g, shownPair) + (fragment ? `#${mask}` : "");
}

function shownPair(_all: string, lead: string, name: string, equals: string, value: string): string {
  const hides = value !== "" && (isQuerySecret(decoded(name)) || looksSecret(value));
  return lead + (looksSecret(name) ? mask : name) + equals + (hides ? mask : value);
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
