/**
 * The stdio binding: one child process, one JSON-RPC message a line. The child leads its own process group, so that
 * stopping it takes its children along, and gets a minimal environment. It ends by the specification's ladder: stdin
 * closed, then SIGTERM, then SIGKILL.
 *
 * When the gateway itself dies (kill -9 included), the kernel closes the child's stdin; a well-behaved server ends at
 * end of file. A server that ignores it outlives us: run the gateway under an init that kills its control group.
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import type { Log } from "../../telemetry/log.ts";
import { errorCode, errorOf, invalidAnswer, oversizedAnswer, unreachable } from "../faults.ts";
import type { ServerSpec, ServerTransport } from "../spec.ts";
import type { Channel, ChannelEvents } from "../wire.ts";
import { createLineSplitter } from "./lines.ts";

export interface StdioOptions {
  readonly spec: ServerSpec;
  readonly transport: Extract<ServerTransport, { kind: "stdio" }>;
  /** What a child may inherit: the six names below are taken, the rest ignored. */
  readonly inheritedEnvironment: Readonly<Record<string, string | undefined>>;
  /** Each step of the ladder waits this long. */
  readonly stopStepMs: number;
  readonly stderrLineBytesMax: number;
  /** Bytes that may wait for a child that does not read. */
  readonly queuedBytesMax: number;
  readonly log: Log;
}

const inheritedNames = ["HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER"];
/** They would change what a Bun executable does, ours included (a compiled one turns into the plain runtime). */
const scrubbedNames = new Set(["BUN_OPTIONS", "BUN_BE_BUN"]);

export function childEnvironment(
  inherited: Readonly<Record<string, string | undefined>>,
  added: Readonly<Record<string, string>>,
): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const name of inheritedNames) {
    const value = inherited[name];
    // A value that starts with `()` is an exported shell function, which a shell would run.
    if (value !== undefined && !value.startsWith("()")) environment[name] = value;
  }
  for (const [name, value] of Object.entries(added)) {
    if (!scrubbedNames.has(name)) environment[name] = value;
  }
  return environment;
}

/** Starts the process; resolves once the system has it. Rejects `upstream-unreachable` where it cannot start. */
export function openStdioChannel(options: StdioOptions, events: ChannelEvents): Promise<Channel> {
  const { spec, transport } = options;
  const child = spawn(transport.command, [...transport.args], {
    detached: true,
    stdio: ["pipe", "pipe", "pipe"],
    env: childEnvironment(options.inheritedEnvironment, transport.environment),
    ...(transport.workingDirectory !== undefined && { cwd: transport.workingDirectory }),
  });
  const ended = new Promise<void>((resolve) => {
    child.once("exit", (code, signal) => {
      // Whatever the child left behind in its group goes with it.
      killGroup(child, "SIGKILL");
      events.onClose(unreachable(spec.name, `process-ended-${signal ?? code ?? "unknown"}`, 0));
      resolve();
    });
  });
  readOutput(child, options, events);
  readErrors(child, options);
  child.stdin.on("error", () => {});
  const channel: Channel = {
    send(text) {
      if (!child.stdin.writable) return unreachable(spec.name, "stdin-closed");
      if (child.stdin.writableLength > options.queuedBytesMax) {
        return unreachable(spec.name, "not-reading");
      }
      child.stdin.write(`${onOneLine(text)}\n`);
      return undefined;
    },
    close: () => stop(child, ended, options.stopStepMs),
  };
  return new Promise((resolve, reject) => {
    child.once("spawn", () => resolve(channel));
    child.once("error", (error) => {
      reject(errorOf(unreachable(spec.name, `spawn-${errorCode(error)}: ${transport.command}`)));
    });
  });
}

/**
 * The message as one line. In valid JSON a raw line break is white space between tokens, so nothing else changes; left
 * in, it would end the line, and what follows could be a message of the agent's own making that no policy has seen.
 */
function onOneLine(text: string): string {
  return text.includes("\n") || text.includes("\r") ? text.replace(/[\r\n]/g, " ") : text;
}

function readOutput(
  child: ChildProcessWithoutNullStreams,
  { spec }: StdioOptions,
  events: ChannelEvents,
): void {
  const splitter = createLineSplitter({
    lineBytesMax: spec.responseBytesMax,
    onLine(line) {
      if (line === undefined) events.onClose(invalidAnswer(spec.name, "not-utf8"));
      else if (line !== "") events.onText(line);
    },
    onOverflow: () => events.onClose(oversizedAnswer(spec.name, spec.responseBytesMax)),
  });
  child.stdout.on("data", (chunk: Buffer) => splitter.push(chunk));
  child.stdout.on("error", () => {});
}

/** stderr is free text: its lines go to the log, cut to a bound, at debug level. */
function readErrors(child: ChildProcessWithoutNullStreams, options: StdioOptions): void {
  const { spec, log, stderrLineBytesMax } = options;
  child.stderr.on("data", (chunk: Buffer) => {
    const text = chunk.subarray(0, stderrLineBytesMax).toString("utf8").trimEnd();
    if (text !== "") log.debug("upstream.stderr", { server: spec.name, text });
  });
  child.stderr.on("error", () => {});
}

async function stop(
  child: ChildProcessWithoutNullStreams,
  ended: Promise<void>,
  stepMs: number,
): Promise<void> {
  const isOver = () => child.exitCode !== null || child.signalCode !== null;
  if (isOver()) return;
  child.stdin.end();
  if (await endsWithin(ended, stepMs)) return;
  killGroup(child, "SIGTERM");
  if (await endsWithin(ended, stepMs)) return;
  killGroup(child, "SIGKILL");
  await endsWithin(ended, stepMs);
}

function endsWithin(ended: Promise<void>, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), timeoutMs);
    void ended.then(() => {
      clearTimeout(timer);
      resolve(true);
    });
  });
}

function killGroup(child: ChildProcessWithoutNullStreams, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // The group is already empty.
  }
}
