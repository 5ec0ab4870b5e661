import { AppError } from "../errors.ts";
import type { Header } from "./credentials.ts";

/** What templates can be filled with: who calls, in which organization, over which connection. */
export interface TemplateFacts {
  readonly user: {
    readonly id: string;
    readonly email: string;
    readonly name: string;
    readonly roles: readonly string[];
  };
  readonly organization: { readonly id: string; readonly slug: string };
  readonly connection: { readonly id: string };
}

const fillings: ReadonlyMap<string, (facts: TemplateFacts) => string> = new Map([
  ["user.id", ({ user }) => encoded(user.id)],
  ["user.email", ({ user }) => encoded(user.email)],
  ["user.name", ({ user }) => encoded(user.name)],
  ["user.roles", ({ user }) => user.roles.map(encoded).join(",")],
  ["organization.id", ({ organization }) => encoded(organization.id)],
  ["organization.slug", ({ organization }) => encoded(organization.slug)],
  ["connection.id", ({ connection }) => encoded(connection.id)],
]);

/** The names that may stand between braces. */
export const templateNames: readonly string[] = [...fillings.keys()];

// Everything else between braces is text, JSON for example.
const template = /(\{\{?)((?:user|organization|connection)\.[^{}]*)(\}?)/g;
const maxLength = 16 * 1024;

/** Whether any value has to go through `expand`; to be asked once a connection, not once a call. */
export function hasTemplates(headers: readonly Header[]): boolean {
  return headers.some(([, value]) => value.search(template) >= 0);
}

/** Why a header value cannot be used as a template, or null: a name that is not known, or a brace that is not closed. */
export function templateProblem(value: string): string | null {
  for (const [, open, name, close] of value.matchAll(template)) {
    if (open === "{{") continue;
    if (close === "") return "a '{' is not closed; write '{{' for a brace that is meant as one";
    if (!fillings.has(name!)) {
      return `'{${name!.slice(0, 60)}}' is not known; known are ${
        templateNames.map((one) => `{${one}}`).join(" ")
      }`;
    }
  }
  return null;
}

/**
 * Fills the templates of header values: `{user.email}` and its like; `{{user.email}` becomes `{user.email}`, and what
 * is not known stays as it is. What is filled in is percent-encoded as UTF-8 (RFC 3986 section 2.1), but for letters,
 * digits, blanks within it and `-._~@+`, so that no name can begin another header, or another field of this one; a
 * reader gets it back with decodeURIComponent. Roles are joined by commas. Throws `invalid` for a value too long.
 */
export function expand(headers: readonly Header[], facts: TemplateFacts): Header[] {
  return headers.map((header) => {
    const [name, value] = header;
    const filled = value.replace(template, (whole, open: string, inner: string, close: string) => {
      if (open === "{{") return `{${inner}${close}`;
      return close === "" ? whole : fillings.get(inner)?.(facts) ?? whole;
    });
    if (filled === value) return header;
    if (filled.length > maxLength || !/^[\t\x20-\x7e]*$/.test(filled)) {
      throw new AppError(
        "invalid",
        `Cannot fill in the header '${name}': its value is too long or cannot be sent`,
      );
    }
    return [name, filled.trim()];
  });
}

function encoded(text: string): string {
  const whole = encodeURIComponent(text.toWellFormed())
    .replace(/[!'()*]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`);
  // Blanks at an end would be lost on the way. RFC 9110 section 5.5
  return whole.replaceAll("%40", "@").replaceAll("%2B", "+").replace(/(?!^)%20(?!$)/g, " ");
}
