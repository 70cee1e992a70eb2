/**
 * Two sinks from the environment, by the names that earlier gateways used (`AUDIT_LOG_FILE`, `AUDIT_TO_STDOUT`; D04,
 * F06). They join those of the file, and are checked like them. Pure; called by `load.ts`.
 */
import type { Environment } from "./environment.ts";

export interface EnvironmentSink {
  /** In the file's names. */
  readonly sink: Readonly<Record<string, unknown>>;
  /** The variable that said it. */
  readonly origin: string;
}

export function readEnvironmentSinks(environment: Environment): readonly EnvironmentSink[] {
  const found: EnvironmentSink[] = [];
  const path = environment.AUDIT_LOG_FILE;
  if (path !== undefined && path !== "") {
    const sink = { name: "audit-log-file", kind: "file", path };
    found.push({ sink, origin: "AUDIT_LOG_FILE" });
  }
  if (/^(?:true|1|yes)$/i.test(environment.AUDIT_TO_STDOUT ?? "")) {
    const sink = { name: "audit-to-stdout", kind: "stdout" };
    found.push({ sink, origin: "AUDIT_TO_STDOUT" });
  }
  return found;
}
