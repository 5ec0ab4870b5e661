import { randomBytes } from "node:crypto";

const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"; // Crockford base 32, lower case

/** The prefixes of all ids, so that a person can tell what an id names. */
export type IdPrefix =
  | "conn"
  | "org"
  | "key"
  | "usr"
  | "mem"
  | "log"
  | "inv"
  | "req"
  | "dk"
  | "client"
  | "grant"
  | "consent"
  | "ask"
  | "cred"
  | "ucl";

/** Every two characters of the alphabet, by the ten bits that they stand for. */
const pairs = Array.from(
  { length: 1024 },
  (_, bits) => alphabet.charAt(bits >> 5) + alphabet.charAt(bits & 31),
);

let pool = randomBytes(4096);
let used = 0;

/** Where in the pool the next unused bytes begin. */
function take(count: number): number {
  if (used + count > pool.length) {
    pool = randomBytes(4096);
    used = 0;
  }
  used += count;
  return used - count;
}

let time = 0;
let stamp = "";
/** How many ids have this time already. */
let count = 0;

/** The milliseconds now as ten characters that sort; written out once a millisecond. */
function timeStamp(): string {
  const now = Date.now();
  if (now <= time && ++count < pairs.length) return stamp;
  // Beyond the clock rather than back: where a millisecond has no number left, or the clock was put back.
  time = Math.max(now, time + 1);
  count = 0;
  stamp = "";
  for (let i = 0, left = time; i < 10; i++, left = Math.floor(left / 32)) stamp = alphabet[left % 32] + stamp;
  return stamp;
}

/**
 * A new id: prefix, 50 bits of milliseconds, 10 that count those of one millisecond, so that ids of a process sort by
 * age, and 70 random bits.
 */
export function newId(prefix: IdPrefix): string {
  const at = take(14);
  let id = `${prefix}_${timeStamp()}${pairs[count]}`;
  for (let i = at; i < at + 14; i += 2) id += pairs[(pool[i]! << 8 | pool[i + 1]!) & 1023];
  return id;
}

/** An id that is made when it is first asked for. */
export class LazyId {
  readonly #prefix: IdPrefix;
  #value: string | null = null;

  constructor(prefix: IdPrefix) {
    this.#prefix = prefix;
  }

  get value(): string {
    return this.#value ??= newId(this.#prefix);
  }
}

/** A short name for addresses, made of a title: a-z, 0-9 and -. */
export function slugOf(title: string): string {
  const ascii = title.normalize("NFKD").toLowerCase().replace(/[^a-z0-9 _-]/g, "");
  return ascii.replace(/[ _-]+/g, "-").replace(/^-|-$/g, "").slice(0, 60) || "organization";
}

/** The same with an end of its own, where the short name is taken. */
export function distinctSlug(slug: string): string {
  return `${slug}-${randomBytes(4).toString("hex")}`;
}

/** A secret of 256 random bits, base64url, behind a prefix that secret scanners can know. */
export function newSecret(prefix: string): string {
  return prefix + randomBytes(32).toString("base64url");
}
