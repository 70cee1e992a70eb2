/**
 * What stays as it is and is found anew with every connection and by every thread that has its own: said in the log
 * once, and again when it is another. Put around the gateway's log by `parts.ts`.
 */
import type { Log } from "../telemetry/log.ts";

const standing: ReadonlySet<string> = new Set(["storage.not_durable", "storage.partition_missing"]);

export function sayStandingOnce(log: Log): Log {
  /** Event to what was said of it last. */
  const said = new Map<string, string>();
  return {
    ...log,
    warn(event, fields) {
      if (standing.has(event)) {
        const text = JSON.stringify(fields);
        if (said.get(event) === text) return;
        said.set(event, text);
      }
      log.warn(event, fields);
    },
  };
}
