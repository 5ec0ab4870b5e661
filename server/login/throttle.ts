import { createHash } from "node:crypto";
import { networkOf } from "../access/network.ts";
import { AppError } from "../errors.ts";
import type { Db } from "../storage/dialect.ts";
import * as throttles from "../storage/throttles.ts";

/** How attempts under one kind of name are slowed: `free` ones at once, then 1, 2, 4 ... seconds up to `maxSeconds`. */
interface Rule {
  free: number;
  maxSeconds: number;
}

const rules = {
  address: { free: 5, maxSeconds: 300 },
  client: { free: 20, maxSeconds: 900 },
} as const satisfies Record<string, Rule>;

/** Without an attempt for this long, counting starts again. */
const forgottenMs = 3600_000;

/** Who attempts: for an e-mail address (none where the attempt names nobody), from a client address. */
export interface Attempt {
  /** What is attempted, such as `sign-in`; each is counted apart. */
  purpose: string;
  /** Lower case. */
  email?: string;
  /** A browser that is known to be that person's own: it is counted apart from all others. */
  device?: string | null | undefined;
  clientAddress: string;
}

/**
 * Counts an attempt before it is made, so that many at once are not checked all.
 * Throws `rate_limited` with the seconds to wait; it does not depend on whether the address has an account.
 */
export async function take(db: Db, attempt: Attempt): Promise<void> {
  const now = Date.now();
  const names = namesOf(attempt);
  const counted = [{ id: names.client, next: counter(rules.client, now) }];
  if (names.address) counted.push({ id: names.address, next: counter(rules.address, now) });
  const blockedUntil = await throttles.take(db, counted, now);
  if (blockedUntil === 0) return;
  const retryAfterSeconds = Math.max(1, Math.ceil((blockedUntil - now) / 1000));
  throw new AppError("rate_limited", `Too many attempts: try again in ${retryAfterSeconds} s`, {
    retryAfterSeconds,
  });
}

/** An attempt that succeeded: the address starts anew, and the client's counter is as it was before. */
export async function succeed(db: Db, attempt: Attempt): Promise<void> {
  const { client, address } = namesOf(attempt);
  await throttles.giveBack(db, client);
  if (address) await throttles.clear(db, address);
}

/** Removes counters that count nothing any more. */
export async function removeOld(db: Db): Promise<void> {
  await throttles.removeOld(db, Date.now() - forgottenMs);
}

function counter({ free, maxSeconds }: Rule, now: number): throttles.Counted["next"] {
  return (row) => {
    const failures = now - row.updatedAt > forgottenMs ? 1 : row.failures + 1;
    const seconds = failures <= free ? 0 : Math.min(maxSeconds, 2 ** (failures - free - 1));
    return { failures, blockedUntil: seconds === 0 ? 0 : now + seconds * 1000, updatedAt: now };
  };
}

function namesOf(attempt: Attempt): { client: string; address: string | null } {
  const { purpose, email, device, clientAddress } = attempt;
  const address = email === undefined
    ? null
    : device
    ? name(purpose, "device", device, email)
    : name(purpose, "address", email);
  return { client: name(purpose, "client", networkOf(clientAddress)), address };
}

/** A name of fixed length that does not tell the address. */
function name(...parts: string[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("base64url");
}
