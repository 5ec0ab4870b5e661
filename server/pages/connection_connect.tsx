import { ConnectClientPage } from "../../views/connection_connect.tsx";
import { perform } from "../actions/action.ts";
import { createApiKey } from "../actions/api_keys.ts";
import type { VisitContext } from "../visit.ts";
import { findConnection } from "./connection_frame.ts";
import { attempt, contextOf, shellOf } from "./page.ts";

/** How to reach a connection from a client. */
export async function showConnect(c: VisitContext): Promise<Response> {
  const connection = await findConnection(c);
  return await c.html(<ConnectClientPage {...await commonOf(c)} connection={connection} />);
}

/** Makes a key for this connection alone and shows it, this once, with the configuration that holds it. */
export async function createConnectionKey(c: VisitContext): Promise<Response> {
  const connection = await findConnection(c);
  const values = c.get("form").pick("name");
  return await attempt({ values }, {
    run: async () => {
      const permissions = { [connection.id]: ["*"] };
      const { key } = await perform(createApiKey, contextOf(c), { name: values.name, permissions });
      return await c.html(<ConnectClientPage {...await commonOf(c)} connection={connection} newKey={key} />);
    },
    again: async (form, status) =>
      await c.html(<ConnectClientPage {...await commonOf(c)} connection={connection} form={form} />, status),
  });
}

async function commonOf(c: VisitContext) {
  return { shell: await shellOf(c), baseUrl: c.get("visit").services.config.baseUrl };
}
