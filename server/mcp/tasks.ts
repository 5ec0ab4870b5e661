import type { Actor } from "../access/actor.ts";
import type { Db } from "../storage/dialect.ts";
import * as tasks from "../storage/tasks.ts";
import { isObject } from "../body.ts";
import { type Message, rpcCodes } from "./message.ts";
import { declaresTasks } from "./modern.ts";

/** A message that may start or touch a task, and who sent it through which connection. */
export interface TaskCall {
  db: Db;
  actor: Actor;
  organizationId: string;
  connectionId: string;
  message: Message;
  modern: boolean;
}

/** How tasks bear on one message: a task belongs to who started it (L12, M14). */
export interface TaskRule {
  /** Why the message is refused; null where it may pass. */
  refusal: string | null;
  /** Changes the answer in place; returns true where it did. */
  rewrite: (answer: Record<string, unknown>) => boolean;
  /** Remembers a task that the answer tells of. */
  remember: (answer: Record<string, unknown>) => Promise<void> | undefined;
}

const unaffected: TaskRule = { refusal: null, rewrite: () => false, remember: () => undefined };

/** The rule for a message. */
export async function taskRule(call: TaskCall): Promise<TaskRule> {
  const { db, actor, organizationId, connectionId, message } = call;
  const owner = { connectionId, userId: actor.userId };
  if (message.method === "tasks/list") {
    const known = await tasks.fingerprints(db, organizationId, owner);
    return { ...unaffected, rewrite: (answer) => keepOwn(answer, known, connectionId) };
  }
  const taskId = String(message.params.taskId ?? "");
  if (await tasks.isOwner(db, organizationId, { ...owner, taskId })) return unaffected;
  return { ...unaffected, refusal: `Cannot find the task '${taskId.slice(0, 100)}'` };
}

/** The rule for a call that may start a task. */
export function startRule(call: TaskCall): TaskRule {
  const { db, actor, organizationId, connectionId, message, modern } = call;
  return {
    refusal: null,
    rewrite: (answer) => {
      if (!modern || !isObject(answer.result) || answer.result.resultType !== "task") return false;
      if (declaresTasks(message)) return false;
      delete answer.result;
      answer.error = {
        code: rpcCodes.internal,
        message: "Cannot hand on the answer: the server started a task and the client did not declare tasks",
      };
      return true;
    },
    remember: (answer) => {
      const taskId = taskIdOf(answer.result);
      if (taskId === null) return undefined;
      return tasks.insert(db, organizationId, { connectionId, userId: actor.userId, taskId });
    },
  };
}

/** The id of a started task, of the 2025-11-25 form (`task.taskId`) or of the extension's (`resultType: "task"`). */
function taskIdOf(result: unknown): string | null {
  if (!isObject(result)) return null;
  const task = isObject(result.task) ? result.task : result.resultType === "task" ? result : null;
  return typeof task?.taskId === "string" ? task.taskId : null;
}

/** Leaves of a list of tasks those that are known to be the caller's; returns true where there is such a list. */
export function keepOwn(
  answer: Record<string, unknown>,
  known: ReadonlySet<string>,
  connectionId: string,
): boolean {
  const { result } = answer;
  if (!isObject(result) || !Array.isArray(result.tasks)) return false;
  result.tasks = result.tasks.filter((task) =>
    isObject(task) && tasks.isKnown(known, connectionId, String(task.taskId))
  );
  return true;
}
