import assert from "node:assert/strict";
import {
  ImportConnectionsPage,
  type ImportedServer,
  NewConnectionPage,
} from "../../views/connection_new.tsx";
import { ConnectionsPage } from "../../views/connections.tsx";
import { info, itemsOf, none, type Sample, sampleShell, type Say, wrong } from "./data.ts";

/** The list of connections. */
export function connectionLists(say: Say): Sample[] {
  const shell = sampleShell(say);
  const query = { q: "", status: "", sort: "used" } as const;
  return [
    {
      name: "connections",
      page: <ConnectionsPage shell={shell} items={itemsOf(say)} info={info} query={query} />,
    },
    {
      name: "connections-none-match",
      page: (
        <ConnectionsPage
          shell={{ ...shell, flash: { kind: "good", text: say("Connection “Linear” was deleted.") } }}
          items={[]}
          info={none}
          query={{ q: say("nothing"), status: "error", sort: "title" }}
        />
      ),
    },
    {
      name: "connections-empty",
      page: <ConnectionsPage shell={shell} items={[]} info={none} query={query} />,
    },
  ];
}

/** Making connections. */
export function newConnections(say: Say): Sample[] {
  const shell = sampleShell(say);
  const redirectUri = say("https://mesh.northwind.example/oauth/callback");
  return [
    { name: "connection-new", page: <NewConnectionPage shell={shell} redirectUri={redirectUri} /> },
    {
      name: "connection-new-wrong",
      page: (
        <NewConnectionPage
          shell={shell}
          redirectUri={redirectUri}
          form={wrong(say, "url", "title", "token", "description", "headers")}
        />
      ),
    },
  ];
}

function foundServers(say: Say): ImportedServer[] {
  const linear = say("https://mcp.linear.app/mcp");
  return [
    { name: say("linear"), address: linear, secrets: [say("Authorization")], state: "ready" },
    { name: say("github"), address: say("https://api.githubcopilot.com/mcp"), secrets: [], state: "ready" },
    {
      name: say("files"),
      address: say("npx -y files"),
      secrets: [],
      state: "refused",
      message: say("It starts a program on this server, and ALLOW_STDIO is not set."),
    },
  ];
}

function madeServers(say: Say): ImportedServer[] {
  const [linear, github, files] = foundServers(say);
  assert.ok(linear && github && files);
  return [
    { ...linear, state: "created", connectionId: say("conn_1") },
    {
      ...github,
      state: "created",
      connectionId: say("conn_2"),
      message: say("It did not answer yet (401)."),
    },
    { ...files, state: "failed", message: say("The address may not be called.") },
  ];
}

/** Importing connections. */
export function imports(say: Say): Sample[] {
  const shell = sampleShell(say);
  return [
    { name: "import", page: <ImportConnectionsPage shell={shell} /> },
    {
      name: "import-wrong",
      page: (
        <ImportConnectionsPage
          shell={shell}
          json={say("{ nothing")}
          form={{ errors: { json: say("Line 1 is no JSON.") } }}
        />
      ),
    },
    {
      name: "import-preview",
      page: (
        <ImportConnectionsPage shell={shell} json={say('{ "mcpServers": {} }')} servers={foundServers(say)} />
      ),
    },
    { name: "import-done", page: <ImportConnectionsPage shell={shell} servers={madeServers(say)} /> },
  ];
}
