// A second server on the database of a first one, in a thread of its own: SQLite waits for locks synchronously,
// so two servers in one thread would wait for each other.
import type { SignUpFacts } from "../../server/login/setup.ts";
import type { Attempt } from "../../server/login/throttle.ts";
import type { Services } from "../../server/services.ts";

export type Facts = SignUpFacts;

/** What the other server can be asked to do. */
export type Job =
  | { name: "open"; env: Record<string, string> }
  | { name: "take"; attempt: Attempt; times: number }
  | { name: "signUp"; input: unknown; facts: Facts }
  | { name: "close" };

/** What became of a job: its value, or the code of an AppError and the message. */
export type Outcome = { value: unknown; error?: undefined } | { error: { code: string; message: string } };

/** Runs `fn` with a second server; `ask` sends it a job. */
export async function withServerElsewhere(
  { config }: Services,
  fn: (ask: (job: Job) => Promise<Outcome>) => Promise<void>,
): Promise<void> {
  const worker = new Worker(import.meta.resolve("./elsewhere_worker.ts"), { type: "module" });
  const ask = (job: Job) =>
    new Promise<Outcome>((resolve, reject) => {
      worker.onmessage = ({ data }: MessageEvent<Outcome>) => resolve(data);
      worker.onerror = (event) => reject(new Error(event.message));
      worker.postMessage(job);
    });
  const env = {
    DATABASE_URL: config.databaseUrl,
    DATABASE_POOL_MAX: String(config.databasePoolMax),
    DATA_DIR: config.dataDir,
    LOG_LEVEL: "silent",
    HEALTH_CHECK_SECONDS: "0",
  };
  try {
    const opened = await ask({ name: "open", env });
    if (opened.error) throw new Error(opened.error.message);
    await fn(ask);
    await ask({ name: "close" });
  } finally {
    worker.terminate();
  }
}
