import { z } from "zod";
import { builtInRoles } from "../access/roles.ts";

/** What a field that is missing is told. */
export function required(issue: { input?: unknown }): string | undefined {
  return issue.input === undefined ? "it is required" : undefined;
}

/** Text of one line, at most `max` characters. */
export function line(max: number) {
  return z.string({ error: required }).trim().max(max, `it must have at most ${max} characters`)
    .regex(/^\P{Cc}*$/u, "it must not contain control characters");
}

/** Text of several lines, at most `max` characters. */
export function paragraph(max: number) {
  return z.string({ error: required }).trim().max(max, `it must have at most ${max} characters`)
    .regex(/^[\P{Cc}\n\r\t]*$/u, "it must not contain control characters");
}

/** The id of something; whether it exists is another question. */
export function idField() {
  return z.string({ error: required }).regex(/^[\w-]{1,64}$/, "it is not an id");
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
  return z.array(z.enum(builtInRoles, `it must be one of ${builtInRoles.join(", ")}`), { error: required })
    .min(1, "it must name a role").max(10)
    .refine((roles) => new Set(roles).size === roles.length, "it names a role twice");
}

/** A time in milliseconds as ISO 8601. */
export function isoOf(time: number): string {
  return new Date(time).toISOString();
}
