import { details, offers } from "./connection.tsx";
import { connectionLists, imports, newConnections } from "./connections.tsx";
import { credentialSettings, myConnections } from "./credentials.tsx";
import type { Sample, Say } from "./data.ts";
import { applications, consents } from "./oauth.tsx";
import { outside } from "./outside.tsx";
import { activity, apiKeys, home, newApiKeys, people } from "./rest.tsx";
import { tools } from "./tools.tsx";

const groups = [
  outside,
  consents,
  home,
  connectionLists,
  newConnections,
  imports,
  tools,
  offers,
  details,
  credentialSettings,
  myConnections,
  activity,
  apiKeys,
  newApiKeys,
  applications,
  people,
];

/** Every page with sample data in which each text went through `say`. */
export function samplePages(say: Say): Sample[] {
  return groups.flatMap((group) => group(say));
}
