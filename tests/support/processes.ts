// Child processes of tests: start, wait for a line or a port, read the output, stop by pid.
import { tmpdir } from "node:os";

const pollMilliseconds = 25;
const defaultWaitMilliseconds = 60_000;

export interface ChildOptions {
  /** Program and arguments. */
  readonly command: readonly [string, ...string[]];
  readonly cwd?: string;
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Start from an empty environment (PATH and HOME stay). */
  readonly clearEnv?: boolean;
  /** Written to the child's standard input, which is closed afterwards. */
  readonly input?: string;
}

export interface ExitStatus {
  readonly code: number;
  readonly signal: Deno.Signal | null;
}

/** A running child; `await using` stops it at the end of the block. */
export class Child implements AsyncDisposable {
  readonly pid: number;
  /** Resolves when the child has ended and its output is complete. */
  readonly ended: Promise<ExitStatus>;
  readonly #process: Deno.ChildProcess;
  readonly #options: ChildOptions;
  #stdout = "";
  #stderr = "";
  #over = false;

  constructor(options: ChildOptions) {
    const [program, ...args] = leashed(options.command);
    this.#options = options;
    this.#process = new Deno.Command(program, {
      args,
      ...options.cwd !== undefined && { cwd: options.cwd },
      env: { ...options.clearEnv && essentials(), ...options.env },
      clearEnv: options.clearEnv ?? false,
      stdin: options.input === undefined ? "null" : "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.pid = this.#process.pid;
    this.ended = this.#follow();
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** Both streams, for failure messages. */
  get output(): string {
    return this.#stdout + this.#stderr;
  }

  /** Waits until either stream matches and gives the match; fails when the child ends first or time is up. */
  async line(pattern: RegExp, milliseconds = defaultWaitMilliseconds): Promise<RegExpMatchArray> {
    return await this.#until(
      `output matching ${pattern}`,
      () => Promise.resolve(this.output.match(pattern)),
      {
        milliseconds,
      },
    );
  }

  /** Waits until somebody listens on the loopback port; fails when the child ends first or time is up. */
  async port(port: number, milliseconds = defaultWaitMilliseconds): Promise<void> {
    await this.#until(`a listener on port ${port}`, () => listens(port), { milliseconds });
  }

  /** Sends the signal and waits for the end. */
  async kill(signal: Deno.Signal = "SIGTERM"): Promise<ExitStatus> {
    if (!this.#over) {
      try {
        this.#process.kill(signal);
      } catch (error) {
        // It ended between the look and the call.
        if (!(error instanceof TypeError) && !(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
    return await this.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill("SIGKILL");
  }

  async #follow(): Promise<ExitStatus> {
    const [status] = await Promise.all([
      this.#process.status,
      collect(this.#process.stdout, (text) => this.#stdout += text),
      collect(this.#process.stderr, (text) => this.#stderr += text),
      this.#feed(),
    ]);
    this.#over = true;
    return { code: status.code, signal: status.signal };
  }

  async #feed(): Promise<void> {
    if (this.#options.input === undefined) return;
    const writer = this.#process.stdin.getWriter();
    await writer.write(new TextEncoder().encode(this.#options.input));
    await writer.close();
  }

  async #until<T>(
    what: string,
    attempt: () => Promise<T | null>,
    { milliseconds }: { milliseconds: number },
  ) {
    const deadline = Date.now() + milliseconds;
    for (;;) {
      const over = this.#over;
      const found = await attempt();
      if (found !== null) return found;
      const reason = over ? "The child ended" : Date.now() > deadline ? "Time was up" : null;
      if (reason) {
        throw new Error(
          `${reason} before there was ${what}: ${this.#options.command.join(" ")}\n${this.output}`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, pollMilliseconds));
    }
  }
}

/** Starts a child whose output is collected. */
export function start(options: ChildOptions): Child {
  return new Child(options);
}

/** Runs a child to its end. */
export async function run(
  options: ChildOptions,
): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = start(options);
  const { code } = await child.ended;
  return { code, stdout: child.stdout, stderr: child.stderr };
}

/** Makes the child die with the thread of the test file that started it, however that ends. */
export function leashed(command: ChildOptions["command"]): readonly [string, ...string[]] {
  const setpriv = findOnPath(["setpriv"]);
  return setpriv ? [setpriv, "--pdeathsig", "KILL", ...command] : command;
}

/** Finds the first of the programs that is installed, and gives its path. */
export function findOnPath(names: readonly string[]): string | undefined {
  const folders = [...(Deno.env.get("PATH") ?? "").split(":"), "/usr/sbin", "/usr/local/sbin"];
  return names.flatMap((name) => folders.map((folder) => `${folder}/${name}`)).find(exists);
}

/** True when there is something at the path and this account may see it. */
export function exists(path: string): boolean {
  try {
    return Boolean(Deno.statSync(path));
  } catch (error) {
    const absent = [Deno.errors.NotFound, Deno.errors.NotADirectory, Deno.errors.PermissionDenied];
    if (absent.some((kind) => error instanceof kind)) return false;
    throw error;
  }
}

/** A loopback port that was free a moment ago, below the range from which the system takes ports for outgoing calls. */
export function freePort(): number {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    try {
      if (!isMine(port)) continue;
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
}

/** True the first time that a port is asked for: test files run at once in one process and share nothing but files. */
function isMine(port: number): boolean {
  const hour = new Date().toISOString().slice(0, 13); // another process has the same id one day
  const taken = `${tmpdir()}/mesh-test-ports-${Deno.pid}-${hour}`;
  Deno.mkdirSync(taken, { recursive: true });
  try {
    Deno.openSync(`${taken}/${port}`, { write: true, createNew: true }).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return false;
    throw error;
  }
}

async function listens(port: number): Promise<true | null> {
  try {
    (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionRefused) return null;
    throw error;
  }
}

async function collect(stream: ReadableStream<Uint8Array>, add: (text: string) => void): Promise<void> {
  const streaming = new TextDecoder();
  for await (const chunk of stream) add(streaming.decode(chunk, { stream: true }));
  add(streaming.decode());
}

function essentials(): Record<string, string> {
  const kept = ["PATH", "HOME", "DENO_DIR"].map((name) => [name, Deno.env.get(name)] as const);
  return Object.fromEntries(kept.filter((entry): entry is [string, string] => entry[1] !== undefined));
}
