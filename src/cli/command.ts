/**
 * What a subcommand is, and how it ends. Each lives in a file of its own and returns an exit code; it throws
 * `UsageError` for a wrong command line and `CommandError` for a failure that needs no stack trace to understand.
 */
import type { Output } from "./output.ts";

/** 3: nothing is wrong with what was asked, and it may be answered later; the gateway is away, or proof is not there yet. */
export const exitCodes = Object.freeze({
  done: 0,
  failed: 1,
  usage: 2,
  unreachable: 3,
  undecided: 3,
});
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

export interface CommandContext {
  readonly output: Output;
  /** Aborts at the first SIGTERM or SIGINT; the second one ends the process. */
  readonly stop: AbortSignal;
}

export interface Command {
  /** What follows `mcp-gateway NAME` in its usage line. */
  readonly usage: string;
  /** Paragraphs under the usage line: what it does, its flags. */
  readonly help: string;
  run(args: readonly string[], context: CommandContext): Promise<ExitCode>;
}

export class UsageError extends Error {}

export class CommandError extends Error {
  readonly exitCode: ExitCode;

  constructor(message: string, exitCode: ExitCode = exitCodes.failed, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

/** Resolves at the first signal to stop. */
export function untilStopped(stop: AbortSignal): Promise<void> {
  if (stop.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    stop.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** The words of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
