import { AppError } from "../errors.ts";

/** The headers of a text with `Name: value` a line, or null without any. Throws `invalid` for the field `headers`. */
export function headersIn(text: string): Record<string, string> | null {
  const headers = new Map<string, string>();
  const known = new Set<string>();
  for (const line of text.split("\n").map((one) => one.trim()).filter((one) => one !== "")) {
    const [name, value] = headerOf(line);
    if (known.has(name.toLowerCase())) throw wrong(`'${name}' is there twice`);
    known.add(name.toLowerCase());
    headers.set(name, value);
  }
  return headers.size === 0 ? null : Object.fromEntries(headers);
}

function headerOf(line: string): [name: string, value: string] {
  const colon = line.indexOf(":");
  const name = line.slice(0, Math.max(0, colon)).trimEnd();
  const value = line.slice(colon + 1).trim();
  if (/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name) && /^.+$/.test(value)) return [name, value];
  throw wrong("each line is a name, a colon and a value");
}

function wrong(reason: string): AppError {
  return new AppError("invalid", `Cannot use the headers: ${reason}`, { fields: { headers: reason } });
}
