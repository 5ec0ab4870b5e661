/// <reference lib="deno.worker" />
// The thread behind InsertThread: its name is the URL of the database.
import { describeError } from "../log.ts";
import * as auditLog from "../storage/audit_log.ts";
import { openDatabase } from "../storage/database.ts";
import { type Row, rowOfLine } from "./entry.ts";
import type { InsertAnswer } from "./insert_thread.ts";
import { textsOf } from "./segment.ts";

let database: ReturnType<typeof openDatabase> | undefined;

self.onmessage = async ({ data }: MessageEvent<Uint8Array>) => {
  const answer: InsertAnswer = { failure: null };
  try {
    const rows: Row[] = [];
    for (const line of textsOf(data)) {
      const row = rowOfLine(line);
      if (!row) throw new Error("a line is not a row");
      rows.push(row);
    }
    database ??= openDatabase(self.name, 1);
    await auditLog.insertMany(await database, rows);
  } catch (error) {
    answer.failure = describeError(error);
  }
  self.postMessage(answer);
};
