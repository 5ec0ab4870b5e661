import { AppError } from "../errors.ts";
import { printConfig } from "./config.ts";
import { healthcheck } from "./healthcheck.ts";
import { forgetKeys, rotateKeys } from "./keys.ts";
import { runMigrations } from "./migrate.ts";
import { unknownArgument } from "./options.ts";
import { serve } from "./serve.ts";
import { version } from "../version.ts";

/** A subcommand: what it says of itself, and what it does with its arguments; resolves to the exit code. */
interface Command {
  usage: string;
  help: string;
  /** Options without a value. */
  options: readonly string[];
  /** Options that take one. */
  values?: readonly string[];
  /** What `--help` says beyond the overview. */
  details?: readonly string[];
  run: (args: readonly string[]) => Promise<number>;
}

const commands: Readonly<Record<string, Command>> = {
  serve: { usage: "mesh [serve]", help: "Starts the mesh", options: [], run: serve },
  migrate: {
    usage: "mesh migrate [--status] [--json]",
    help: "Brings the database to this version, or says which steps are missing",
    options: ["--status", "--json"],
    run: runMigrations,
  },
  config: {
    usage: "mesh config [--json]",
    help: "Prints every setting with its origin, secrets masked",
    options: ["--json"],
    run: printConfig,
  },
  healthcheck: {
    usage: "mesh healthcheck [--json]",
    help: "Asks the mesh on this machine whether it is healthy; the answer is JSON in any case",
    options: ["--json"],
    run: healthcheck,
  },
  "keys rotate": {
    usage: "mesh keys rotate [--status] [--new-key-file FILE] [--json]",
    help: "Replaces the master key while the mesh runs, or ends a replacement that was broken off",
    options: ["--status", "--json"],
    values: ["--new-key-file"],
    details: [
      "  --status             says how far it is, and which processes are still given the old key",
      "  --new-key-file FILE  takes the new key from a file (32 bytes as base64 or hex) instead of making one",
      "  --json               prints the result as JSON, and progress on standard error",
    ],
    run: rotateKeys,
  },
  "keys forget-old": {
    usage: "mesh keys forget-old [--force] [--json]",
    help: "Ends what the replaced master key opens, once every process has the new one",
    options: ["--force", "--json"],
    details: [
      "  --force  also where a process may still be given the old key, which then does not start again",
    ],
    run: forgetKeys,
  },
};

/** Runs the subcommand that the arguments name. Exit codes: 0 ok, 1 failed, 2 usage. */
export async function main(args: readonly string[]): Promise<number> {
  const [name = "serve", ...rest] = args;
  if (name === "--version") {
    console.log(rest.includes("--json") ? JSON.stringify({ version }) : version);
    return 0;
  }
  if (name === "--help" || name === "-h") {
    console.log(overview());
    return 0;
  }
  const command = commandOf(name) ?? commandOf(`${name} ${rest.shift()}`);
  if (!command) return help(name, args[1]);
  if (rest.includes("--help") || rest.includes("-h")) {
    console.log([command.usage, command.help, ...command.details ?? []].join("\n"));
    return 0;
  }
  const unknown = unknownArgument(rest, { flags: command.options, options: command.values ?? [] });
  if (unknown !== null) return usageError(`${command.usage} takes no '${unknown}'`);
  try {
    return await command.run(rest);
  } catch (error) {
    if (!(error instanceof AppError) && !isOfTheMachine(error)) throw error;
    console.error(`mesh: ${error.message}`);
    return 1;
  }
}

/** True for what the operating system refused, such as a folder that cannot be written: it says all by itself. */
function isOfTheMachine(error: unknown): error is Error {
  return error instanceof Error && Object.values(Deno.errors).some((kind) => error instanceof kind);
}

function commandOf(name: string): Command | undefined {
  return Object.hasOwn(commands, name) ? commands[name] : undefined;
}

/** What there is to say where a first word, or the two of them, name no command. */
function help(first: string, second: string | undefined): number {
  const family = Object.keys(commands).filter((name) => name.startsWith(`${first} `));
  if (second !== "--help" || family.length === 0) {
    return usageError(`there is no command '${[first, second].filter((word) => word).join(" ")}'`);
  }
  for (const name of family) console.log(`${commands[name]?.usage}\n  ${commands[name]?.help}`);
  return 0;
}

function overview(): string {
  const lines = Object.values(commands).map(({ usage, help }) =>
    usage.length < 36 ? `  ${usage.padEnd(36)}${help}` : `  ${usage}\n${" ".repeat(38)}${help}`
  );
  return ["MCP Mesh, a gateway between AI clients and MCP servers", "", ...lines].join("\n");
}

function usageError(what: string): number {
  console.error(`mesh: ${what}; 'mesh --help' lists the commands`);
  return 2;
}
