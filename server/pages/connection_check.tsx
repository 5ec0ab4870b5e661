import { ConnectionTestPage } from "../../views/connection_frame.tsx";
import { ConnectionPromptsPage, ConnectionResourcesPage } from "../../views/connection_lists.tsx";
import { ConnectionToolsPage } from "../../views/connection_tools.tsx";
import { perform } from "../actions/action.ts";
import { testConnection } from "../actions/connection_use.ts";
import { type VisitContext, wantsPart } from "../visit.ts";
import { connectionFacts } from "./connection_frame.ts";
import { contextOf, oneOf, param } from "./page.ts";

/** Tests a connection and shows how far the test came on the page that asked; htmx takes parts out of it. */
export async function checkConnection(c: VisitContext): Promise<Response> {
  const { tools, ...found } = await perform(testConnection, contextOf(c), { id: param(c, "id") });
  const test = { ...found, tools: tools?.length ?? null };
  const { frame, ...lists } = await connectionFacts(c, test);
  const tab = oneOf(c.get("form").text("tab"), [
    "tools",
    "resources",
    "prompts",
    "credentials",
    "activity",
    "settings",
  ]);
  if (tab === "resources") {
    return await c.html(<ConnectionResourcesPage {...frame} resources={lists.resources} />);
  }
  if (tab === "prompts") return await c.html(<ConnectionPromptsPage {...frame} prompts={lists.prompts} />);
  if (tab !== "tools") {
    return await c.html(<ConnectionTestPage {...frame} test={test} tab={wantsPart(c) ? tab : null} />);
  }
  return await c.html(<ConnectionToolsPage {...frame} tools={lists.tools} selected={null} />);
}
