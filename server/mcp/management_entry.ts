import { newId } from "../ids.ts";
import type { Lifecycle } from "../lifecycle.ts";
import { describeError } from "../log.ts";
import type { Services } from "../services.ts";
import { bearerActor } from "../access/bearer.ts";
import type { Guard } from "./guard.ts";
import { errorResponse, rpcCodes } from "./message.ts";

/** What the endpoint works with beside the services. */
export interface ManagementParts {
  services: Services;
  guard: Guard;
  lifecycle: Lifecycle;
}

/** The endpoint `/mcp`: who may knock, who asks, then the actions as tools. */
export function makeManagement(parts: ManagementParts): (request: Request) => Promise<Response> {
  const { services, guard, lifecycle } = parts;
  // The SDK's server takes memory and start-up time that a mesh which only relays can spare.
  const handler = lazy(async () => (await import("./management.ts")).managementHandler(services));
  return async (request) => {
    const { headers } = request;
    const origin = headers.get("origin");
    const refused = guard.refusal(headers, origin);
    if (refused) return refused;
    const actor = await bearerActor(headers, { identities: services.identities, resource: "self" });
    if (!actor) return guard.readable(guard.unauthorized(request), origin);
    const facts = { id: newId("req"), userAgent: headers.get("user-agent") };
    lifecycle.enter();
    try {
      const handle = await handler();
      return guard.readable(await handle(request, actor, facts), origin);
    } catch (error) {
      services.log.error("management request failed", { requestId: facts.id, error: describeError(error) });
      const message = `Internal error; the log has it under the request id '${facts.id}'`;
      return errorResponse(null, { status: 500, code: rpcCodes.internal, message });
    } finally {
      lifecycle.leave();
    }
  };
}

/** Makes a value when it is first asked for. */
function lazy<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => made ??= make();
}
