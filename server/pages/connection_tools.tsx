import { proxyUrl } from "../../views/client_config.ts";
import type { ToolResultProps } from "../../views/components/tool_result.tsx";
import { ConnectionToolsPage, type ToolTesterState } from "../../views/connection_tools.tsx";
import { curlText } from "../../views/curl.ts";
import { editableJson } from "../../views/json_text.ts";
import { entriesOf, fieldsOf, type InputField, readArguments } from "../../views/schema_form.ts";
import type { Tool } from "../../views/types.ts";
import { can } from "../access/policy.ts";
import { perform } from "../actions/action.ts";
import { listLogs } from "../actions/audit_log.ts";
import { callConnectionTool, testConnection } from "../actions/connection_use.ts";
import { AppError, httpStatus } from "../errors.ts";
import type { Entries } from "../form.ts";
import type { VisitContext } from "../visit.ts";
import { connectionFacts } from "./connection_frame.ts";
import { actorOf, contextOf, param } from "./page.ts";

/** The tools of a connection, one of them open where the address names it. */
export async function showConnection(c: VisitContext): Promise<Response> {
  const { frame, tools } = await connectionFacts(c);
  const name = c.req.query("tool");
  const selected = tools?.find((tool) => tool.name === name) ?? null;
  return await c.html(<ConnectionToolsPage {...frame} tools={tools} selected={selected} />);
}

/** What the buttons under a tool's form do: run it, change how its arguments are written, show it as a command. */
export async function runTool(c: VisitContext): Promise<Response> {
  const { frame, tools } = await connectionFacts(c);
  const form = c.get("form");
  const name = form.text("tool");
  const selected = tools?.find((tool) => tool.name === name) ?? null;
  if (!selected) throw new AppError("not_found", `Cannot run the tool: there is no '${name}'`);
  const tester = await testerOf(c, selected);
  const status = tester.errors ? 422 : 200;
  return await c.html(
    <ConnectionToolsPage {...frame} tools={tools} selected={selected} tester={tester} />,
    status,
  );
}

async function testerOf(c: VisitContext, tool: Tool): Promise<ToolTesterState> {
  const form = c.get("form");
  const fields = fieldsOf(tool.inputSchema);
  const mode = fields === null || form.text("mode") === "json" ? "json" : "form";
  const entered: ToolTesterState = mode === "json"
    ? { mode, json: form.text("json") }
    : { mode, values: form.starting("arg.") };
  const read = mode === "json" || fields === null
    ? readJson(form)
    : readArguments(fields, entered.values ?? {});
  const action = form.text("action");
  if (fields !== null && action === "as-json") {
    return { mode: "json", json: editableJson(read.arguments) };
  }
  if (fields !== null && action === "as-form") return asForm(fields, { entered, read });
  if (Object.keys(read.errors).length > 0) return { ...entered, errors: read.errors };
  if (action === "curl") return { ...entered, curl: await curlOf(c, tool, read.arguments) };
  return { ...entered, result: await call(c, tool.name, read.arguments) };
}

interface Read {
  arguments: Record<string, unknown>;
  errors: Record<string, string>;
}

function readJson(form: Entries): Read {
  const text = form.text("json").trim();
  try {
    const value: unknown = JSON.parse(text === "" ? "{}" : text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      return { arguments: { ...value }, errors: {} };
    }
    return { arguments: {}, errors: { json: "The arguments are not a JSON object" } };
  } catch (error) {
    const reason = error instanceof Error ? error.message : "";
    return { arguments: {}, errors: { json: `This is not JSON: ${reason}` } };
  }
}

function asForm(
  fields: readonly InputField[],
  { entered, read }: { entered: ToolTesterState; read: Read },
): ToolTesterState {
  if (read.errors.json) return { ...entered, errors: read.errors };
  return { mode: "form", values: entriesOf(fields, read.arguments) };
}

async function call(c: VisitContext, name: string, args: Record<string, unknown>): Promise<ToolResultProps> {
  const began = performance.now();
  const input = { id: param(c, "id"), toolName: name, arguments: args };
  try {
    const { durationMs, requestId: _, ...result } = await perform(callConnectionTool, contextOf(c), input);
    const bytes = new TextEncoder().encode(JSON.stringify(result)).length;
    return { status: 200, durationMs, bytes, logId: await logIdOf(c), result };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const durationMs = performance.now() - began;
    return {
      status: httpStatus[error.code],
      durationMs,
      bytes: 0,
      logId: await logIdOf(c),
      error: error.message,
    };
  }
}

/** The row of the call that this request has made. */
async function logIdOf(c: VisitContext): Promise<string | null> {
  const { logs } = await perform(listLogs, contextOf(c), {
    connectionId: param(c, "id"),
    search: c.get("requestId"),
    startDate: new Date(Date.now() - 3600_000).toISOString(),
    limit: 1,
  });
  return logs[0]?.id ?? null;
}

/** The call as a command, written for the revision that the server speaks where the person may ask for it. */
async function curlOf(c: VisitContext, tool: Tool, args: Record<string, unknown>): Promise<string> {
  const id = param(c, "id");
  const url = proxyUrl(c.get("visit").services.config.baseUrl, id);
  const params = { name: tool.name, arguments: args };
  const tested = can(actorOf(c), "self", testConnection.name)
    ? await perform(testConnection, contextOf(c), { id })
    : null;
  return curlText({ url, method: "tools/call", params, protocolVersion: tested?.protocolVersion });
}
