import { z } from "zod";
import * as connectionHealth from "../storage/connection_health.ts";
import { type DiagnosisStage, stages } from "../upstream/diagnosis_course.ts";
import { type Context, organizationOf } from "./action.ts";
import { isoOf } from "./fields.ts";

/** What the last check of a connection found, in the background or by a test. */
export const healthFields = z.object({
  checked_at: z.string(),
  ok_at: z.string().nullable().describe("When it last worked"),
  stage: z.enum(stages).nullable().describe("The first stage that failed; null while it works"),
  code: z.string().nullable(),
  message: z.string().nullable().describe("What happened and why"),
  advice: z.string().nullable().describe("What to do"),
});

export type ConnectionHealth = z.input<typeof healthFields>;

/** The health of some of the organization's connections by their ids; those never checked are missing. */
export async function healthOf(ctx: Context, ids: readonly string[]): Promise<Map<string, ConnectionHealth>> {
  const rows = await connectionHealth.list(ctx.db, organizationOf(ctx), ids);
  const found = new Map<string, ConnectionHealth>();
  for (const [id, { checked_at, ok_at, result }] of rows) {
    if (checked_at === null || result === null) continue;
    const { stage, code, message, advice }: {
      stage: DiagnosisStage | null;
      code: string | null;
      message: string | null;
      advice: string | null;
    } = JSON.parse(result);
    const times = { checked_at: isoOf(checked_at), ok_at: ok_at === null ? null : isoOf(ok_at) };
    found.set(id, { ...times, stage, code, message, advice });
  }
  return found;
}

/** Has a connection checked in the background soon, as what was found of it may hold no longer. */
export async function checkSoon(ctx: Context, connectionId: string): Promise<void> {
  await connectionHealth.hasten(ctx.db, organizationOf(ctx), { connectionId, now: Date.now() });
}
