/**
 * A gateway as its users run it: the compiled executable in an empty folder, on free ports, seeing nothing of the
 * source tree or of the test's environment. Ends with its test: `await using gateway = await startGateway()`.
 */
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { until, within } from "./deadline.ts";
import { temporaryFolder } from "./temporary-folder.ts";

export const repository = resolve(import.meta.dir, "../..");
export const executable = join(repository, "dist/mcp-gateway");

export interface GatewayOptions {
  /** The config file's content; written as JSON, which is YAML too. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string>>;
  /** Kept when the gateway ends, so that another can start on it. A folder of its own by default. */
  readonly dataDir?: string;
  readonly args?: readonly string[];
  /** `source` runs src/main.ts, for quick rounds while developing; the suites use the executable. */
  readonly from?: "executable" | "source";
  /** Put before the command, for example `["taskset", "-c", "0"]`. */
  readonly prefix?: readonly string[];
  readonly startTimeoutMs?: number;
  /** Of the ops listener, where it must be known before the gateway is up; a free one by default. */
  readonly opsPort?: number;
}

export interface GatewayProcess extends AsyncDisposable {
  /** `http://127.0.0.1:<port>` */
  readonly agents: string;
  /** `127.0.0.1:<port>`, as gRPC clients take it. */
  readonly admin: string;
  /** `http://127.0.0.1:<port>` */
  readonly ops: string;
  readonly adminToken: string;
  readonly dataDir: string;
  readonly pid: number;
  /** From the start of the process to its `listening` line. */
  readonly startMs: number;
  stdout(): string;
  stderr(): string;
  kill(signal: NodeJS.Signals): void;
  /** Resolves with the exit code, or 128 + the signal's number. */
  readonly exited: Promise<number>;
}

const stopTimeoutMs = 10_000;

export async function startGateway(options: GatewayOptions = {}): Promise<GatewayProcess> {
  const folder = temporaryFolder("gateway");
  const dataDir = options.dataDir ?? join(folder.path, "data");
  const startedMs = performance.now();
  const child = Bun.spawn(
    [...(options.prefix ?? []), ...(await commandOf(options, folder.path, dataDir))],
    {
      cwd: folder.path,
      env: { PATH: process.env.PATH ?? "", HOME: folder.path, ...options.env },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  const exited = child.exited;

  let isAskedToStop = false;
  const kill = (signal: NodeJS.Signals) => {
    isAskedToStop ||= signal === "SIGTERM";
    child.kill(signal);
  };
  const dispose = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      // A second one would end it at once, in the middle of closing.
      if (!isAskedToStop) kill("SIGTERM");
      await within("graceful end", exited, stopTimeoutMs).catch(() => child.kill("SIGKILL"));
      await exited;
    }
    await folder[Symbol.asyncDispose]();
  };

  const ended = () => child.exitCode !== null || child.signalCode !== null;
  try {
    const listening = await until(
      "the gateway's listening line",
      () => {
        const line = findListening(stdout.text());
        if (line === undefined && ended()) throw new Error(`ended with ${child.exitCode}`);
        return line;
      },
      options.startTimeoutMs,
    );
    const startMs = performance.now() - startedMs;
    const tokenFile = join(dataDir, "admin.token");
    await until("admin.token", () => existsSync(tokenFile));
    return {
      agents: `http://${listening.agents}`,
      admin: listening.admin,
      ops: `http://${listening.ops}`,
      adminToken: readFileSync(tokenFile, "utf8").trim(),
      dataDir,
      pid: child.pid,
      startMs,
      stdout: stdout.text,
      stderr: stderr.text,
      kill,
      exited,
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await dispose();
    const said = `${stdout.text()}\n${stderr.text()}`.trim();
    throw new Error(`the gateway did not start: ${error}\n${said}`, { cause: error });
  }
}

async function commandOf(
  options: GatewayOptions,
  folder: string,
  dataDir: string,
): Promise<readonly string[]> {
  const isSource = options.from === "source";
  const program = isSource ? [process.execPath, join(repository, "src/main.ts")] : [executable];
  const command = [...program, "serve", "--data-dir", dataDir];
  for (const listener of ["--port", "--admin-port"]) command.push(listener, "0");
  command.push("--ops-port", String(options.opsPort ?? 0));
  const configFile = join(folder, "gateway.yaml");
  await Bun.write(configFile, JSON.stringify(unhurried(options.config), null, 2));
  command.push("--config", configFile);
  return [...command, ...(options.args ?? [])];
}

/**
 * Test machines are slow and their disks stall at times: only tests of a deadline have a short one, and only those of
 * streams have an answer that takes long become one. Quick ones ask more often than a source may: only tests of that
 * limit have it.
 */
function unhurried(config: GatewayOptions["config"] = {}): GatewayOptions["config"] {
  const section = (own: unknown, patience: object) => ({
    ...patience,
    ...(typeof own === "object" ? own : {}),
  });
  return {
    ...config,
    agents: section(config.agents, { sse_after_ms: 30_000 }),
    limits: section(config.limits, { source_requests_per_minute: 10_000_000 }),
    audit: section(config.audit, { deadline_ms: 30_000 }),
    database: section(config.database, { deadline_ms: 30_000 }),
  };
}

interface Listening {
  readonly agents: string;
  readonly admin: string;
  readonly ops: string;
}

/** The addresses without their schemes, from the line that says every listener is bound. */
function findListening(stdout: string): Listening | undefined {
  const line = stdout.split("\n").find((one) => one.includes('"event":"listening"'));
  if (line === undefined || !line.endsWith("}")) return undefined;
  const { agents, admin, ops } = JSON.parse(line);
  const bare = (address: unknown) =>
    String(address)
      .replace(/^[a-z]+:\/\//, "")
      .replace(/\/$/, "");
  return { agents: bare(agents), admin: bare(admin), ops: bare(ops) };
}

/** Reads a stream to its end in the background and shows what came so far. */
function collect(stream: ReadableStream<Uint8Array>): { text(): string } {
  const decoder = new TextDecoder();
  let text = "";
  void (async () => {
    for await (const chunk of stream) text += decoder.decode(chunk, { stream: true });
  })();
  return { text: () => text };
}
