/**
 * The executable's entry: the command line's words, signals, and the only process.exit. The first SIGTERM or SIGINT
 * asks the running command to stop; the second ends the process at once.
 */

import { createOutput } from "./cli/output.ts";
import { runCommand } from "./cli/run.ts";
import { readClientEnvironment } from "./config/load.ts";

const exitCodeOfSecondSignal = 130;

const stop = new AbortController();
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.on(signal, () => {
    if (stop.signal.aborted) process.exit(exitCodeOfSecondSignal);
    stop.abort(signal);
  });
}

// A reader that went away (`… | head`) is no failure of ours.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});

const output = createOutput({
  write: (text) => process.stdout.write(text),
  writeNote: (text) => process.stderr.write(text),
  color: process.stdout.isTTY === true && !readClientEnvironment().noColor,
});

const exitCode = await runCommand(process.argv.slice(2), { output, stop: stop.signal });
await new Promise<void>((resolve) => process.stdout.write("", () => resolve()));
process.exit(exitCode);
