import { LRUCache } from "lru-cache";

/** What stands in place of a secret. */
export const mask = "***";

const secretWords = new Set(
  ("password passwords passwd passphrase passcode pwd secret secrets token tokens jwt bearer authorization " +
    "cookie cookies credential credentials creds apikey apikeys otp totp signature").split(" "),
);
/** Words that make a secret of `key` behind them. */
const keyKinds = new Set(
  "api access secret private signing encryption master ssh auth account shared client service license".split(
    " ",
  ),
);
/** Names that end so speak about a secret, they do not hold it: `token_type`, `password_policy`. */
const aboutWords = new Set(
  ("type types count counts limit limits budget usage name names url uri endpoint endpoints expiry expires " +
    "expiration at in length size policy hint method methods scheme supported required enabled index").split(
      " ",
    ),
);
const endsSecret =
  /(?:password|passwd|passphrase|secret|token|apikey|accesskey|privatekey|secretkey|authorization|cookie|credentials?)$/;

const known = new LRUCache<string, boolean>({ max: 2000 });

/** True where a field of this name holds a secret: `password`, `apiKey`, `x-api-key`, `GITHUB_TOKEN`. */
export function namesSecret(name: string): boolean {
  if (name.length > 128) return false;
  let secret = known.get(name);
  if (secret === undefined) known.set(name, secret = judge(name));
  return secret;
}

function judge(name: string): boolean {
  const words = name.replace(/([a-z0-9])([A-Z])/g, "$1 $2").toLowerCase().split(/[^a-z0-9]+/).filter(Boolean);
  const last = words.at(-1);
  if (last === undefined || aboutWords.has(last)) return false;
  if (words.some((word) => secretWords.has(word))) return true;
  if (words.some((word, i) => /^keys?$/.test(word) && keyKinds.has(words[i - 1] ?? ""))) return true;
  return endsSecret.test(words.join(""));
}

/** Names of containers all of whose values are secrets. */
export function holdsSecrets(name: string): boolean {
  return name === "headers" || name === "envVars" || name === "env" || name === "configuration_state";
}

/** A cheap first look: false only for texts, and JSON texts, that `redactText` and `namesSecret` leave alone. */
export const suspicious: RegExp = new RegExp(
  [
    // names
    "pass|pwd|secret|token|jwt|bearer|basic|authoriz|cookie|cred|key|otp|signature|headers|env|configuration_state",
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
    "mesh_(?:key|at|rt)_[\\w-]{4,}",
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
      "SG\\.[\\w-]{12,}",
    ].join("|") + ")",
  ].join("|"),
  "g",
);

const privateKey =
  /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----(?:(?!-----END)[\s\S])*(?:-----END[A-Z0-9 ]*-----)?/g;
/** A whole header: what follows is secret up to the end of the line or of the quoted text. */
const headerLine =
  /\b((?:proxy-)?authorization|(?:set-)?cookie)(\\{0,3}["']?[ \t]{0,4}[:=][ \t]{0,4}\\{0,3}["']?)([^\r\n"'\\]+)/gi;
const scheme = /\b(bearer|basic)([ \t]{1,4})([A-Za-z0-9._~+\/=-]{3,})/gi;
const userInfo = /(:\/\/[^\s\/?#@"'\\<>:]{0,256}:)[^\s\/?#"'\\<>]{1,1024}(?=@)/g;
const queryPair = /([?&;#])([\w.~%\[\]-]{1,64})=([^&\s"'<>#;\\]+)/g;
/** `name: value`, `name=value`, `"name": "value"`, also with the quotes escaped as inside of JSON text. */
const assignment =
  /\b([A-Za-z][\w-]{2,63})(\\{0,3}["']?[ \t]{0,4}[:=][ \t]{0,4})(\\{0,3}"[^"\\]*|'[^'\\]*|[^\s"'\\,;&(){}\[\]<>]+)/g;
const queryNames = /^(?:key|sig|code|sid|auth|session|state|x-amz-(?:signature|credential))$/i;
/** Words that follow `Bearer` and `Basic` in prose. */
const prose =
  /^(?:tokens?|auth|authentication|authorization|credentials?|scheme|realm=?|error=?|methods?|usage|information|info)$/i;

/** The text with everything that looks like a secret replaced, in time linear in its length. */
export function redactText(text: string): string {
  if (!suspicious.test(text)) return text;
  return text
    .replace(privateKey, "[private key]")
    .replace(headerLine, (_, name: string, between: string) => name + between + mask)
    .replace(
      scheme,
      (all, name: string, space: string, value: string) =>
        hidesCredential(name, value) ? name + space + mask : all,
    )
    .replace(userInfo, `$1${mask}`)
    .replace(
      queryPair,
      (all, lead: string, name: string) =>
        namesSecret(name) || queryNames.test(name) ? `${lead}${name}=${mask}` : all,
    )
    .replace(
      assignment,
      (all, name: string, between: string, value: string) =>
        namesSecret(name) ? name + between + masked(value) : all,
    )
    .replace(tokens, maskedToken);
}

function masked(value: string): string {
  const quote = /^\\{0,3}["']/.exec(value)?.[0] ?? "";
  const bare = value.slice(quote.length);
  return /^(?:true|false|null|undefined|\*{3}|)$/.test(bare) ? value : quote + mask;
}

/** Text that begins like a JSON Web Token is one where a second part follows. RFC 7515 section 3.1 */
function maskedToken(token: string): string {
  return token.startsWith("eyJ") && !token.includes(".") ? token : mask;
}

function hidesCredential(scheme: string, value: string): boolean {
  if (prose.test(value)) return false;
  if (scheme.toLowerCase() === "bearer") return true;
  try {
    return atob(value).includes(":"); // RFC 7617 section 2: user-id ":" password
  } catch {
    return false; // not base64: an ordinary word behind "basic"
  }
}
