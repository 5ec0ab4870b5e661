// The fixture's tools that ask the client for something before they answer.
// In the modern era they return `input_required`; to a legacy client the SDK turns the same return into
// requests on the open stream.
import {
  acceptedContent,
  type ElicitRequestFormParams,
  inputRequired,
  inputResponse,
  type ServerContext,
} from "@modelcontextprotocol/server";
import * as z from "zod";
import { declaredCapabilities, type FixtureState, type FixtureTool, text, tool } from "./fixture_state.ts";

type Properties = ElicitRequestFormParams["requestedSchema"]["properties"];

/** Builds a form elicitation whose properties are all required. */
export function ask(message: string, properties: Properties) {
  return inputRequired.elicit({
    message,
    requestedSchema: { type: "object", properties, required: Object.keys(properties) },
  });
}

export function sample(prompt: string) {
  return inputRequired.createMessage({
    messages: [{ role: "user", content: { type: "text", text: prompt } }],
    maxTokens: 100,
  });
}

const name = { name: { type: "string" as const } };
const confirmation = { ok: { type: "boolean" as const } };

function content(context: ServerContext, key: string): Record<string, unknown> | undefined {
  return acceptedContent(context.mcpReq.inputResponses, key);
}

function answered(context: ServerContext, key: string): unknown {
  const view = inputResponse(context.mcpReq.inputResponses, key);
  return view.kind === "missing" ? undefined : view;
}

/** Tools of the legacy scenarios: sampling and elicitation during a call. */
export function askingTools(): FixtureTool[] {
  return [
    tool({
      name: "test_sampling",
      description: "Asks the client's model",
      input: { prompt: z.string() },
      run: ({ prompt }, context) => {
        const view = inputResponse(context.mcpReq.inputResponses, "answer");
        if (view.kind !== "sampling") return inputRequired({ inputRequests: { answer: sample(prompt) } });
        return text(`LLM response: ${JSON.stringify(view)}`);
      },
    }),
    tool({
      name: "test_elicitation",
      description: "Asks the user for a name and an address",
      input: { message: z.string() },
      run: ({ message }, context) =>
        elicited(context, () =>
          ask(message, {
            username: { type: "string", description: "User's response" },
            email: { type: "string", description: "User's email address" },
          })),
    }),
    tool({
      name: "test_elicitation_sep1034_defaults",
      description: "Asks with a default for each primitive type",
      input: {},
      run: (_args, context) =>
        elicited(context, () =>
          ask("Please review the defaults", {
            name: { type: "string", default: "John Doe" },
            age: { type: "integer", default: 30 },
            score: { type: "number", default: 95.5 },
            status: { type: "string", enum: ["active", "inactive", "pending"], default: "active" },
            verified: { type: "boolean", default: true },
          })),
    }),
    tool({
      name: "test_elicitation_sep1330_enums",
      description: "Asks with each of the five kinds of enumeration",
      input: {},
      run: (_args, context) => elicited(context, () => ask("Please choose", enumerations())),
    }),
  ];
}

function enumerations(): Properties {
  const options = ["option1", "option2", "option3"];
  const titled = ["First", "Second", "Third"].map((title, index) => ({ const: `value${index + 1}`, title }));
  return {
    untitledSingle: { type: "string", enum: options },
    titledSingle: { type: "string", oneOf: titled },
    legacyEnum: { type: "string", enum: ["opt1", "opt2"], enumNames: ["Option One", "Option Two"] },
    untitledMulti: { type: "array", items: { type: "string", enum: options } },
    titledMulti: { type: "array", items: { anyOf: titled } },
  };
}

function elicited(context: ServerContext, question: () => ReturnType<typeof ask>) {
  const view = inputResponse(context.mcpReq.inputResponses, "form");
  if (view.kind !== "elicit") return inputRequired({ inputRequests: { form: question() } });
  return text(`Elicitation completed: action=${view.action}, content=${JSON.stringify(view.content ?? {})}`);
}

/** Tools of the modern scenarios that need one round and no state. */
export function singleRoundTools(): FixtureTool[] {
  return [
    tool({
      name: "test_input_required_result_elicitation",
      description: "Asks for a name, then greets",
      input: {},
      run: (_args, context) => {
        const given = content(context, "user_name");
        if (!given) return inputRequired({ inputRequests: { user_name: ask("What is your name?", name) } });
        return text(`Hello, ${given.name}!`);
      },
    }),
    tool({
      name: "test_input_required_result_sampling",
      description: "Asks the client's model for a capital",
      input: {},
      run: (_args, context) => {
        const view = answered(context, "capital_question");
        if (view) return text(`The model said: ${JSON.stringify(view)}`);
        return inputRequired({
          inputRequests: { capital_question: sample("What is the capital of France?") },
        });
      },
    }),
    tool({
      name: "test_input_required_result_list_roots",
      description: "Asks for the client's roots",
      input: {},
      run: (_args, context) => {
        const view = answered(context, "client_roots");
        if (view) return text(`The roots are: ${JSON.stringify(view)}`);
        return inputRequired({ inputRequests: { client_roots: inputRequired.listRoots() } });
      },
    }),
    ...demandingTools(),
  ];
}

function demandingTools(): FixtureTool[] {
  return [
    tool({
      name: "test_missing_capability",
      description: "Needs the client's sampling capability",
      input: {},
      run: () => inputRequired({ inputRequests: { answer: sample("Are you there?") } }),
    }),
    tool({
      name: "test_streaming_elicitation",
      description: "Reports progress, then asks for a name",
      input: {},
      run: async (_args, { mcpReq }) => {
        const progressToken = mcpReq._meta?.progressToken ?? mcpReq.id;
        await mcpReq.notify({
          method: "notifications/progress",
          params: { progressToken, progress: 1, total: 2 },
        });
        return inputRequired({ inputRequests: { user_name: ask("What is your name?", name) } });
      },
    }),
    tool({
      name: "test_input_required_result_capabilities",
      description: "Asks only for what the client declared",
      input: {},
      run: (_args, context) => {
        const declared = declaredCapabilities(context);
        const inputRequests = {
          ...declared.elicitation && { user_name: ask("What is your name?", name) },
          ...declared.sampling && { greeting: sample("Generate a greeting") },
          ...declared.roots && { client_roots: inputRequired.listRoots() },
        };
        return Object.keys(inputRequests).length > 0
          ? inputRequired({ inputRequests })
          : text("Nothing to ask");
      },
    }),
  ];
}

/** Tools of the modern scenarios that carry a signed state from round to round (M09). */
export function statefulTools({ codec }: FixtureState): FixtureTool[] {
  return [
    tool({
      name: "test_input_required_result_request_state",
      description: "Asks for a confirmation and gets its state back",
      input: {},
      run: async (_args, context) => {
        if (content(context, "confirm") && context.mcpReq.requestState() !== undefined) {
          return text("state-ok");
        }
        return await confirm();
      },
    }),
    tool({
      name: "test_input_required_result_tampered_state",
      description: "Refuses a state that it did not sign",
      input: {},
      run: async (_args, context) => {
        if (content(context, "confirm") && context.mcpReq.requestState() !== undefined) {
          return text("integrity-ok");
        }
        return await confirm();
      },
    }),
    tool({
      name: "test_input_required_result_multiple_inputs",
      description: "Asks for a name, a greeting and the roots at once",
      input: {},
      run: async (_args, context) => {
        const keys = ["user_name", "greeting", "client_roots"];
        if (keys.every((key) => answered(context, key))) return text("All three inputs arrived");
        return inputRequired({
          inputRequests: {
            user_name: ask("What is your name?", name),
            greeting: sample("Generate a greeting"),
            client_roots: inputRequired.listRoots(),
          },
          requestState: await codec.mint({ step: "all" }),
        });
      },
    }),
    tool({
      name: "test_input_required_result_multi_round",
      description: "Asks for a name, then for a colour",
      input: {},
      run: (_args, context) => multiRound(context, codec),
    }),
  ];

  async function confirm() {
    return inputRequired({
      inputRequests: { confirm: ask("Please confirm", confirmation) },
      requestState: await codec.mint({ step: "confirm" }),
    });
  }
}

async function multiRound(context: ServerContext, codec: FixtureState["codec"]) {
  const state = context.mcpReq.requestState<{ step: string; name?: string }>();
  const first = content(context, "step1");
  const second = content(context, "step2");
  if (state?.step === "colour" && second) return text(`${state.name} likes ${second.color}`);
  if (state?.step === "name" && first) {
    return inputRequired({
      inputRequests: { step2: ask("Step 2: What is your favorite color?", { color: { type: "string" } }) },
      requestState: await codec.mint({ step: "colour", name: String(first.name) }),
    });
  }
  return inputRequired({
    inputRequests: { step1: ask("Step 1: What is your name?", name) },
    requestState: await codec.mint({ step: "name" }),
  });
}
