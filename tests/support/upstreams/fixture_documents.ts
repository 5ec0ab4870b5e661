// The fixture's resources and prompts.
import {
  acceptedContent,
  completable,
  inputRequired,
  type McpServer,
  ResourceTemplate,
} from "@modelcontextprotocol/server";
import * as z from "zod";
import { ask } from "./fixture_input_tools.ts";
import type { FixtureState } from "./fixture_state.ts";
import { redPixel } from "./fixture_tools.ts";

export function registerResources(server: McpServer): void {
  const texts = {
    "static-text": "This is the content of the static text resource.",
    "watched-resource": "This resource can be subscribed to.",
  };
  for (const [name, text] of Object.entries(texts)) {
    const uri = `test://${name}`;
    const metadata = { description: `The text of ${name}`, mimeType: "text/plain" };
    server.registerResource(
      name,
      uri,
      metadata,
      () => ({ contents: [{ uri, mimeType: "text/plain", text }] }),
    );
  }
  const binary = "test://static-binary";
  server.registerResource(
    "static-binary",
    binary,
    { description: "One red pixel", mimeType: "image/png" },
    () => ({ contents: [{ uri: binary, mimeType: "image/png", blob: redPixel }] }),
  );
  server.registerResource(
    "template",
    new ResourceTemplate("test://template/{id}/data", { list: undefined }),
    { description: "Data by id", mimeType: "application/json" },
    (uri, { id }) => ({
      contents: [{
        uri: uri.href,
        mimeType: "application/json",
        text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }),
      }],
    }),
  );
}

function user(text: string) {
  return { role: "user" as const, content: { type: "text" as const, text } };
}

export function registerPrompts(server: McpServer, state: FixtureState): void {
  server.registerPrompt("test_simple_prompt", { description: "A prompt without arguments" }, () => ({
    messages: [user("This is a simple prompt for testing.")],
  }));
  const suggestions = (value: string) => ["paris", "park", "party"].filter((word) => word.startsWith(value));
  server.registerPrompt("test_prompt_with_arguments", {
    description: "A prompt with two arguments",
    argsSchema: z.object({
      arg1: completable(z.string().describe("First test argument"), suggestions),
      arg2: z.string().describe("Second test argument"),
    }),
  }, ({ arg1, arg2 }) => ({ messages: [user(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)] }));
  server.registerPrompt("test_prompt_with_embedded_resource", {
    description: "A prompt that embeds a resource",
    argsSchema: z.object({ resourceUri: z.string().describe("URI of the resource to embed") }),
  }, ({ resourceUri: uri }) => ({
    messages: [
      {
        role: "user",
        content: {
          type: "resource",
          resource: { uri, mimeType: "text/plain", text: "Embedded resource content for testing." },
        },
      },
      user("Please process the embedded resource above."),
    ],
  }));
  server.registerPrompt("test_prompt_with_image", { description: "A prompt with an image" }, () => ({
    messages: [
      { role: "user", content: { type: "image", data: redPixel, mimeType: "image/png" } },
      user("Please analyze the image above."),
    ],
  }));
  server.registerPrompt(
    "test_input_required_result_prompt",
    { description: "A prompt that asks before it answers" },
    ({ mcpReq }) => {
      const given = acceptedContent(mcpReq.inputResponses, "user_context");
      if (given) return { messages: [user(`The context is ${given.context}`)] };
      const question = ask("What context should the prompt use?", { context: { type: "string" } });
      return inputRequired({ inputRequests: { user_context: question } });
    },
  );
  for (let index = 1; index <= state.extraPrompts; index++) {
    const metadata = { description: "A prompt added while the server runs" };
    server.registerPrompt(`extra_prompt_${index}`, metadata, () => ({ messages: [user("Added later")] }));
  }
}
