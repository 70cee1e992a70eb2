/**
 * Masks secrets on the way out: values under sensitive field names in structured results and in JSON inside text.
 * Fails closed: what cannot be inspected within its bounds is withheld (PV-07). Runs before cache keeps a reply.
 */
import type { JsonObject } from "../../protocol/json-view.ts";
import type { Redaction } from "../../sanitize/redact.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import type { Exchange } from "../exchange.ts";
import type { Stage } from "../stage.ts";

export interface SanitizeDeps {
  /** Masks a result's or a message's secrets; the same object where there were none. */
  readonly redact: (result: JsonObject) => Redaction;
  readonly metrics: Metrics;
}

const inspected = new Set(["tools/call", "resources/read", "prompts/get", "tasks/get"]);

export function createSanitizeStage(deps: SanitizeDeps): Stage {
  return {
    name: "sanitize",
    leave(x: Exchange): void {
      if (x.outcome?.kind !== "result" || x.request === undefined) return;
      if (!inspected.has(x.request.method)) return;
      const redacted = deps.redact(x.outcome.result);
      if ("fault" in redacted) {
        x.outcome = { kind: "fault", fault: redacted.fault };
        return;
      }
      if (redacted.masked === 0) return;
      x.redactions = redacted.masked;
      x.outcome = { kind: "result", result: redacted.result };
      deps.metrics.count(
        "mcp_gateway_redactions_total",
        { server: x.resolved?.server ?? "" },
        redacted.masked,
      );
    },
    relay(_x, message) {
      const redacted = deps.redact(message.params);
      if ("fault" in redacted) return undefined;
      if (redacted.masked === 0) return message;
      return { ...message, params: redacted.result };
    },
  };
}
