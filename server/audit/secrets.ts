import { LRUCache } from "lru-cache";

/** What stands in place of a secret. */
export const mask = "***";

function words(text: string): ReadonlySet<string> {
  return new Set(text.split(" "));
}

const secretWords = words(
  "password passwords passwd passphrase passcode pwd secret secrets token tokens jwt bearer authorization " +
    "cookie cookies credential credentials creds apikey apikeys otp totp",
);
/** Words that make a secret of `key` behind them. */
const keyKinds = words(
  "api access secret private signing encryption master ssh auth account shared client service license",
);
/** Words that make a bookmark of `token` behind them. */
const bookmarks = words("page next continuation progress");
/** Names that end so say something about a secret, they do not hold it: `token_type`, `password_policy`. */
const aboutWords = words(
  "type types count counts limit limits budget usage name names url uri endpoint endpoints expiry expires " +
    "expiration at in length size policy hint method methods scheme supported required enabled index server servers",
);
const endsSecret =
  /(?:password|passwd|passphrase|secret|token|apikey|accesskey|privatekey|secretkey|authorization|cookie|credentials?)$/;

const judged = new LRUCache<string, boolean>({ max: 2000 });

/** True where a field of this name holds a secret: `password`, `apiKey`, `x-api-key`, `GITHUB_TOKEN`. */
export function namesSecret(name: string): boolean {
  if (name.length > 128) return false;
  let secret = judged.get(name);
  if (secret === undefined) judged.set(name, secret = judge(name));
  return secret;
}

function judge(name: string): boolean {
  const parts = name.replace(/([a-z0-9])([A-Z])/g, "$1 $2").toLowerCase().split(/[^a-z0-9]+/).filter(Boolean);
  const last = parts.at(-1);
  const before = parts.at(-2) ?? "";
  if (last === undefined || aboutWords.has(last)) return false;
  if (last === "id" || last === "ids") return before === "secret"; // one half of a pair at some vaults
  if (last === "token" && bookmarks.has(before)) return false;
  if (parts.some((part) => secretWords.has(part))) return true;
  if (parts.some((part, i) => /^keys?$/.test(part) && keyKinds.has(parts[i - 1] ?? ""))) return true;
  return endsSecret.test(parts.join(""));
}

/** True where the value of a field with a secret's name is none: `has_token: true`, `max_tokens: 100`. */
export function isHarmless(name: string, value: unknown): boolean {
  return typeof value === "boolean" || (typeof value === "number" && /tokens/i.test(name));
}

const holders = words("headers envVars env");
/** Fields of a connection that hold secrets in whatever shape they come, the wrong ones too. */
const sealedFields = words("connection_headers configuration_state client_certificate");
/** What of `oauth_config` is no secret. */
const oauthSettings = words(
  "client_id token_endpoint_auth_method scope authorization_server resource grant_type registration " +
    "assertion_audience",
);

/** True where all that a field of this name holds are secrets. */
export function holdsSecrets(name: string, value: unknown): boolean {
  if (sealedFields.has(name)) return true;
  const isObject = typeof value === "object" && !Array.isArray(value);
  if (name === "oauth_config") return !isObject;
  if (name === "personal_headers") return isObject; // a list is one of names
  return holders.has(name) && typeof value === "object";
}

/**
 * The first members of an `oauth_config` with all masked but its settings, also what it does not have: a misspelt
 * secret is one.
 */
export function withoutOauthSecrets(config: object, most: number): Record<string, unknown> {
  const members = config as Record<string, unknown>;
  return Object.fromEntries(
    Object.keys(config).slice(0, most).map((name) => {
      const value = members[name];
      const open = value === null || (oauthSettings.has(name) && typeof value !== "object");
      return [name, open ? value : mask];
    }),
  );
}

/** A cheap first look: false only for texts, and JSON texts, that `redactText` and `namesSecret` leave alone. */
export const suspicious: RegExp = new RegExp(
  [
    // names
    "pass|pwd|secret|token|jwt|bearer|basic|authoriz|cookie|cred|key|otp|signature|headers|env|configuration_state|client_certificate|oauth_config|connection_url",
    // values
    "mesh_|[sr]k[-_]|gh[pousr]_|github_pat|glpat|xox|xapp|akia|asia|aiza|ya29|eyj|npm_|hf_|whsec|sg\\.|-----begin",
    // URLs
    '://[^\\s/"]*@|[?&;#](?:code|sig|sid|auth|session|state)=',
  ].join("|"),
  "i",
);

/**
 * Tokens of known makers. Every alternative is a literal and then one run of characters, so a failed attempt is short;
 * a JSON Web Token is matched from its first part on and judged by `maskedToken`.
 */
const tokens = new RegExp(
  [
    "mesh_(?:key|at|rt|ac|cs)_[\\w-]{4,}",
    "gh[pousr]_\\w{6,}",
    "github_pat_\\w{6,}",
    "glpat-[\\w-]{8,}",
    "xox[a-z]-[\\w-]{6,}",
    "eyJ[\\w-]{5,}(?:\\.[\\w-]*){0,4}",
    "(?<![A-Za-z0-9])(?:" + [
      "[sr]k[-_][\\w-]{8,}",
      "(?:AKIA|ASIA)[A-Z0-9]{12,}",
      "AIza[\\w-]{20,}",
      "ya29\\.[\\w-]{8,}",
      "xapp-[\\w-]{8,}",
      "npm_\\w{20,}",
      "hf_\\w{16,}",
      "whsec_\\w{12,}",
      "SG\\.[\\w-]{12,}(?:\\.[\\w-]*)?",
    ].join("|") + ")",
  ].join("|"),
  "g",
);

const privateKey =
  /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----|$)/g;
/** A whole header: what follows is secret up to the end of the line or of the quoted text. */
const headerLine =
  /\b((?:proxy-)?authorization|(?:set-)?cookie)(\\{0,3}["']?[ \t]{0,4}[:=][ \t]{0,4}\\{0,3}["']?)[^\r\n"'\\]+/gi;
const scheme = /\b(bearer|basic)([ \t]{1,4})([A-Za-z0-9._~+\/=-]{3,})/gi;
const userInfo = /(:\/\/[^\s\/?#@"'\\<>:]{0,256}:)[^\s\/?#"'\\<>]{1,1024}(?=@)/g;
const queryPair = /([?&;#])([\w.~%\[\]-]{1,64})=([^&\s"'<>#;\\]+)/g;
const queryNames = /^(?:key|sig|signature|code|sid|auth|session|state|x-amz-(?:signature|credential))$/i;
/** Words that follow `Bearer` and `Basic` in prose. */
const prose =
  /^(?:tokens?|auth|authentication|authorization|credentials?|scheme|methods?|usage|information|info|(?:realm|error|scope|resource_metadata)=.*)$/i;

/** True where a parameter of a query by this name holds a secret. */
export function isQuerySecret(name: string): boolean {
  return namesSecret(name) || queryNames.test(name);
}

/** The text with everything that looks like a secret replaced, in time linear in its length. */
export function redactText(text: string): string {
  if (!suspicious.test(text)) return text;
  const redacted = text
    .replace(privateKey, "[private key]")
    .replace(headerLine, `$1$2${mask}`)
    .replace(
      scheme,
      (all, name: string, space: string, value: string) =>
        hidesCredential(name, value) ? name + space + mask : all,
    )
    .replace(userInfo, `$1${mask}`)
    .replace(
      queryPair,
      (all, lead: string, name: string) => isQuerySecret(name) ? `${lead}${name}=${mask}` : all,
    )
    .replace(tokens, maskedToken);
  return withoutAssigned(redacted);
}

/** Text that begins like a JSON Web Token is one where a second part follows. RFC 7515 section 3.1 */
function maskedToken(token: string): string {
  return token.startsWith("eyJ") && !token.includes(".") ? token : mask;
}

function hidesCredential(scheme: string, value: string): boolean {
  if (prose.test(value)) return false;
  if (scheme.toLowerCase() === "bearer") return true;
  const base64 = value.replace(/={1,2}$/, "");
  if (base64.length % 4 === 1 || /[^A-Za-z0-9+\/]/.test(base64)) return false; // an ordinary word behind "basic"
  return atob(base64).includes(":"); // RFC 7617 section 2: user-id ":" password
}

/** What comes before the value in `name: value`, `name=value` and `"name": "value"`, also escaped as in JSON text. */
const assignment = /\b([A-Za-z][\w-]{2,63})\\{0,3}["']?[ \t]{0,4}[:=][ \t]{0,4}/g;
const quoted = /(\\{0,3})(["'])/y;
const bare = /[^\s"'\\,;&(){}\[\]<>]+/y;

/** Masks the values that stand behind the names of secrets. */
function withoutAssigned(text: string): string {
  let result = "";
  let copied = 0;
  for (const match of text.matchAll(assignment)) {
    const from = match.index + match[0].length;
    const name = match[1] ?? "";
    if (match.index < copied || !namesSecret(name)) continue;
    const [start, end] = valueAt(text, from);
    const value = text.slice(start, end);
    if (start === end || value.startsWith(mask) || isHarmless(name, plain(value))) continue;
    result += text.slice(copied, start) + mask;
    copied = end;
  }
  return result + text.slice(copied);
}

/** Where the value at a place begins and ends, its quotes left out. */
function valueAt(text: string, from: number): [number, number] {
  quoted.lastIndex = bare.lastIndex = from;
  const opening = quoted.exec(text);
  if (!opening) return [from, from + (bare.exec(text)?.[0].length ?? 0)];
  const [all, escapes = "", quote = ""] = opening;
  const start = from + all.length;
  for (let at = text.indexOf(quote, start); at >= 0; at = text.indexOf(quote, at + 1)) {
    let slashes = 0;
    while (at - slashes > start && text[at - slashes - 1] === "\\") slashes++;
    if (slashes <= escapes.length) return [start, at - slashes];
  }
  return [start, text.length];
}

/** The value of a word that JSON would read as another type than text. */
function plain(word: string): unknown {
  if (word === "null" || word === "undefined") return false;
  if (word === "true" || word === "false") return word === "true";
  return /^\d{1,15}$/.test(word) ? Number(word) : word;
}
