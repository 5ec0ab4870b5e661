import { AppError } from "../errors.ts";
import { printConfig } from "./config.ts";
import { healthcheck } from "./healthcheck.ts";
import { runMigrations } from "./migrate.ts";
import { serve } from "./serve.ts";
import { version } from "../version.ts";

/** A subcommand: what it says of itself, and what it does with its arguments; resolves to the exit code. */
interface Command {
  usage: string;
  help: string;
  options: readonly string[];
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
    usage: "mesh healthcheck",
    help: "Asks the mesh on this machine whether it is healthy",
    options: [],
    run: healthcheck,
  },
};

/** Runs the subcommand that the arguments name. Exit codes: 0 ok, 1 failed, 2 usage. */
export async function main(args: readonly string[]): Promise<number> {
  const [name = "serve", ...rest] = args;
  if (name === "--version") {
    console.log(version);
    return 0;
  }
  if (name === "--help" || name === "-h") {
    console.log(overview());
    return 0;
  }
  const command = commands[name];
  if (!command) return usageError(`there is no command '${name}'`);
  if (rest.includes("--help")) {
    console.log(`${command.usage}\n${command.help}`);
    return 0;
  }
  const unknown = rest.find((arg) => !command.options.includes(arg));
  if (unknown !== undefined) return usageError(`${command.usage} takes no '${unknown}'`);
  try {
    return await command.run(rest);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    console.error(`mesh: ${error.message}`);
    return 1;
  }
}

function overview(): string {
  const lines = Object.values(commands).map(({ usage, help }) => `  ${usage.padEnd(36)}${help}`);
  return ["MCP Mesh, a gateway between AI clients and MCP servers", "", ...lines].join("\n");
}

function usageError(what: string): number {
  console.error(`mesh: ${what}; 'mesh --help' lists the commands`);
  return 2;
}
