import type { Tone } from "./components/badge.tsx";
import { plural } from "./format.ts";

export type CredentialStatus = "connected" | "not_connected" | "needs_attention";

/** What identifies the reader, or the organization where it is `shared`, to the server of a connection. */
export interface Credential {
  connection_id: string;
  title: string;
  url: string | null;
  mode: "shared" | "per_user";
  type: "static" | "oauth";
  /** Names of the headers that each person gives a value for; null where a token is wanted. */
  personal_headers: readonly string[] | null;
  /** True for the one of the organization. */
  shared: boolean;
  status: CredentialStatus;
  /** What needs attention, in a sentence. */
  reason: string | null;
  /** As whom the server knows the owner, where it says so. */
  account: string | null;
  connected_at: string | null;
  /** False where it cannot be connected now, such as a connection that is off. */
  can_connect: boolean;
}

/** Somebody who has connected, as those see who look after a connection; never what they have connected with. */
export interface CredentialHolder {
  /** Null for the credential of the organization. */
  user_id: string | null;
  name: string | null;
  email: string | null;
  status: CredentialStatus;
  reason: string | null;
  account: string | null;
  connected_at: string | null;
}

/** How the credentials of a connection stand. */
export interface Standing {
  /** How many people have to connect again; 0 for readers who do not look after them. */
  needReconnect: number;
  /** The access that somebody signs in for on behalf of all; null where there is no such thing. */
  sharedAccess: CredentialStatus | null;
}

const states: Record<CredentialStatus, { tone: Tone; text: string }> = {
  connected: { tone: "good", text: "Connected" },
  not_connected: { tone: "quiet", text: "Not connected" },
  needs_attention: { tone: "bad", text: "Needs you" },
};

/** The state of a credential in a word or two. */
export function credentialState(
  { status }: { status: CredentialStatus },
): { tone: Tone; text: string } {
  return states[status];
}

/** What needs attention, in sentences; a reason that stands for no one server names this one. */
export function reasonWords({ title, reason }: Pick<Credential, "title" | "reason">): string {
  const said = (reason ?? `${title} ended the access`).replace(/^the server /i, () => `${title} `);
  return /[.!?]$/.test(said) ? said : `${said}.`;
}

/** As `reasonWords`, with what the reader can do. */
export function adviceWords(
  item: Pick<Credential, "title" | "reason" | "type" | "personal_headers">,
): string {
  const said = reasonWords(item);
  if (item.reason !== null && said === item.reason) return said; // it says so itself
  if (item.type === "oauth") return `${said} Reconnect to go on.`;
  return `${said} ${item.personal_headers === null ? "Paste a new token." : "Enter the values anew."}`;
}

/** Those of the credentials that have to be connected again. */
export function needing<T extends { status: CredentialStatus }>(credentials: readonly T[]): T[] {
  return credentials.filter(({ status }) => status === "needs_attention");
}

/** Says how many have to connect again: `3 people need to reconnect`. */
export function reconnectWords(people: number): string {
  return people === 1
    ? "1 person needs to reconnect"
    : `${plural(people, "person", "people")} need to reconnect`;
}

/** Names things in a sentence: `Gmail`, `Gmail and Linear`, `Gmail, Linear and 3 more`. */
export function listed(names: readonly string[]): string {
  const [first = "", second = "", third = ""] = names;
  if (names.length <= 1) return first;
  if (names.length === 2) return `${first} and ${second}`;
  return names.length === 3
    ? `${first}, ${second} and ${third}`
    : `${first}, ${second} and ${names.length - 2} more`;
}

/** The host of a server's address, or the address where it has none. */
export function hostOf(url: string | null | undefined): string {
  return url && URL.canParse(url) ? new URL(url).host : url ?? "";
}
