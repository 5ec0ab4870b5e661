// Does what the suite asks of a client through a mesh: its server becomes a connection there.
import {
  Client,
  StreamableHTTPClientTransport,
  UrlElicitationRequiredError,
} from "@modelcontextprotocol/client";
import type { Mesh } from "../support/app.ts";
import { signedIn, type Visitor } from "../pages/support.ts";

/** What the suite says of one scenario; `context` has what its client is given beforehand. */
export interface Task {
  readonly scenario: string;
  readonly version: string;
  readonly serverUrl: string;
  readonly context: {
    readonly client_id?: string;
    readonly client_secret?: string;
    readonly private_key_pem?: string;
    readonly toolCalls?: readonly { name: string; arguments: Record<string, unknown> }[];
  };
}

/** The one document of a client that the suite takes. */
const suitesDocument = "https://conformance-test.local/client-metadata.json";

/** How often a call is made again after a page was opened: more than the mesh may ask for (CL11). */
const maxCalls = 8;

/** Runs one scenario to its end; throws where a client would fail. */
export async function runTask(mesh: Mesh, task: Task): Promise<void> {
  const person = await mesh.organization("Conformance");
  const key = await mesh.key(person);
  // The cookie is for the name under which the browser comes back.
  const browser = await signedIn({ ...mesh, url: mesh.services.config.baseUrl }, person);
  const { item } = await mesh.run<{ item: { id: string } }>(key, "COLLECTION_CONNECTIONS_CREATE", {
    data: {
      title: task.scenario,
      connection_type: "HTTP",
      connection_url: task.serverUrl,
      ...credentialOf(task),
    },
  });
  const url = `${mesh.url}/mcp/${item.id}`;
  await using session = await open({ url, key, task, visit: (link) => authorize(mesh, { browser, link }) });
  await act(session, task);
}

/** What the admin enters for the connection. */
function credentialOf({ scenario, version, context }: Task): Record<string, unknown> {
  if (!scenario.startsWith("auth/")) return {};
  // Half of the scenarios run twice, so that either kind is tried.
  const credential_mode = version === "2026-07-28" ? "per_user" : "shared";
  const oauth = { credential_type: "oauth", credential_mode };
  const { client_id, client_secret, private_key_pem: private_key } = context;
  switch (scenario) {
    case "auth/basic-cimd":
      return { ...oauth, oauth_config: { client_id: suitesDocument } };
    case "auth/pre-registration":
      return { ...oauth, oauth_config: { client_id, client_secret } };
    case "auth/client-credentials-basic":
      return forItself({ client_id, client_secret });
    case "auth/client-credentials-jwt":
      return forItself({ client_id, private_key, token_endpoint_auth_method: "private_key_jwt" });
    default:
      return oauth;
  }
}

function forItself(client: Record<string, unknown>): Record<string, unknown> {
  const oauth_config = { ...client, grant_type: "client_credentials" };
  return { credential_type: "oauth", credential_mode: "shared", oauth_config };
}

/** A client in front of the mesh. */
interface Session extends AsyncDisposable {
  readonly client: Client;
  /** Calls a tool; a link that the mesh answers with is opened, and the call made again. */
  call(name: string, args?: Record<string, unknown>): Promise<void>;
}

interface Opening {
  readonly url: string;
  readonly key: string;
  readonly task: Task;
  readonly visit: (link: string) => Promise<void>;
}

async function open({ url, key, task, visit }: Opening): Promise<Session> {
  const mode = task.version === "2026-07-28" ? "auto" : "legacy";
  const elicitation = { form: { applyDefaults: true }, url: {} };
  const client = new Client({ name: "test-client", version: "1.0.0" }, {
    capabilities: { elicitation },
    versionNegotiation: { mode },
  });
  client.setRequestHandler("elicitation/create", async ({ params }) => {
    if (params.mode === "url") await visit(params.url);
    const content = task.scenario === "sep-2322-client-request-state" ? { confirmed: true } : {};
    return params.mode === "url" ? { action: "accept" } : { action: "accept", content };
  });
  const headers = { authorization: `Bearer ${key}` };
  // Where the suite's own client would end with its process: closing leaves a stream open that was resumed.
  const leaving = new AbortController();
  const transport = new StreamableHTTPClientTransport(new URL(url), {
    requestInit: { headers },
    fetch: (input, init) => {
      const signals = [leaving.signal, init?.signal].filter((signal) => signal instanceof AbortSignal);
      return fetch(input, { ...init, signal: AbortSignal.any(signals) });
    },
  });
  await client.connect(transport);
  return {
    client,
    call: (name, args = {}) => callWith(client, { call: { name, arguments: args }, visit }),
    [Symbol.asyncDispose]: async () => {
      await client.close();
      leaving.abort();
    },
  };
}

type ToolCall = { name: string; arguments: Record<string, unknown> };

async function callWith(
  client: Client,
  { call, visit }: { call: ToolCall; visit: Opening["visit"] },
  left = maxCalls,
): Promise<void> {
  try {
    const result = await client.callTool(call);
    if (!result.isError) return;
    const text = JSON.stringify(result.content);
    // Asked once a call; who allowed one thing and is told of another calls again.
    if (left === 0 || !text.includes("/my-connections/")) throw new Error(text);
  } catch (error) {
    if (!(error instanceof UrlElicitationRequiredError) || left === 0) throw error;
    for (const { url } of error.elicitations) await visit(url);
  }
  await callWith(client, { call, visit }, left - 1);
}

/** What the suite's own client does in the scenario. */
async function act({ client, call }: Session, { scenario, context }: Task): Promise<void> {
  const { tools } = await client.listTools();
  switch (scenario) {
    case "initialize":
    case "request-metadata":
    case "json-schema-ref-no-deref":
      return;
    case "tools_call":
      return await call("add_numbers", { a: 5, b: 3 });
    case "elicitation-sep1034-client-defaults":
    case "sse-retry":
      for (const { name } of tools) await call(name);
      return;
    case "json-schema-2020-12-preservation": {
      const schema = tools.find(({ name }) => name === "json_schema_2020_12_tool")?.inputSchema;
      return await call("json_schema_echo", { schema });
    }
    case "sep-2322-client-request-state":
      return await answerRounds(call);
    case "http-standard-headers":
      return await useEverything({ client, call });
    case "http-custom-headers":
      for (const { name, arguments: args } of context.toolCalls ?? []) await call(name, args);
      return;
    case "http-invalid-tool-headers":
      // The client has left out the tools that it must not call.
      for (const { name } of tools) await call(name, { region: "us-west1" });
      return;
    default:
      return await callProtected({ client, call });
  }
}

/** Lists before and after: what is listed without a credential is what the mesh knows. */
async function callProtected({ client, call }: Pick<Session, "client" | "call">): Promise<void> {
  await call("test-tool");
  const { tools } = await client.listTools();
  if (!tools.some(({ name }) => name === "test-tool")) throw new Error("The tool is not listed");
  await call("test-tool");
}

async function answerRounds(call: Session["call"]): Promise<void> {
  await call("test_mrtr_echo_state");
  await call("test_mrtr_unrelated");
  await call("test_mrtr_no_state");
  try {
    await call("test_mrtr_no_result_type");
  } catch (error) {
    // The client takes a result of this era without its type for a fault, and does not ask again, as it must not.
    if (!/resultType/i.test(String(error))) throw error;
  }
}

async function useEverything({ client, call }: Pick<Session, "client" | "call">): Promise<void> {
  await call("test_headers");
  const { resources } = await client.listResources();
  for (const { uri } of resources) await client.readResource({ uri });
  const { prompts } = await client.listPrompts();
  for (const { name } of prompts) await client.getPrompt({ name });
}

/** Opens the page that the mesh gave the link to, sends its form, and goes where it leads until it is back. */
async function authorize(mesh: Mesh, { browser, link }: { browser: Visitor; link: string }): Promise<void> {
  const { baseUrl } = mesh.services.config;
  const path = link.slice(baseUrl.length);
  const page = await browser.get(path);
  if (page.status !== 200) throw new Error(`The page answered ${page.status}: ${page.text}`);
  const sent = await browser.post(`${path}/connect`, { from: "page" });
  let location = sent.headers.get("location");
  if (sent.status !== 303 || location === null) throw new Error(`Not sent on, ${sent.status}: ${sent.text}`);
  while (!location.startsWith(`${baseUrl}/`)) {
    const response: Response = await fetch(location, { redirect: "manual" });
    const body = await response.text();
    const next = response.headers.get("location");
    if (next === null) throw new Error(`The authorization server answered ${response.status}: ${body}`);
    location = new URL(next, location).href;
  }
  const back = await browser.get(location.slice(baseUrl.length));
  if (back.status !== 303) throw new Error(`Not connected, ${back.status}: ${back.text}`);
}
