/**
 * What a role or key may do: actions by resource. Resources are `self` (the management tools), `conn_...`,
 * `gw_...` and `*` (any). Actions are tool names, `prompt:<name>`, `resource:<uri>` and `*` (any).
 */
export type Permissions = Readonly<Record<string, readonly string[]>>;

/** The roles that every organization has, strongest first. */
export const builtInRoles = ["owner", "admin", "user"] as const;

const everything: Permissions = { "*": ["*"] };

/** What a key may do whose permissions were left out: read the management lists, call nothing. */
export const readOnlyManagement: Permissions = { self: ["*_LIST", "*_GET"] };

const memberPower: Permissions = {
  self: [
    "*_LIST",
    "*_GET",
    "MONITORING_STATS",
    "API_KEY_*",
    "APPLICATION_REVOKE",
    "CONNECTION_CALL_TOOL",
    "CREDENTIAL_*",
    "USER_UPDATE",
  ],
  "conn_*": ["*"],
  "gw_*": ["*"],
};

/** An admin does everything but what only an owner may. */
const ownerOnly: ReadonlySet<string> = new Set(["ORGANIZATION_DELETE"]);

/** The permissions of a role, and the management tools that it lacks all the same. */
export interface RolePower {
  grants: Permissions;
  lacks: ReadonlySet<string>;
}

const none: ReadonlySet<string> = new Set();

/** The power of a built-in role; a name that is none has no power. */
export function powerOf(role: string): RolePower {
  if (role === "owner") return { grants: everything, lacks: none };
  if (role === "admin") return { grants: everything, lacks: ownerOnly };
  if (role === "user") return { grants: memberPower, lacks: none };
  return { grants: {}, lacks: none };
}
