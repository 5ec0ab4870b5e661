const enc = encodeURIComponent;

let base = "";

/** Remembers the path that a proxy in front adds to every address, such as `/mesh`; "" where there is none. */
export function setBasePath(path: string): void {
  base = path.replace(/\/+$/, "");
}

/** An address of this server as a browser sees it. */
export function at(path: string): string {
  return base + path;
}

type Addresses = Record<string, string | ((...parts: string[]) => string)>;

/** The same addresses as a browser sees them: the base is known only when the server starts. */
function based<T extends Addresses>(addresses: T): Readonly<T> {
  return new Proxy(addresses, {
    get: (known, name) => {
      const address = Reflect.get(known, name);
      return typeof address === "function" ? (...parts: string[]) => at(address(...parts)) : at(address);
    },
  });
}

/** Every address that the pages link or post to, in one place, so that handlers and views cannot disagree. */
export const paths = based({
  home: "/",
  setup: "/setup",
  signIn: "/login",
  signUp: "/sign-up",
  signOut: "/logout",
  connections: "/connections",
  newConnection: "/connections/new",
  importConnections: "/connections/import",
  connection: (id: string) => `/connections/${enc(id)}`,
  connectionTab: (id: string, tab: string) => `/connections/${enc(id)}/${tab}`,
  connectionTool: (id: string, tool: string) => `/connections/${enc(id)}?tool=${enc(tool)}`,
  runTool: (id: string) => `/connections/${enc(id)}/run`,
  testConnection: (id: string) => `/connections/${enc(id)}/test`,
  connectClient: (id: string) => `/connections/${enc(id)}/connect`,
  deleteConnection: (id: string) => `/connections/${enc(id)}/delete`,
  endCredential: (id: string, owner: string) =>
    `/connections/${enc(id)}/credentials/${enc(owner)}/disconnect`,
  myConnections: "/my-connections",
  myConnection: (id: string) => `/my-connections/${enc(id)}`,
  connectMine: (id: string) => `/my-connections/${enc(id)}/connect`,
  saveMine: (id: string) => `/my-connections/${enc(id)}/token`,
  disconnectMine: (id: string) => `/my-connections/${enc(id)}/disconnect`,
  moveToMine: (id: string) => `/my-connections/${enc(id)}/organization`,
  activity: "/activity",
  log: (id: string) => `/activity/${enc(id)}`,
  apiKeys: "/api-keys",
  newApiKey: "/api-keys/new",
  deleteApiKey: (id: string) => `/api-keys/${enc(id)}/delete`,
  applications: "/applications",
  revokeApplication: (id: string) => `/applications/${enc(id)}/revoke`,
  oauthClients: "/applications/clients",
  newOauthClient: "/applications/clients/new",
  deleteOauthClient: (id: string) => `/applications/clients/${enc(id)}/delete`,
  members: "/members",
  memberRole: (id: string) => `/members/${enc(id)}/role`,
  removeMember: (id: string) => `/members/${enc(id)}/remove`,
  settings: "/settings",
  settingsOrganization: "/settings/organization",
  settingsAccount: "/settings/account",
  settingsTheme: "/settings/theme",
  newOrganization: "/organizations/new",
  organizations: "/organizations",
  activeOrganization: "/organizations/active",
});

/** Gives `path` with the parameters that have a value, in their order, such as `/connections?q=git&page=2`. */
export function withQuery(
  path: string,
  parameters: Readonly<Record<string, string | number | undefined>>,
): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== "") query.set(name, String(value));
  }
  const text = query.toString();
  return text === "" ? path : `${path}?${text}`;
}
