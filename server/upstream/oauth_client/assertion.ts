import { createPrivateKey, type KeyObject } from "node:crypto";
import { SignJWT } from "jose";
import { AppError } from "../../errors.ts";
import type { OauthClient } from "./types.ts";

const lifeSeconds = 120;

/** A token by which a client proves with its key who it is. RFC 7523 section 2.2; throws `invalid` for a bad key. */
export async function signAssertion(client: OauthClient, audience: string): Promise<string> {
  const { key, algorithm, keyId } = readKey(client.privateKey ?? "");
  return await new SignJWT({})
    .setProtectedHeader({ alg: algorithm, typ: "JWT", ...(keyId === null ? {} : { kid: keyId }) })
    .setIssuer(client.clientId)
    .setSubject(client.clientId)
    .setAudience(audience)
    .setJti(crypto.randomUUID())
    .setIssuedAt()
    .setExpirationTime(`${lifeSeconds}s`)
    .sign(key);
}

/** Reads a private key: PEM, or a JSON Web Key as JSON. Throws `invalid`; the message holds nothing of the key. */
function readKey(text: string): { key: KeyObject; algorithm: string; keyId: string | null } {
  let key: KeyObject;
  let jwk: Record<string, unknown> = {};
  try {
    if (text.trim().startsWith("{")) {
      jwk = JSON.parse(text);
      key = createPrivateKey({ key: jwk, format: "jwk" });
    } else {
      key = createPrivateKey(text);
    }
  } catch {
    throw unusable("it is neither PEM nor a JSON Web Key");
  }
  return { key, algorithm: algorithmOf(key, jwk.alg), keyId: typeof jwk.kid === "string" ? jwk.kid : null };
}

function algorithmOf(key: KeyObject, said: unknown): string {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  const curves: Record<string, string> = {
    "prime256v1": "ES256",
    "P-256": "ES256",
    "secp384r1": "ES384",
    "P-384": "ES384",
    "secp521r1": "ES512",
    "P-521": "ES512",
  };
  if (type === "rsa") return typeof said === "string" && /^[RP]S(?:256|384|512)$/.test(said) ? said : "RS256";
  if (type === "ed25519") return "EdDSA";
  const algorithm = type === "ec" ? curves[details?.namedCurve ?? ""] : undefined;
  if (!algorithm) throw unusable("it is of a kind that signs no tokens");
  return algorithm;
}

function unusable(reason: string): AppError {
  return new AppError("invalid", `Cannot use the private key: ${reason}`);
}
