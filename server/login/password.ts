import { Buffer } from "node:buffer";
import { randomBytes, scrypt, timingSafeEqual } from "node:crypto";
import { AppError } from "../errors.ts";

/** The cost of a hash: memory is 128 * N * r bytes, here 32 MiB. */
const cost = { N: 2 ** 15, r: 8, p: 1 } as const;
const hashBytes = 32;
const saltBytes = 16;
const maxMemory = 2 ** 28; // no stored hash may ask for more

const minPasswordLength = 8;
const maxPasswordLength = 256;

/** Most hashes that are made at once: each holds 32 MiB. */
const maxRunning = 2;
const maxWaiting = 100;

const load = { running: 0, started: 0 };
const waiting: (() => void)[] = [];

/** How many hashes are made now, wait, and were begun since the start of the process. */
export function hashingLoad(): { running: number; waiting: number; started: number } {
  return { ...load, waiting: waiting.length };
}

/** Says what is wrong with a new password, or null. Lengths are in characters. */
export function problemOfPassword(password: string): string | null {
  const length = [...normalize(password)].length;
  if (length < minPasswordLength) return `it must have at least ${minPasswordLength} characters`;
  if (length > maxPasswordLength) return `it must have at most ${maxPasswordLength} characters`;
  return null;
}

/** A new hash, `scrypt$N$r$p$salt$hash`, made off the event loop. Throws `unavailable` while too many wait. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(saltBytes);
  const hash = await derive(password, { ...cost, salt });
  return ["scrypt", cost.N, cost.r, cost.p, salt.toString("base64url"), hash.toString("base64url")].join("$");
}

/**
 * True where the password made the hash. Without a hash (the address has no account, or no password) it costs
 * the same and is false. Throws `unavailable` while too many wait.
 */
export async function verifyPassword(password: string, stored: string | null): Promise<boolean> {
  const expected = parseHash(stored ?? dummyHash);
  const actual = await derive(password, expected);
  return timingSafeEqual(actual, expected.hash) && stored !== null;
}

/** The hash of a password that nobody has. */
const dummyHash = [
  "scrypt",
  cost.N,
  cost.r,
  cost.p,
  randomBytes(saltBytes).toString("base64url"),
  randomBytes(hashBytes).toString("base64url"),
].join("$");

interface Cost {
  N: number;
  r: number;
  p: number;
  salt: Buffer;
}

function parseHash(stored: string): Cost & { hash: Buffer } {
  const [name, n, r, p, salt, hash, ...rest] = stored.split("$");
  const parsed = {
    N: Number(n),
    r: Number(r),
    p: Number(p),
    salt: Buffer.from(salt ?? "", "base64url"),
    hash: Buffer.from(hash ?? "", "base64url"),
  };
  const known = name === "scrypt" && rest.length === 0 && parsed.hash.length === hashBytes;
  if (!known || !(128 * parsed.N * parsed.r * parsed.p <= maxMemory)) {
    throw new Error("Cannot verify a password: its stored hash is of an unknown form");
  }
  return parsed;
}

/** Unicode has several spellings of one word; keyboards differ in which they type. NIST SP 800-63B section 5.1.1.2 */
function normalize(password: string): string {
  return password.normalize("NFKC");
}

async function derive(password: string, { N, r, p, salt }: Cost): Promise<Buffer> {
  await enter();
  load.started++;
  try {
    return await new Promise((resolve, reject) => {
      const options = { N, r, p, maxmem: 2 * 128 * N * r * p };
      scrypt(normalize(password), salt, hashBytes, options, (error, hash) => {
        if (error) reject(error);
        else resolve(hash);
      });
    });
  } finally {
    leave();
  }
}

async function enter(): Promise<void> {
  if (load.running < maxRunning) {
    load.running++;
    return;
  }
  if (waiting.length >= maxWaiting) {
    throw new AppError("unavailable", "Cannot check a password now: too many people sign in at once", {
      retryAfterSeconds: 5,
    });
  }
  await new Promise<void>((resolve) => waiting.push(resolve)); // its place is handed over, so running stays
}

function leave(): void {
  const next = waiting.shift();
  if (next) next();
  else load.running--;
}
