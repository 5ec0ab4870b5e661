// The fixture's tasks: the extension io.modelcontextprotocol/tasks (M14).
import {
  acceptedContent,
  type CallToolResult,
  type InputRequests,
  inputRequired,
  type McpServer,
  MissingRequiredClientCapabilityError,
  ProtocolError,
  ProtocolErrorCode,
  type ServerContext,
} from "@modelcontextprotocol/server";
import * as z from "zod";
import { ask } from "./fixture_input_tools.ts";
import {
  declaredCapabilities,
  type FixtureTool,
  pause,
  text,
  tool,
  type ToolAnswer,
} from "./fixture_state.ts";

const extension = "io.modelcontextprotocol/tasks";

interface Task {
  readonly taskId: string;
  readonly createdAt: string;
  readonly ttlMs: number;
  readonly pollIntervalMs: number;
  status: "working" | "input_required" | "completed" | "failed" | "cancelled";
  lastUpdatedAt: string;
  inputRequests?: InputRequests;
  result?: CallToolResult;
  error?: { code: number; message: string };
}

/** The tasks of one fixture. */
export class TaskBoard {
  readonly #tasks = new Map<string, Task>();
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();

  /** Creates a task that ends with `outcome` after so many milliseconds, or when its questions are answered. */
  create({ milliseconds, outcome, inputRequests }: {
    milliseconds?: number;
    outcome: Pick<Task, "result" | "error">;
    inputRequests?: InputRequests;
  }): ToolAnswer {
    const now = new Date().toISOString();
    const task: Task = {
      taskId: crypto.randomUUID(),
      status: inputRequests ? "input_required" : "working",
      createdAt: now,
      lastUpdatedAt: now,
      ttlMs: 60_000,
      pollIntervalMs: 100,
    };
    const created = { resultType: "task", ...task, content: [] };
    if (inputRequests) task.inputRequests = { ...inputRequests };
    this.#tasks.set(task.taskId, task);
    this.#outcomes.set(task, outcome);
    if (!inputRequests) {
      const timer = setTimeout(() => this.#finish(task), milliseconds ?? 0);
      this.#timers.add(timer);
    }
    return created;
  }

  readonly #outcomes = new WeakMap<Task, Pick<Task, "result" | "error">>();

  find(taskId: string): Task {
    const task = this.#tasks.get(taskId);
    if (!task) throw new ProtocolError(ProtocolErrorCode.InvalidParams, `Task ${taskId} not found`);
    return task;
  }

  answer(taskId: string, responses: Record<string, unknown>): void {
    const task = this.find(taskId);
    if (task.status !== "input_required") return;
    for (const key of Object.keys(responses)) delete task.inputRequests?.[key];
    if (Object.keys(task.inputRequests ?? {}).length === 0) this.#finish(task);
  }

  cancel(taskId: string): void {
    const task = this.find(taskId);
    if (task.status === "working" || task.status === "input_required") this.#settle(task, "cancelled");
  }

  stop(): void {
    for (const timer of this.#timers) clearTimeout(timer);
  }

  #finish(task: Task): void {
    if (task.status !== "working" && task.status !== "input_required") return;
    const outcome = this.#outcomes.get(task) ?? {};
    Object.assign(task, outcome);
    this.#settle(task, outcome.error ? "failed" : "completed");
  }

  #settle(task: Task, status: Task["status"]): void {
    task.status = status;
    task.lastUpdatedAt = new Date().toISOString();
    delete task.inputRequests;
  }
}

function declared(context: ServerContext): boolean {
  return declaredCapabilities(context).extensions?.[extension] !== undefined;
}

function demand(context: ServerContext): void {
  if (declared(context)) return;
  throw new MissingRequiredClientCapabilityError({
    requiredCapabilities: { extensions: { [extension]: {} } },
  });
}

export function taskTools(board: TaskBoard): FixtureTool[] {
  return [...computingTools(board), ...waitingTools(board), ...failingTools(board)];
}

function computingTools(board: TaskBoard): FixtureTool[] {
  return [
    tool({
      name: "greet",
      description: "Greets at once, never as a task",
      input: { name: z.string() },
      run: ({ name }) => text(`Hello, ${name}!`),
    }),
    tool({
      name: "slow_compute",
      description: "Sleeps, then answers; a task for clients that know tasks",
      input: { seconds: z.number(), label: z.string().optional() },
      run: async ({ seconds, label }, context) => {
        const result = text(`Computed ${label ?? "nothing"} in ${seconds} s`);
        if (declared(context) && seconds > 0) {
          return board.create({ milliseconds: seconds * 1000, outcome: { result } });
        }
        await pause(seconds * 1000);
        return result;
      },
    }),
  ];
}

function waitingTools(board: TaskBoard): FixtureTool[] {
  const confirm = { confirm: { type: "boolean" as const } };
  return [
    tool({
      name: "confirm_delete",
      description: "A task that waits for a confirmation",
      input: { filename: z.string() },
      run: ({ filename }, context) => {
        const result = text(`Deleted ${filename}`);
        if (!declared(context)) return result;
        return board.create({
          outcome: { result },
          inputRequests: { confirm: ask(`Delete ${filename}?`, confirm) },
        });
      },
    }),
    tool({
      name: "multi_input",
      description: "A task that waits for two answers",
      input: {},
      run: (_args, context) => {
        demand(context);
        const inputRequests = { first: ask("First?", confirm), second: ask("Second?", confirm) };
        return board.create({ outcome: { result: text("Both answers arrived") }, inputRequests });
      },
    }),
    tool({
      name: "test_tool_with_task",
      description: "Asks for a name, then works as a task",
      input: {},
      run: (_args, context) => {
        const given = acceptedContent(context.mcpReq.inputResponses, "user_name");
        if (!given) {
          const question = ask("What is your name?", { name: { type: "string" } });
          return inputRequired({ inputRequests: { user_name: question } });
        }
        demand(context);
        return board.create({ milliseconds: 100, outcome: { result: text(`Worked for ${given.name}`) } });
      },
    }),
  ];
}

function failingTools(board: TaskBoard): FixtureTool[] {
  return [
    tool({
      name: "failing_job",
      description: "A task that completes with a tool error",
      input: {},
      run: (_args, context) => {
        demand(context);
        const result = { ...text("The job failed on purpose"), isError: true };
        return board.create({ milliseconds: 1000, outcome: { result } });
      },
    }),
    tool({
      name: "protocol_error_job",
      description: "A task that fails with a protocol error",
      input: {},
      run: (_args, context) => {
        demand(context);
        return board.create({
          milliseconds: 100,
          outcome: { error: { code: -32603, message: "The job broke on purpose" } },
        });
      },
    }),
  ];
}

/** Serves `tasks/get`, `tasks/update` and `tasks/cancel`. */
export function handleTasks(server: McpServer, board: TaskBoard): void {
  const params = z.looseObject({ taskId: z.string() });
  server.server.setRequestHandler("tasks/get", { params }, ({ taskId }, context) => {
    demand(context);
    return { ...board.find(taskId) };
  });
  server.server.setRequestHandler("tasks/cancel", { params }, ({ taskId }, context) => {
    demand(context);
    board.cancel(taskId);
    return {};
  });
  server.server.setRequestHandler("tasks/update", { params }, ({ taskId }, context) => {
    demand(context);
    board.answer(taskId, context.mcpReq.inputResponses ?? {});
    return {};
  });
}
