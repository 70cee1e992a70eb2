/**
 * JSON lines on stdout, one object a line with stable keys: time, level, event, then the fields. The only writer
 * to stdout besides the command line's own output. Values are escaped by JSON, so input cannot forge a line.
 */
import type { Clock } from "../lib/clock.ts";

export const logLevels = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof logLevels)[number];
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

export interface Log {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}

/** A log that writes lines of at least `level` through `write` (a whole line, newline included). */
export function createLog(
  level: LogLevel,
  clock: Clock,
  write: (line: string) => void = writeStdout,
): Log {
  const lowest = logLevels.indexOf(level);
  const at =
    (severity: LogLevel) =>
    (event: string, fields: LogFields = {}) => {
      if (logLevels.indexOf(severity) < lowest) return;
      const time = new Date(clock.nowMs()).toISOString();
      write(`${JSON.stringify({ time, level: severity, event, ...fields })}\n`);
    };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };

function writeStdout(line: string): void {
  process.stdout.write(line);
}
