import { ConnectionTestPage } from "../../views/connection_frame.tsx";
import { perform } from "../actions/action.ts";
import { testConnection } from "../actions/connection_use.ts";
import type { VisitContext } from "../visit.ts";
import { connectionFacts } from "./connection_frame.ts";
import { contextOf, param } from "./page.ts";

/** Tests a connection and shows how far the test came; htmx takes its panel out of the page. */
export async function checkConnection(c: VisitContext): Promise<Response> {
  const { tools, ...found } = await perform(testConnection, contextOf(c), { id: param(c, "id") });
  const test = { ...found, tools: tools?.length ?? null };
  const { frame } = await connectionFacts(c, test);
  return await c.html(<ConnectionTestPage {...frame} test={test} />);
}
