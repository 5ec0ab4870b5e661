import { AppError } from "../errors.ts";

/** The headers of a text with `Name: value` a line, or null without any. Throws `invalid` for the field `headers`. */
export function headersIn(text: string): Record<string, string> | null {
  const headers: Record<string, string> = {};
  for (const line of text.split("\n").map((one) => one.trim()).filter((one) => one !== "")) {
    const [, name = "", value = ""] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*:\s*(.+)$/.exec(line) ?? [];
    if (name === "") throw wrong("each line is a name, a colon and a value");
    if (Object.keys(headers).some((known) => known.toLowerCase() === name.toLowerCase())) {
      throw wrong(`'${name}' is there twice`);
    }
    headers[name] = value;
  }
  return Object.keys(headers).length === 0 ? null : headers;
}

function wrong(reason: string): AppError {
  return new AppError("invalid", `Cannot use the headers: ${reason}`, { fields: { headers: reason } });
}
