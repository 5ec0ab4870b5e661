const enc = encodeURIComponent;

/** Every address that the pages link or post to, in one place, so that handlers and views cannot disagree. */
export const paths = {
  home: "/",
  setup: "/setup",
  signIn: "/login",
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
  activity: "/activity",
  log: (id: string) => `/activity/${enc(id)}`,
  apiKeys: "/api-keys",
  newApiKey: "/api-keys/new",
  deleteApiKey: (id: string) => `/api-keys/${enc(id)}/delete`,
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
} as const;

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
