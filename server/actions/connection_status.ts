import type { CatalogResult } from "../upstream/catalog.ts";
import { statusColumns } from "./connection_saving.ts";
import type { CredentialSettings } from "./credential_settings.ts";

/** What a connection's server says, and whose credential it is asked with. */
export interface ServerAnswer {
  catalog: CatalogResult;
  /** Those of the connection, or what was found out of its server. */
  settings: CredentialSettings;
  /** True where it was asked without the credential of anybody. */
  bare?: boolean;
  /** What has to be done before somebody can bring a credential. */
  notes?: readonly string[];
}

/** What is wrong with a connection whose shared credential nobody has authorized yet. */
export const awaitsAuthorization = "Connect to authorize";

/** True where a server asks for the credential that somebody has yet to bring. */
function awaitsCredential({ catalog, settings: { mode, type } }: ServerAnswer): boolean {
  if (catalog.ok || (mode === "shared" && type === "static")) return false;
  return catalog.code === "http_401" || catalog.code === "http_403";
}

/** The status that a server's answer gives a connection, where it may be one that waits for somebody's credential. */
export function answerColumns(
  answer: ServerAnswer,
  wanted: string | undefined,
  notes: readonly string[] = [],
): { status: string; status_reason: string | null } {
  const { catalog, settings: { mode, type }, bare } = answer;
  // A server that lists its tools to everybody asks for the token when one is called.
  const listsToAll = bare === true && catalog.ok && mode === "shared" && type === "oauth";
  if (!listsToAll && !awaitsCredential(answer)) return statusColumns(catalog, wanted, notes);
  // Of a connection where each brings their own, one without is none that fails.
  const waits = mode === "shared";
  const reasons = [...waits ? [awaitsAuthorization] : [], ...answer.notes ?? [], ...notes];
  return {
    status: wanted === "inactive" ? "inactive" : waits ? "error" : "active",
    status_reason: reasons.length === 0 ? null : reasons.join("; ").slice(0, 2000),
  };
}
