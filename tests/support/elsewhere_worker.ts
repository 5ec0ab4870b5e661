/// <reference lib="deno.worker" />
// The other side of elsewhere.ts: services in a thread of their own.
import { loadConfig } from "../../server/config.ts";
import { AppError } from "../../server/errors.ts";
import { signUp } from "../../server/login/setup.ts";
import { type Attempt, take } from "../../server/login/throttle.ts";
import type { Services } from "../../server/services.ts";
import { startServices, stopServices } from "../../server/start.ts";
import type { Facts, Job } from "./elsewhere.ts";

let services: Services | undefined;

self.onmessage = async ({ data }: MessageEvent<Job>) => {
  try {
    self.postMessage({ value: await run(data) });
  } catch (error) {
    const code = error instanceof AppError ? error.code : "internal";
    self.postMessage({ error: { code, message: String(error) } });
  }
};

async function run(job: Job): Promise<unknown> {
  if (job.name === "open") {
    const config = loadConfig({ env: (name) => job.env[name], readFile: () => null });
    services = await startServices(config);
    return null;
  }
  if (!services) throw new Error("Cannot run a job elsewhere: nothing is open");
  if (job.name === "take") return await attempts(services, job.attempt, job.times);
  if (job.name === "signUp") return await signUpAs(services, job.input, job.facts);
  await stopServices(services);
  return null;
}

/** How many of `times` attempts at once were let through. */
async function attempts({ db }: Services, attempt: Attempt, times: number): Promise<number> {
  const results = await Promise.allSettled(Array.from({ length: times }, () => take(db, attempt)));
  for (const result of results) {
    if (result.status === "rejected" && !(result.reason instanceof AppError)) throw result.reason;
  }
  return results.filter((result) => result.status === "fulfilled").length;
}

async function signUpAs(services: Services, input: unknown, facts: Facts): Promise<string> {
  return (await signUp(services, input, facts)).id;
}
