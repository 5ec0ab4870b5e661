import type { LogLevel } from "./config.ts";

/** Facts of a log line; never secrets, never tool input or output. */
export type LogFields = Record<string, string | number | boolean | null | undefined>;

const ranks: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3, silent: 4 };

/** Structured log: one JSON object a line on standard error. */
export class Log {
  readonly #level: LogLevel;

  constructor(level: LogLevel) {
    this.#level = level;
  }

  debug(message: string, fields?: LogFields): void {
    this.#write("debug", message, fields);
  }
  info(message: string, fields?: LogFields): void {
    this.#write("info", message, fields);
  }
  warn(message: string, fields?: LogFields): void {
    this.#write("warn", message, fields);
  }
  error(message: string, fields?: LogFields): void {
    this.#write("error", message, fields);
  }

  #write(level: Exclude<LogLevel, "silent">, message: string, fields?: LogFields): void {
    if (ranks[level] < ranks[this.#level]) return;
    console.error(JSON.stringify({ time: new Date().toISOString(), level, message, ...fields }));
  }
}

/** What the log may know of anything thrown: its chain of names and messages, no values it carried. */
export function describeError(error: unknown): string {
  const parts: string[] = [];
  for (let e = error, depth = 0; e !== undefined && e !== null && depth < 5; depth++) {
    parts.push(e instanceof Error ? `${e.name}: ${e.message}` : String(e));
    e = e instanceof Error ? e.cause : undefined;
  }
  return parts.join(" <- ");
}

/** What a server does with an error that escaped its handler, or that broke off an answer which it was sending. */
export function serverErrors(log: Log): (error: unknown) => Response {
  return (error) => {
    log.warn("an answer broke off", { error: describeError(error) });
    return new Response("Internal error", { status: 500 });
  };
}
