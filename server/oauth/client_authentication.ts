import { Buffer } from "node:buffer";
import { timingSafeEqual } from "node:crypto";
import type { Context, Handler } from "hono";
import { hashToken } from "../access/identify.ts";
import type { Services } from "../services.ts";
import type { Db } from "../storage/dialect.ts";
import { isDocumentId, problemOfId } from "./client_documents.ts";
import { type Client, findIssued } from "./clients.ts";
import { answerError, OAuthError } from "./errors.ts";
import { type Parameters, readForm } from "./parameters.ts";

/** What the endpoints for programs know of who asks. */
export type Caller = Pick<
  Client,
  "id" | "name" | "source" | "grantTypes" | "secretHash" | "ownerId" | "permissions" | "organizationId"
>;

interface Credentials {
  id: string;
  secret: string | null;
}

/** An endpoint for programs to which a client sends a form; `answer` is asked once it is known which client that is. */
export function clientEndpoint(
  services: Services,
  answer: (c: Context, asked: { client: Caller; form: Parameters }) => Promise<Response>,
): Handler {
  return async (c) => {
    try {
      const form = await readForm(c.req.raw);
      const client = await authenticateClient(services.db, { headers: c.req.raw.headers, form });
      c.header("cache-control", "no-store"); // AS30
      return await answer(c, { client, form });
    } catch (error) {
      return answerError(c, services, error);
    }
  };
}

/**
 * The client that makes this request (AS31): by its id alone where it is public, by its secret in the Basic header
 * or in the form otherwise. Throws `invalid_client`, also where it went away since (AS38).
 */
async function authenticateClient(
  db: Db,
  { headers, form }: { headers: Headers; form: Parameters },
): Promise<Caller> {
  const { id, secret } = credentialsOf(headers, form);
  const client = isDocumentId(id) ? documentCaller(id) : await findIssued(db, id);
  if (!client) {
    throw new OAuthError(
      "invalid_client",
      "The client is not registered here, or no longer: register it again",
    );
  }
  if (client.secretHash === null) {
    if (secret === null) return client;
    throw new OAuthError("invalid_client", "The client is a public one and has no secret");
  }
  if (secret === null) throw new OAuthError("invalid_client", "The client's secret is missing");
  if (!isSecret(secret, client.secretHash)) {
    throw new OAuthError("invalid_client", "The client's secret is wrong");
  }
  return client;
}

function credentialsOf(headers: Headers, form: Parameters): Credentials {
  const inForm = { id: form.one("client_id"), secret: form.one("client_secret") ?? null };
  if (form.one("client_assertion") !== undefined) {
    throw new OAuthError("invalid_client", "Client assertions are not supported");
  }
  const header = headers.get("authorization");
  if (header === null || !/^basic(\s|$)/i.test(header)) {
    if (inForm.id === undefined) throw new OAuthError("invalid_client", "'client_id' is missing");
    return { id: inForm.id, secret: inForm.secret };
  }
  const inHeader = readBasic(header);
  // RFC 6749 section 2.3: one way of authentication a request.
  if (inForm.secret !== null) {
    throw new OAuthError("invalid_request", "The client's secret was sent in the header and in the form");
  }
  if (inForm.id !== undefined && inForm.id !== inHeader.id) {
    throw new OAuthError("invalid_request", "The client ids in the header and in the form differ");
  }
  return inHeader;
}

/** Both parts are form-encoded before they are joined. RFC 6749 section 2.3.1 */
function readBasic(header: string): Credentials {
  const text = Buffer.from(header.slice(6).trim(), "base64").toString("utf8");
  const colon = text.indexOf(":");
  try {
    if (colon < 1) throw new URIError();
    const [id = "", secret = ""] = [text.slice(0, colon), text.slice(colon + 1)].map((part) =>
      decodeURIComponent(part.replaceAll("+", " "))
    );
    return { id, secret: secret === "" ? null : secret };
  } catch {
    throw new OAuthError("invalid_client", "The Basic header is not of the form id:secret");
  }
}

function isSecret(secret: string, hash: string): boolean {
  const [actual, expected] = [Buffer.from(hashToken(secret)), Buffer.from(hash)];
  return actual.length === expected.length && timingSafeEqual(actual, expected);
}

/** What a document says was read when the person was asked; codes and tokens are bound to its URL. */
function documentCaller(id: string): Caller | null {
  if (problemOfId(id) !== null) return null;
  return {
    id,
    name: id,
    source: "document",
    grantTypes: ["authorization_code", "refresh_token"],
    secretHash: null,
    ownerId: null,
    permissions: null,
    organizationId: null,
  };
}
