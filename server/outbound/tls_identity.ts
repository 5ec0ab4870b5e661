import { createHash } from "node:crypto";

/** What TLS to one target takes beside the usual, all PEM; the key belongs to the certificate. */
export interface TlsOptions {
  /** Trusted beside the runtime's own, for this target alone. */
  readonly caCertificates?: readonly string[] | undefined;
  /** The client certificate, with the intermediate ones that follow it. */
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
}

/** What a connection trusts and shows; connections are shared only among requests of one identity. */
export interface TlsIdentity {
  /** Tells identities apart and reveals nothing of them. */
  readonly id: string;
  readonly caCertificates: readonly string[];
  readonly client: { readonly certificate: string; readonly key: string } | null;
}

/** The identity that these options make; null for the usual TLS. */
export function tlsIdentity({ caCertificates = [], certificate, key }: TlsOptions): TlsIdentity | null {
  const client = certificate === undefined || key === undefined ? null : { certificate, key };
  if (caCertificates.length === 0 && client === null) return null;
  const parts = JSON.stringify([caCertificates, client?.certificate, client?.key]);
  return { id: createHash("sha256").update(parts).digest("base64url"), caCertificates, client };
}
