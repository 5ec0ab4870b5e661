import { isObject, readBody } from "../body.ts";
import { OAuthError } from "./errors.ts";

const maxBody = 64 * 1024; // bytes
const maxValue = 8192; // characters

/** The parameters of a request: each at most once, and one without a value is as good as absent. RFC 6749 section 3.1 */
export class Parameters {
  readonly #values: URLSearchParams;

  constructor(values: URLSearchParams) {
    this.#values = values;
  }

  /** The value, or undefined where there is none. Throws `invalid_request` where it came twice or is too long. */
  one(name: string): string | undefined {
    const values = this.all(name);
    if (values.length > 1) throw new OAuthError("invalid_request", `'${name}' was sent more than once`);
    return values[0];
  }

  /** As `one`. Throws `invalid_request` where it is absent. */
  required(name: string): string {
    const value = this.one(name);
    if (value === undefined) throw new OAuthError("invalid_request", `'${name}' is missing`);
    return value;
  }

  /** Every value of a parameter that may be repeated. Throws `invalid_request` where one is too long. */
  all(name: string): string[] {
    const values = this.#values.getAll(name).filter((value) => value !== "");
    if (values.some((value) => value.length > maxValue)) {
      throw new OAuthError("invalid_request", `'${name}' is longer than ${maxValue} characters`);
    }
    return values;
  }
}

/** The form of a POST. Throws `invalid_request` where it is none, `too_large`. */
export async function readForm(request: Request): Promise<Parameters> {
  const type = request.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase();
  if (type !== "application/x-www-form-urlencoded") {
    throw new OAuthError("invalid_request", "The content type is not application/x-www-form-urlencoded");
  }
  return new Parameters(new URLSearchParams(await readBody(request, maxBody)));
}

/** The JSON object of a POST. Throws `invalid_client_metadata` where it is none, `too_large`. */
export async function readJsonObject(request: Request): Promise<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(await readBody(request, maxBody));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  if (isObject(value)) return value;
  throw new OAuthError("invalid_client_metadata", "The body is not a JSON object");
}
