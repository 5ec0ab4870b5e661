import { ConnectionToolsPage, type ToolTesterState } from "../../views/connection_tools.tsx";
import { connectionPage, type Sample, type Say, toolsOf } from "./data.ts";

const PIXEL =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

function formState(say: Say): ToolTesterState {
  const value = { id: say("PLT-482"), state: say("Backlog"), url: say("https://linear.app/issue/PLT-482") };
  return {
    mode: "form",
    values: { [`arg.${say("title")}`]: say("Rotate the vault's master key") },
    result: {
      status: 200,
      durationMs: 184,
      bytes: 1204,
      logId: say("log_1"),
      result: { content: [{ type: "text", text: JSON.stringify(value) }], structuredContent: value },
    },
  };
}

function jsonState(say: Say): ToolTesterState {
  const content = [
    { type: "text", text: say("plain text") },
    { type: "text", text: JSON.stringify([say("in JSON")]) },
    { type: "image", mimeType: "image/png", data: PIXEL },
    { type: "image", mimeType: say("image/png;x"), data: say("AAAA") },
    { type: "audio", mimeType: "audio/wav", data: "AAAA" },
    { type: "resource_link", uri: say("file:///a"), name: say("a") },
    { type: "resource", resource: { uri: say("file:///b"), text: say("text of b") } },
    { type: say("unknown"), [say("key")]: { isEscaped: true, text: say("x") } },
    { type: "text", text: { isEscaped: true } },
  ];
  return {
    mode: "json",
    json: say('{ "team": 1 }'),
    errors: { json: say("The arguments are no JSON") },
    curl: say("curl -sS http://localhost:3000/mcp/conn_linear"),
    result: {
      status: 502,
      durationMs: 30_184,
      bytes: 1204,
      logId: say("log_1"),
      error: say("Linear did not answer within 30 s."),
      result: { isError: true, content, structuredContent: { [say("a")]: say("b") } },
    },
  };
}

/** The tools of a connection and the tester. */
export function tools(say: Say): Sample[] {
  const page = connectionPage(say);
  const list = toolsOf(say);
  const [first, second, third] = list;
  const wrong: ToolTesterState = {
    mode: "form",
    values: { [`arg.${say("labels")}`]: say("[") },
    errors: { [`arg.${say("labels")}`]: say("labels must be valid JSON") },
  };
  return [
    { name: "tools", page: <ConnectionToolsPage {...page} tools={list} selected={null} /> },
    {
      name: "tools-no-arguments",
      page: <ConnectionToolsPage {...page} tools={list} selected={first ?? null} />,
    },
    {
      name: "tools-no-schema",
      page: <ConnectionToolsPage {...page} tools={list} selected={third ?? null} />,
    },
    {
      name: "tools-result",
      page: <ConnectionToolsPage {...page} tools={list} selected={second ?? null} tester={formState(say)} />,
    },
    {
      name: "tools-wrong",
      page: <ConnectionToolsPage {...page} tools={list} selected={second ?? null} tester={wrong} />,
    },
    {
      name: "tools-json",
      page: <ConnectionToolsPage {...page} tools={list} selected={second ?? null} tester={jsonState(say)} />,
    },
    { name: "tools-unknown", page: <ConnectionToolsPage {...page} tools={null} selected={null} /> },
  ];
}
