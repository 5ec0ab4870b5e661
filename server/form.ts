import type { FormState } from "../views/types.ts";
import { AppError } from "./errors.ts";

/** Bytes of a form: of somebody who is signed in, and of anybody. */
const maxForm = { member: 1_000_000, guest: 64 * 1024 };

/** What a form of a page holds. */
export class Entries {
  readonly #data: URLSearchParams;

  constructor(data: URLSearchParams) {
    this.#data = data;
  }

  /** The text of a field, "" where it is missing; line breaks as one character. */
  text(name: string): string {
    return withPlainBreaks(this.#data.get(name) ?? "");
  }

  /** Every text of a repeated field. */
  all(name: string): string[] {
    return this.#data.getAll(name);
  }

  /** The texts of all fields whose name begins so, the first of each. */
  starting(prefix: string): Record<string, string> {
    const found = new Map<string, string>();
    for (const [name, value] of this.#data) {
      if (name.startsWith(prefix) && !found.has(name)) found.set(name, withPlainBreaks(value));
    }
    return Object.fromEntries(found);
  }

  /** The texts of the named fields, to be given back in a form. */
  pick(...names: string[]): Record<string, string> {
    return Object.fromEntries(names.map((name) => [name, this.text(name)]));
  }
}

function withPlainBreaks(text: string): string {
  return text.replaceAll("\r\n", "\n");
}

/** Reads the form of a POST, as pages of ours send it. Throws `too_large` and `malformed`. */
export async function readForm(request: Request, from: keyof typeof maxForm): Promise<Entries> {
  const type = request.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase();
  if (type !== "application/x-www-form-urlencoded") {
    throw new AppError("malformed", "Cannot read the form: it is not one");
  }
  return new Entries(new URLSearchParams(await readText(request, maxForm[from])));
}

async function readText({ body }: Request, most: number): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let size = 0;
  for await (const part of body ?? []) {
    size += part.length;
    if (size > most) throw new AppError("too_large", `Cannot read the form: it is larger than ${most} bytes`);
    text += decoder.decode(part, { stream: true });
  }
  return text + decoder.decode();
}

/** What a form shows after a refusal: what was entered, and what is wrong with it by the names of its fields. */
export interface Refusal {
  readonly status: 409 | 422 | 429;
  readonly form: FormState;
  /** Headers of the answer beside the usual ones. */
  readonly headers: Record<string, string>;
}

const correctable = ["invalid", "conflict", "outbound_refused", "unauthenticated", "rate_limited"] as const;

/**
 * Turns a failure that the person can correct into the state of the form; `names` gives the form's field for one of
 * the action's (`data.title`: `title`). Rethrows any other.
 */
export function refusalOf(
  error: unknown,
  { values, names = {} }: { values: Record<string, string>; names?: Record<string, string> },
): Refusal {
  if (!(error instanceof AppError) || !correctable.some((code) => code === error.code)) throw error;
  const errors: Record<string, string> = {};
  const rest: string[] = [];
  for (const [field, message] of Object.entries(error.fields ?? {})) {
    const { name, detail } = controlOf(field, names);
    if (name in values) errors[name] ??= sentence(detail === "" ? message : `${placeOf(detail)}: ${message}`);
    else rest.push(message);
  }
  const said = Object.keys(errors).length > 0 && rest.length === 0;
  const status = error.code === "conflict" ? 409 : error.code === "rate_limited" ? 429 : 422;
  const wait = error.retryAfterSeconds;
  return {
    status,
    form: { values, errors, message: said ? undefined : error.message },
    headers: wait === undefined ? {} : { "retry-after": String(wait) },
  };
}

/** The form's field for one of the action's, which may lie inside of what the form's field says. */
function controlOf(field: string, names: Record<string, string>): { name: string; detail: string } {
  const outer = Object.keys(names).find((known) => field === known || field.startsWith(`${known}.`));
  if (outer === undefined) return { name: field, detail: "" };
  return { name: names[outer] ?? field, detail: field.slice(outer.length).split(".").at(-1) ?? "" };
}

/** Lists are entered line by line. */
function placeOf(detail: string): string {
  return /^\d+$/.test(detail) ? `line ${Number(detail) + 1}` : detail;
}

/** Field messages continue "Cannot ...: FIELD: "; under a field they stand alone. */
function sentence(message: string): string {
  return message.charAt(0).toUpperCase() + message.slice(1);
}
