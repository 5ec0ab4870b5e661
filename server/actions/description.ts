import { z } from "zod";
import type { Actor } from "../access/actor.ts";
import { can } from "../access/policy.ts";
import type { Action } from "./action.ts";
import { actions } from "./mod.ts";

/** An action as a tool: what MCP clients and callers of the JSON API are told of it. */
export interface ToolDescription {
  name: string;
  title: string;
  description: string;
  inputSchema: ObjectSchema;
  outputSchema: ObjectSchema;
  annotations: { title: string; readOnlyHint: boolean; destructiveHint: boolean; idempotentHint: boolean };
}

/** A JSON Schema (2020-12) of an object. */
export interface ObjectSchema {
  type: "object";
  [keyword: string]: unknown;
}

const described = new Map<Action, ToolDescription>();

/** The actions that the actor may run, in the order of the list, as tools. */
export function describeFor(actor: Actor): ToolDescription[] {
  return actions.filter((action) => mayRun(actor, action)).map(describe);
}

function mayRun(actor: Actor, action: Action): boolean {
  if (action.internal) return false;
  if (actor.organizationId === null) return action.withoutOrganization === true && actor.kind === "session";
  return can(actor, "self", action.name);
}

function describe(action: Action): ToolDescription {
  const known = described.get(action);
  if (known) return known;
  const { name, title, description, readOnly, destructive, idempotent } = action;
  const annotations = {
    title,
    readOnlyHint: readOnly,
    destructiveHint: destructive,
    idempotentHint: idempotent,
  };
  const tool = {
    name,
    title,
    description,
    inputSchema: schemaOf(action.input, "input"),
    outputSchema: schemaOf(action.output, "output"),
    annotations,
  };
  described.set(action, tool);
  return tool;
}

function schemaOf(schema: z.ZodObject, io: "input" | "output"): ObjectSchema {
  // MCP assumes 2020-12, and validators that know fewer dialects stop at the keyword that would say so.
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, reused: "ref" });
  return { ...rest, type: "object" };
}
