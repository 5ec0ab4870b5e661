import { createPrivateKey } from "node:crypto";
import { z } from "zod";
import { AppError } from "../errors.ts";
import { checkName } from "../upstream/credentials.ts";

// How a connection says whose credential goes to its server, and what else is its own about the way there.

/** `shared`: one credential for the organization; `per_user`: each person gives their own. */
export const credentialMode = z.enum(["shared", "per_user"], "it must be shared or per_user");

/** `static`: a token or headers; `oauth`: tokens that the server's authorization server issues. */
export const credentialType = z.enum(["static", "oauth"], "it must be static or oauth");

const maxPersonalHeaders = 20;

const headerName = z.string().trim().max(100).superRefine((name, context) => {
  try {
    checkName(name.toLowerCase(), name);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    context.addIssue({ code: "custom", message: Object.values(error.fields ?? {})[0] ?? error.message });
  }
});

/** The names of headers whose values each person gives; none is the same as an empty list. */
export const personalHeaders = z.array(headerName)
  .max(maxPersonalHeaders, `there are more than ${maxPersonalHeaders} headers`)
  .refine(
    (names) => new Set(names.map((name) => name.toLowerCase())).size === names.length,
    "it names a header twice",
  );

const webUrl = z.string().trim().max(2048).superRefine((value, context) => {
  const url = URL.canParse(value) && !/[\s\\]/.test(value) ? new URL(value) : null;
  if (!url || !/^https?:$/.test(url.protocol)) {
    context.addIssue({ code: "custom", message: "it must be a URL that begins with https://" });
  } else if (url.username !== "" || url.password !== "" || url.hash !== "") {
    context.addIssue({ code: "custom", message: "it must not hold a user name, password or fragment" });
  }
});

const word = (max: number) =>
  z.string().trim().max(max).regex(/^[\x20-\x7e]+$/, "it takes printable ASCII characters");

/** A secret: `***` stands for the stored one, null or an empty text ends it. */
const secret = (max: number) => z.string().trim().max(max);

const privateKey = secret(20_000).refine(
  (text) => text === "" || text === "***" || isPrivateKey(text),
  "it is not a private key as PEM or JSON Web Key",
);

const authMethods = ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"] as const;
const grantTypes = ["authorization_code", "client_credentials"] as const;

/** The client that an admin has registered at the authorization server, and where the automatic way needs help. */
export const oauthConfig = z.strictObject({
  client_id: word(2000).nullish(),
  client_secret: secret(4000).nullish().describe("Write-only; '***' keeps the stored one"),
  private_key: privateKey.nullish().describe("PEM or JSON Web Key; write-only; '***' keeps the stored one"),
  token_endpoint_auth_method: z.enum(authMethods, `it must be one of ${authMethods.join(", ")}`).nullish(),
  scope: z.string().trim().max(4000)
    .regex(/^[\x21\x23-\x5b\x5d-\x7e ]*$/, "it is not a list of scopes").nullish(), // RFC 6749 section 3.3
  authorization_server: webUrl.nullish().describe("Its issuer, where the server does not name it"),
  resource: webUrl.nullish().describe("The resource to ask tokens for, where the server does not name it"),
  grant_type: z.enum(grantTypes, `it must be one of ${grantTypes.join(", ")}`).nullish().describe(
    "client_credentials: the client acts for itself, and no person authorizes",
  ),
  registration: z.literal("dynamic", "it must be dynamic").nullish().describe(
    "dynamic: the authorization server cannot read the mesh's own document, so the mesh registers itself",
  ),
  assertion_audience: z.enum(["issuer", "token_endpoint"], "it must be issuer or token_endpoint").nullish()
    .describe("Whom a private_key_jwt is addressed to; the issuer where it is left out"),
});

export type OauthConfigInput = z.output<typeof oauthConfig>;

/** What else a connection says of the way to its server. */
export const connectionOptions = z.strictObject({
  timeout_seconds: z.int().min(1).max(3600).nullish().describe("Longest silence of the server during a call"),
  identity_token: z.boolean().nullish().describe("true: a signed x-mesh-token header says who calls"),
  ca_certificates: z.string().trim().max(100_000).nullish().describe(
    "PEM; trusted for this connection beside the usual authorities",
  ),
});

/** The certificate with which the mesh shows the server who it is. Write-only. */
export const clientCertificate = z.strictObject({
  certificate: secret(100_000).describe(
    "PEM, the chain behind it where there is one; '***' keeps the stored one",
  ),
  key: secret(20_000).describe("PEM, without a passphrase; '***' keeps the stored one"),
});

function isPrivateKey(text: string): boolean {
  return isPrivatePem(text) || isPrivateJwk(text);
}

function isPrivatePem(text: string): boolean {
  try {
    return createPrivateKey(text).type === "private";
  } catch {
    return false; // why may quote it
  }
}

function isPrivateJwk(text: string): boolean {
  try {
    const key = JSON.parse(text);
    return typeof key?.kty === "string" && typeof key.d === "string"; // RFC 7517, RFC 7518 section 6
  } catch {
    return false;
  }
}

/** A refusal of one field of a connection. */
export function refusedField(field: string, reason: string): AppError {
  return new AppError("invalid", `Cannot use ${field}: ${reason}`, { fields: { [field]: reason } });
}
