import type { Action } from "./action.ts";
import { listApplications, revokeApplication } from "./applications.ts";
import { createApiKey, deleteApiKey, listApiKeys, updateApiKey } from "./api_keys.ts";
import { getLog, getStats, listLogs } from "./audit_log.ts";
import { importConnections } from "./connection_import.ts";
import { listConnectionUsage } from "./connection_usage.ts";
import { callConnectionTool, configureConnection, testConnection } from "./connection_use.ts";
import {
  createConnection,
  deleteConnection,
  getConnection,
  listConnections,
  updateConnection,
} from "./connections.ts";
import { authorizeCredential, finishAuthorizing } from "./credential_authorizing.ts";
import { deleteCredential, listCredentials, listHolders, setCredential } from "./credentials.ts";
import { getWorkspace } from "./workspace.ts";
import { addMember, listMembers, removeMember, updateMemberRole } from "./members.ts";
import {
  createOrganization,
  deleteOrganization,
  getOrganization,
  getOrganizationSettings,
  listOrganizations,
  updateOrganization,
  updateOrganizationSettings,
} from "./organizations.ts";
import { createOauthClient, deleteOauthClient, listOauthClients } from "./oauth_clients.ts";
import { addMemberByEmail } from "./member_by_email.ts";
import { getUser, updateUser } from "./users.ts";

/** Everything that the product does, in the order in which it is listed. */
export const actions: readonly Action[] = [
  getWorkspace,
  createOrganization,
  listOrganizations,
  getOrganization,
  updateOrganization,
  deleteOrganization,
  getOrganizationSettings,
  updateOrganizationSettings,
  addMember,
  addMemberByEmail,
  removeMember,
  listMembers,
  updateMemberRole,
  getUser,
  updateUser,
  createConnection,
  listConnections,
  getConnection,
  updateConnection,
  deleteConnection,
  testConnection,
  configureConnection,
  callConnectionTool,
  importConnections,
  listConnectionUsage,
  listCredentials,
  listHolders,
  setCredential,
  deleteCredential,
  authorizeCredential,
  finishAuthorizing,
  createApiKey,
  listApiKeys,
  updateApiKey,
  deleteApiKey,
  listApplications,
  revokeApplication,
  createOauthClient,
  listOauthClients,
  deleteOauthClient,
  listLogs,
  getLog,
  getStats,
];

const byName = index(actions);

/** The action of a public name, or undefined; those that only pages run have none. */
export function findAction(name: string): Action | undefined {
  const action = byName.get(name);
  return action?.internal ? undefined : action;
}

/** Checks at start what no type can: every name is a tool name, and there once. */
function index(list: readonly Action[]): ReadonlyMap<string, Action> {
  const found = new Map<string, Action>();
  for (const action of list) {
    if (found.has(action.name)) throw new Error(`Cannot start: there are two actions '${action.name}'`);
    if (!/^[A-Z][A-Z0-9_]{0,127}$/.test(action.name)) {
      throw new Error(`Cannot start: '${action.name}' is not the name of an action`);
    }
    found.set(action.name, action);
  }
  return found;
}
