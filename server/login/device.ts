import { createHmac, timingSafeEqual } from "node:crypto";
import { parse } from "hono/utils/cookie";
import { newSecret } from "../ids.ts";
import type { Services } from "../services.ts";
import { setCookie, type VisitContext } from "../visit.ts";

// Whoever knows an address could keep its owner out by failing with it again and again. A browser in which the owner
// has signed in before is counted apart, so that it is not slowed by what others try.

const yearSeconds = 365 * 24 * 3600;

/** The name of a browser in which this person (address in lower case) has signed in before; null for any other. */
export function knownDevice(c: VisitContext, email: string): string | null {
  const { services } = c.get("visit");
  const name = cookieName(services);
  const [device = "", tag = ""] = (parse(c.req.header("cookie") ?? "", name)[name] ?? "").split(".");
  const [given, expected] = [new TextEncoder().encode(tag), tagOf(services, { device, email })];
  return given.length === expected.length && timingSafeEqual(given, expected) ? device : null;
}

/** Has the browser known as one in which this person has signed in. */
export function rememberDevice(c: VisitContext, email: string): void {
  const { services } = c.get("visit");
  if (knownDevice(c, email) !== null) return;
  const device = newSecret("");
  const value = `${device}.${new TextDecoder().decode(tagOf(services, { device, email }))}`;
  setCookie(c, { name: cookieName(services), value, maxAge: yearSeconds });
}

function cookieName({ config }: Services): string {
  return config.baseUrl.startsWith("https:") ? "__Host-mesh_device" : "mesh_device";
}

function tagOf({ vault }: Services, { device, email }: { device: string; email: string }): Uint8Array {
  const hash = createHmac("sha256", vault.deriveKey("known devices")).update(JSON.stringify([device, email]));
  return new TextEncoder().encode(hash.digest("base64url"));
}
