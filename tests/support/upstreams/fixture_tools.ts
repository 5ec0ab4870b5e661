// The fixture's tools that answer by themselves: content kinds, errors, progress, logging, schemas, headers.
import { fromJsonSchema, type McpServer } from "@modelcontextprotocol/server";
import * as z from "zod";
import { type FixtureState, type FixtureTool, pause, text, tool } from "./fixture_state.ts";

const stepMilliseconds = 50;

/** One red pixel, as PNG in base64. */
export const redPixel =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
const silence = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAAAAA==";

export function contentTools(): FixtureTool[] {
  const image = { type: "image" as const, data: redPixel, mimeType: "image/png" };
  return [
    constant("test_simple_text", text("This is a simple text response for testing.")),
    constant("test_image_content", { content: [image] }),
    constant("test_audio_content", { content: [{ type: "audio", data: silence, mimeType: "audio/wav" }] }),
    constant("test_embedded_resource", {
      content: [{
        type: "resource",
        resource: {
          uri: "test://embedded-resource",
          mimeType: "text/plain",
          text: "This is an embedded resource content.",
        },
      }],
    }),
    constant("test_multiple_content_types", {
      content: [{ type: "text", text: "Multiple content types test:" }, image, {
        type: "resource",
        resource: {
          uri: "test://mixed-content-resource",
          mimeType: "application/json",
          text: JSON.stringify({ test: "data", value: 123 }),
        },
      }],
    }),
    tool({
      name: "test_error_handling",
      description: "Always fails",
      input: {},
      run: () => {
        throw new Error("This tool intentionally returns an error for testing");
      },
    }),
  ];
}

function constant(name: string, answer: ReturnType<typeof text>): FixtureTool {
  return tool({ name, description: `Gives the constant answer of ${name}`, input: {}, run: () => answer });
}

/** Tools that say something before their result. */
export function streamingTools(): FixtureTool[] {
  return [
    tool({
      name: "test_tool_with_logging",
      description: "Logs three lines while it runs",
      input: {},
      run: async (_args, { mcpReq }) => {
        for (const line of ["Tool execution started", "Tool processing data", "Tool execution completed"]) {
          await mcpReq.log("info", line);
          await pause(stepMilliseconds);
        }
        return text("Logged three lines");
      },
    }),
    tool({
      name: "test_logging_tool",
      description: "Logs one line",
      input: {},
      run: async (_args, { mcpReq }) => {
        await mcpReq.log("info", "One line");
        return text("Logged one line");
      },
    }),
    tool({
      name: "test_tool_with_progress",
      description: "Reports progress 0, 50, 100 of 100",
      input: {},
      run: async (_args, { mcpReq }) => {
        const progressToken = mcpReq._meta?.progressToken;
        for (const progress of [0, 50, 100]) {
          if (progressToken !== undefined) {
            await mcpReq.notify({
              method: "notifications/progress",
              params: { progressToken, progress, total: 100, message: `Step ${progress} of 100` },
            });
          }
          await pause(stepMilliseconds);
        }
        return text("Reported progress");
      },
    }),
    tool({
      name: "test_reconnection",
      description: "Closes its stream in the middle of the call; the answer is there after a reconnection",
      input: {},
      run: async (_args, { http }) => {
        http?.closeSSE?.();
        await pause(2 * stepMilliseconds);
        return text("Reconnection test completed");
      },
    }),
  ];
}

/** Tools for our own tests of a gateway. */
export function probeTools(state: FixtureState): FixtureTool[] {
  return [
    tool({
      name: "echo",
      title: "Echo",
      description: "Gives its text back",
      input: { text: z.string() },
      annotations: { readOnlyHint: true },
      run: ({ text: value }) => text(value),
    }),
    tool({
      name: "whoami",
      description: "Gives the request headers that the server saw, names in lower case",
      input: {},
      annotations: { readOnlyHint: true },
      run: (_args, { http }) => {
        const headers = Object.fromEntries(http?.req?.headers ?? []);
        return { ...text(JSON.stringify(headers)), structuredContent: headers };
      },
    }),
    tool({
      name: "large_text",
      description: "Gives a text of so many characters",
      input: { length: z.number().int().min(0) },
      run: ({ length }) => text("x".repeat(length)),
    }),
    tool({
      name: "wait_for_cancel",
      description: "Runs until it is cancelled; notes `started LABEL` and `cancelled LABEL`",
      input: { label: z.string() },
      run: async ({ label }, { mcpReq: { signal } }) => {
        const { promise, resolve } = Promise.withResolvers<void>();
        signal.addEventListener("abort", () => resolve());
        state.note(`started ${label}`);
        await promise;
        state.note(`cancelled ${label}`);
        return text("Cancelled");
      },
    }),
  ];
}

/** Tools whose input schema is the point. */
export function schemaTools(): FixtureTool[] {
  const region = { type: "string" as const, "x-mcp-header": "Region" };
  return [
    {
      name: "json_schema_2020_12_tool",
      description: "Has an input schema with much of the JSON Schema 2020-12 vocabulary",
      input: fromJsonSchema({
        $schema: "https://json-schema.org/draft/2020-12/schema",
        type: "object",
        $defs: {
          address: {
            $anchor: "addressDef",
            type: "object",
            properties: { street: { type: "string" }, city: { type: "string" } },
          },
        },
        properties: {
          name: { type: "string" },
          address: { $ref: "#/$defs/address" },
          contactMethod: { type: "string", enum: ["phone", "email"] },
          phone: { type: "string" },
          email: { type: "string" },
        },
        allOf: [{ anyOf: [{ required: ["phone"] }, { required: ["email"] }] }],
        if: { properties: { contactMethod: { const: "phone" } }, required: ["contactMethod"] },
        then: { required: ["phone"] },
        else: { required: ["email"] },
        additionalProperties: false,
      }),
      run: (args) => text(JSON.stringify(args)),
    },
    {
      name: "test_header_parameter",
      description: "Mirrors its region into the header Mcp-Param-Region",
      input: fromJsonSchema({
        type: "object",
        properties: { region, query: { type: "string" } },
        required: ["region"],
      }),
      run: (args) => text(JSON.stringify(args)),
    },
  ];
}

/** Tools that change the lists or a resource, and tell whoever listens in either era. */
export function changingTools(state: FixtureState, server: McpServer): FixtureTool[] {
  return [
    tool({
      name: "test_trigger_tool_change",
      description: "Adds a tool to the list",
      input: {},
      run: () => {
        state.extraTools++;
        state.notify?.toolsChanged();
        server.sendToolListChanged();
        return text(`${state.extraTools} tools added`);
      },
    }),
    tool({
      name: "test_trigger_prompt_change",
      description: "Adds a prompt to the list",
      input: {},
      run: () => {
        state.extraPrompts++;
        state.notify?.promptsChanged();
        server.sendPromptListChanged();
        return text(`${state.extraPrompts} prompts added`);
      },
    }),
    tool({
      name: "test_trigger_resource_update",
      description: "Says that test://watched-resource changed",
      input: {},
      run: async () => {
        state.notify?.resourceUpdated("test://watched-resource");
        await server.server.sendResourceUpdated({ uri: "test://watched-resource" });
        return text("Resource updated");
      },
    }),
  ];
}
