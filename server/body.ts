import { AppError } from "./errors.ts";

/** The longest body that a program may send where nothing less is said, in bytes. */
export const maxBodyBytes = 10 * 1024 * 1024;

/** The text of a body within the limit. Throws AppError: `too_large`, or `malformed` where the client left. */
export function readBody(request: Request, limit = maxBodyBytes): Promise<string> {
  const declared = request.headers.get("content-length");
  if (declared !== null && Number(declared) > limit) return Promise.reject(tooLarge(limit));
  const whole = declared !== null || request.body === null;
  const reading = whole ? request.text() : readWithin(request.body, limit);
  return reading.catch((cause) => {
    if (cause instanceof AppError) throw cause;
    throw new AppError("malformed", "Cannot read the request: its body broke off", { cause });
  });
}

async function readWithin(body: ReadableStream<Uint8Array>, limit: number): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > limit) throw tooLarge(limit); // leaving the loop cancels the body
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

function tooLarge(limit: number): AppError {
  return new AppError("too_large", `Cannot read the request: its body is larger than ${limit} bytes`);
}

/** True for `application/json` with any parameters. */
export function isJson(contentType: string | null): boolean {
  if (contentType === "application/json") return true;
  return contentType !== null && /^application\/json\s*(;|$)/i.test(contentType);
}

/** True for a JSON object. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
