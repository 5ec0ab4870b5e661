import { ConnectClientPage } from "../../views/connection_connect.tsx";
import { type ConnectionPageProps, ConnectionTestPage } from "../../views/connection_frame.tsx";
import {
  ConnectionActivityPage,
  ConnectionPromptsPage,
  ConnectionResourcesPage,
} from "../../views/connection_lists.tsx";
import { ConnectionSettingsPage, DeleteConnectionPage } from "../../views/connection_settings.tsx";
import { ago, connectionPage, HOUR, info, logsOf, none, type Sample, type Say, wrong } from "./data.ts";

function broken(say: Say): ConnectionPageProps {
  const page = connectionPage(say);
  return {
    ...page,
    medianMs: null,
    connection: { ...page.connection, status: "error", status_reason: say("It did not answer within 10 s.") },
    health: { checked_at: ago(60_000), ok_at: ago(3 * HOUR) },
  };
}

/** Testing a connection, and what it offers besides tools. */
export function offers(say: Say): Sample[] {
  const page = connectionPage(say);
  const failed = {
    healthy: false,
    latencyMs: 312,
    stage: "token",
    code: "http_401",
    message: say("Linear did not accept the token (401)"),
    advice: say("Reconnect, or paste a new token"),
    stages: [
      { stage: "dns", ok: true, ms: 3.2, detail: say("192.0.2.1") },
      { stage: "tcp", ok: true, ms: 12 },
      { stage: "tls", ok: true, ms: 31 },
      { stage: "http", ok: true, ms: 266 },
      { stage: "auth_discovery", ok: true, ms: 0, skipped: true },
      { stage: "token", ok: false, ms: 2 },
      { stage: "handshake", ok: false, ms: 0, skipped: true },
      { stage: say("list"), ok: false, ms: 0, skipped: true },
    ],
  };
  const passed = {
    healthy: true,
    latencyMs: 38,
    protocolVersion: say("2026-07-28"),
    tools: 24,
    message: say("It names a tool twice"),
    stages: failed.stages.map((one) => ({
      ...one,
      ok: true,
      ...(one.skipped && { ms: 20, skipped: false }),
    })),
  };
  const resource = {
    uri: say("file:///readme"),
    name: say("readme"),
    mimeType: say("text/plain"),
    size: 1204,
  };
  const prompt = {
    name: say("triage"),
    description: say("Sort new issues"),
    arguments: [{ name: say("team"), description: say("Whose"), required: true }],
  };
  return [
    { name: "test-passed", page: <ConnectionTestPage {...page} test={passed} /> },
    { name: "test-failed", page: <ConnectionTestPage {...broken(say)} test={failed} /> },
    {
      name: "test-unknown",
      page: <ConnectionTestPage {...page} test={{ ...failed, stage: say("new"), stages: null }} />,
    },
    {
      name: "resources",
      page: (
        <ConnectionResourcesPage
          {...broken(say)}
          resources={[{ ...resource, description: say("Read it") }, { uri: say("mem://1") }]}
        />
      ),
    },
    {
      name: "resources-needs",
      page: (
        <ConnectionResourcesPage
          {...page}
          resources={[]}
          own="not_connected"
          standing={{ needReconnect: 3, sharedAccess: null }}
        />
      ),
    },
    {
      name: "resources-needs-again",
      page: (
        <ConnectionResourcesPage
          {...page}
          resources={[]}
          own="needs_attention"
          standing={{ needReconnect: 1, sharedAccess: "needs_attention" }}
        />
      ),
    },
    {
      name: "resources-needs-admin",
      page: (
        <ConnectionResourcesPage
          {...broken(say)}
          shell={{ ...page.shell, canManage: false }}
          resources={[]}
          standing={{ needReconnect: 0, sharedAccess: "not_connected" }}
        />
      ),
    },
    {
      name: "resources-needs-shared",
      page: (
        <ConnectionResourcesPage
          {...broken(say)}
          resources={[]}
          standing={{ needReconnect: 0, sharedAccess: "not_connected" }}
        />
      ),
    },
    { name: "resources-none", page: <ConnectionResourcesPage {...page} resources={[]} /> },
    {
      name: "prompts",
      page: <ConnectionPromptsPage {...page} prompts={[prompt, { name: say("summary") }]} />,
    },
    { name: "prompts-unknown", page: <ConnectionPromptsPage {...broken(say)} prompts={null} /> },
  ];
}

/** The other pages of a connection. */
export function details(say: Say): Sample[] {
  const page = connectionPage(say);
  const { shell, connection } = page;
  const base = say("http://localhost:3000");
  return [
    {
      name: "connection-activity",
      page: <ConnectionActivityPage {...page} logs={logsOf(say)} info={info} />,
    },
    {
      name: "connection-activity-empty",
      page: <ConnectionActivityPage {...page} logs={[]} info={none} />,
    },
    { name: "connection-settings", page: <ConnectionSettingsPage {...page} /> },
    {
      name: "connection-settings-wrong",
      page: <ConnectionSettingsPage {...page} form={wrong(say, "title", "description", "url")} />,
    },
    {
      name: "connection-settings-way",
      page: (
        <ConnectionSettingsPage
          {...page}
          connection={{
            ...connection,
            options: { timeout_seconds: 20, identity_token: true, ca_certificates: say("-----BEGIN") },
            has_client_certificate: true,
          }}
          form={wrong(say, "timeout_seconds", "ca_certificates", "certificate", "certificate_key")}
        />
      ),
    },
    {
      name: "connection-delete",
      page: <DeleteConnectionPage shell={shell} connection={connection} keyCount={2} calls={12480} />,
    },
    {
      name: "connect",
      page: (
        <ConnectClientPage shell={shell} connection={connection} baseUrl={base} form={wrong(say, "name")} />
      ),
    },
    {
      name: "connect-key",
      page: (
        <ConnectClientPage
          shell={shell}
          connection={connection}
          baseUrl={base}
          newKey={say("mesh_key_example")}
        />
      ),
    },
  ];
}
