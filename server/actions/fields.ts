import { z } from "zod";
import { builtInRoles } from "../access/roles.ts";

/** What a field that is missing is told. */
export function required(issue: { input?: unknown }): string | undefined {
  return issue.input === undefined ? "it is required" : undefined;
}

/** Text of one line, at most `max` characters. */
export function line(max: number) {
  return z.string().trim().max(max, `it must have at most ${max} characters`)
    .regex(/^\P{Cc}*$/u, "it must not contain control characters");
}

/** Text of several lines, at most `max` characters. */
export function paragraph(max: number) {
  return z.string().trim().max(max, `it must have at most ${max} characters`)
    .regex(/^[\P{Cc}\n\r\t]*$/u, "it must not contain control characters");
}

/** The id of something; whether it exists is another question. */
export function idField() {
  return z.string().regex(/^[\w-]{1,64}$/, "it is not an id");
}

/** A JSON object of at most `max` characters. */
export function jsonObject(max: number) {
  return z.record(z.string(), z.unknown()).refine(
    (value) => JSON.stringify(value).length <= max,
    `it must not be longer than ${max} characters of JSON`,
  );
}

/** The roles of a member, each once. */
export function rolesField() {
  return z.array(z.enum(builtInRoles, `it must be one of ${builtInRoles.join(", ")}`))
    .min(1, "it must name a role").max(10)
    .refine((roles) => new Set(roles).size === roles.length, "it names a role twice");
}

/** A time in milliseconds as ISO 8601. */
export function isoOf(time: number): string {
  return new Date(time).toISOString();
}

/**
 * What `schema` reads, of at most `max` values however they are nested. More are refused unread: each of a million
 * wrong ones would get a complaint of its own.
 */
export function atMost<T extends z.ZodType>(max: number, schema: T) {
  return z.preprocess((raw, context) => {
    if (!holdsMore(raw, max)) return raw;
    context.addIssue({ code: "custom", message: `it must not hold more than ${max} values` });
    return z.NEVER;
  }, schema);
}

function holdsMore(value: unknown, max: number): boolean {
  const waiting = [value];
  for (let count = 0; waiting.length > 0; count++) {
    if (count + waiting.length > max + 1) return true;
    const next = waiting.pop();
    if (typeof next !== "object" || next === null) continue;
    const inner: unknown[] = Array.isArray(next) ? next : Object.values(next);
    if (inner.length > max) return true;
    waiting.push(...inner);
  }
  return false;
}
