/**
 * The executable as a user types it: in an empty folder, with nothing of the test's environment but PATH. Short
 * commands run to their end; long ones are started and waited for by their first words.
 */
import { until } from "./deadline.ts";
import { executable } from "./gateway-process.ts";
import { temporaryFolder } from "./temporary-folder.ts";

export interface CommandEnd {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  /** An empty folder of its own by default. */
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  readonly timeoutMs?: number;
}

/** Runs `mcp-gateway ARGS…` to its end. */
export async function runGateway(
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandEnd> {
  await using folder = temporaryFolder("command");
  const child = Bun.spawn([executable, ...args], {
    cwd: options.cwd ?? folder.path,
    env: { PATH: process.env.PATH ?? "", HOME: folder.path, ...options.env },
    stdio: [options.stdin === undefined ? "ignore" : Buffer.from(options.stdin), "pipe", "pipe"],
    timeout: options.timeoutMs ?? 30_000,
    killSignal: "SIGKILL",
  });
  const [stdout, stderr, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { exitCode, stdout, stderr };
}

export interface RunningCommand extends AsyncDisposable {
  readonly pid: number;
  readonly exited: Promise<number>;
  stdout(): string;
  stderr(): string;
  kill(signal: NodeJS.Signals): void;
}

/** Starts any command and resolves once its standard output matches. */
export async function startCommand(
  command: readonly string[],
  ready: RegExp,
  options: CommandOptions = {},
): Promise<RunningCommand> {
  const folder = temporaryFolder("command");
  const child = Bun.spawn([...command], {
    cwd: options.cwd ?? folder.path,
    env: { PATH: process.env.PATH ?? "", HOME: folder.path, ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  const decoder = new TextDecoder();
  const read = async (stream: ReadableStream<Uint8Array>, keep: (text: string) => void) => {
    for await (const chunk of stream) keep(decoder.decode(chunk));
  };
  void read(child.stdout, (text) => {
    stdout += text;
  });
  void read(child.stderr, (text) => {
    stderr += text;
  });
  const dispose = async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGTERM");
    await child.exited;
    await folder[Symbol.asyncDispose]();
  };
  try {
    await until(`${command.join(" ")} saying ${ready}`, () => {
      if (child.exitCode !== null) throw new Error(`ended with ${child.exitCode}`);
      return ready.test(stdout) || ready.test(stderr);
    });
  } catch (error) {
    await dispose();
    throw new Error(`${error}\n${stdout}\n${stderr}`);
  }
  return {
    pid: child.pid,
    exited: child.exited,
    stdout: () => stdout,
    stderr: () => stderr,
    kill: (signal) => child.kill(signal),
    [Symbol.asyncDispose]: dispose,
  };
}
