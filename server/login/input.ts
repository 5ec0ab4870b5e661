import { z } from "zod";
import { AppError } from "../errors.ts";
import { problemOfPassword } from "./password.ts";

/** Text of one line: what cannot be typed cannot be stored everywhere either. */
function line(label: string, max: number) {
  return z.string(`${label} is required`).trim().max(max, `${label} must have at most ${max} characters`)
    .regex(/^\P{Cc}*$/u, `${label} must not contain control characters`);
}

/** A person's name. */
export const nameField = line("Name", 200).min(1, "Name is required");

/** The name of an organization, empty or absent where it is not said. */
export const organizationField = line("Organization", 200).optional();

/** An address as somebody types it, brought to lower case; of any form. */
export const typedEmailField = line("E-mail", 254).toLowerCase().min(1, "E-mail is required"); // RFC 5321 section 4.5.3.1.3

/** A new address, with letters of any script, brought to lower case. RFC 6531 */
export const emailField = typedEmailField.pipe(
  z.email({ pattern: z.regexes.unicodeEmail, error: "E-mail must be an address such as ann@example.com" }),
);

/** A password that somebody chooses. */
export const newPasswordField = z.string("Password is required").superRefine((password, context) => {
  const problem = password === "" ? "is required" : problemOfPassword(password)?.replace(/^it /, "");
  if (problem) context.addIssue({ code: "custom", message: `Password ${problem}` });
});

/** Checks what came in; `what` continues "Cannot". Throws `invalid` with a message per field. */
export function check<T extends z.ZodType>(schema: T, input: unknown, what: string): z.output<T> {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const fields: Record<string, string> = {};
  for (const issue of result.error.issues) fields[issue.path.join(".")] ??= issue.message;
  const [message = "the input is not an object"] = Object.values(fields);
  throw new AppError("invalid", `Cannot ${what}: ${message[0]?.toLowerCase()}${message.slice(1)}`, {
    fields,
  });
}
