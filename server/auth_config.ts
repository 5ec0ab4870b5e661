import { z } from "zod";
import { AppError, messageOf } from "./errors.ts";

/** The file at AUTH_CONFIG_PATH: how people may sign in. */
export type AuthConfig = z.infer<typeof authSchema>;

/** A switch; what stands for a variable of the environment is a text. */
const flag = z.preprocess(
  (value) => value === "true" ? true : value === "false" ? false : value,
  z.boolean(),
);

const authSchema = z.strictObject({
  emailAndPassword: z.strictObject({
    enabled: flag.default(true),
    allowSignUp: flag.default(false),
  }).default({ enabled: true, allowSignUp: false }),
  autoCreateOrganizationOnSignup: flag.default(true),
});

type Env = (name: string) => string | undefined;

/** The content of the file, null where there is none, and the environment. */
export interface AuthSource {
  text: string | null;
  env: Env;
}

/** How people may sign in: what the file says, or the defaults. Throws an AppError of one line. */
export function loadAuthConfig(path: string, { text, env }: AuthSource): AuthConfig {
  if (text === null) return authSchema.parse({});
  let parsed: unknown;
  try {
    parsed = substitute(JSON.parse(text), env);
  } catch (error) {
    throw new AppError("invalid", `Cannot read '${path}' (AUTH_CONFIG_PATH): ${messageOf(error)}`);
  }
  const result = authSchema.safeParse(parsed);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const key = issue?.code === "unrecognized_keys" ? [...issue.path, issue.keys[0]] : issue?.path ?? [];
  const where = key.length === 0 ? "" : `'${key.join(".")}': `;
  throw new AppError("invalid", `Cannot use '${path}' (AUTH_CONFIG_PATH): ${where}${issue?.message}`);
}

/** Replaces `${ENV_NAME}` in every string; a name that is not set is an error. */
function substitute(value: unknown, env: Env): unknown {
  if (typeof value === "string") {
    return value.replace(/\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g, (_, name: string) => {
      const found = env(name);
      if (found === undefined) throw new Error(`\${${name}} is not set`);
      return found;
    });
  }
  if (Array.isArray(value)) return value.map((item) => substitute(item, env));
  if (value !== null && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, substitute(item, env)]));
  }
  return value;
}
