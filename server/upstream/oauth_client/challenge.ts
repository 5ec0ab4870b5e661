/** One challenge of a WWW-Authenticate header; the scheme and the names are in lower case. */
export interface Challenge {
  readonly scheme: string;
  readonly parameters: ReadonlyMap<string, string>;
}

/** What a server says when it asks for a token, or for a better one. */
export interface BearerChallenge {
  /** Where the resource describes itself. RFC 9728 section 5.1 */
  readonly resourceMetadata: string | null;
  readonly scope: string | null;
  readonly error: string | null;
}

const maxLength = 16 * 1024;
const token = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/y; // RFC 9110 section 5.6.2
const token68 = /[A-Za-z0-9\-._~+/]+=*(?=[ \t]*(?:,|$))/y; // RFC 9110 section 11.2
const blank = /[ \t]*/y;
const separators = /[ \t,]*/y;
const quotedText = /"((?:[^"\\]|\\[^])*)"/y;
const unquoted = /[^, \t]*/y;
const rest = /[^,]*/y;

/**
 * The challenges of a header, several schemes and quoted commas included (CL01); several headers are joined by commas.
 * What is malformed is passed over. RFC 9110 section 11.6.1
 */
export function parseChallenges(header: string): Challenge[] {
  const reader = new Reader(header.slice(0, maxLength));
  const found: { scheme: string; parameters: Map<string, string> }[] = [];
  while (reader.take(separators) !== null && !reader.atEnd) {
    const name = reader.take(token);
    if (name === null) {
      reader.skip(rest);
      continue;
    }
    const current = found.at(-1);
    const value = reader.value();
    if (value !== null) {
      if (current && !current.parameters.has(name.toLowerCase())) {
        current.parameters.set(name.toLowerCase(), value);
      }
      continue;
    }
    found.push({ scheme: name.toLowerCase(), parameters: new Map() });
    reader.take(blank);
    reader.take(token68);
  }
  return found;
}

/** What the bearer challenge of a header says; null where the header asks for no token. */
export function bearerChallenge(header: string | null | undefined): BearerChallenge | null {
  if (!header) return null;
  const challenges = parseChallenges(header);
  const bearer = challenges.filter(({ scheme }) => scheme === "bearer");
  const chosen = bearer.find(({ parameters }) => parameters.has("resource_metadata")) ?? bearer[0] ??
    challenges.find(({ parameters }) => parameters.has("resource_metadata"));
  if (!chosen) return null;
  return {
    resourceMetadata: chosen.parameters.get("resource_metadata") ?? null,
    scope: scopeIn(chosen.parameters.get("scope")),
    error: chosen.parameters.get("error") ?? null,
  };
}

/** A scope as it may be sent, or null. RFC 6749 section 3.3 */
export function scopeIn(value: unknown): string | null {
  if (typeof value !== "string") return null;
  const names = value.split(/[ \t]+/).filter((name) => /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(name));
  return names.length === 0 ? null : [...new Set(names)].join(" ");
}

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get atEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  /** What the pattern matches here, which is then behind; null where it does not. */
  take(pattern: RegExp): string | null {
    const match = this.#match(pattern);
    if (match === null) return null;
    this.#at += match[0].length;
    return match[1] ?? match[0];
  }

  skip(pattern: RegExp): void {
    this.#at += Math.max(1, this.#match(pattern)?.[0].length ?? 0);
  }

  /** What follows an equals sign; null, and nothing is taken, where none does. */
  value(): string | null {
    const start = this.#at;
    this.take(blank);
    if (this.#text[this.#at] !== "=") {
      this.#at = start;
      return null;
    }
    this.#at++;
    this.take(blank);
    const quotes = this.#match(quotedText);
    if (quotes) {
      this.#at += quotes[0].length;
      return (quotes[1] ?? "").replace(/\\([^])/g, "$1");
    }
    return this.take(unquoted) ?? "";
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    return pattern.exec(this.#text);
  }
}
