/**
 * Masks secrets on the way out: values under sensitive field names in structured results and in JSON inside text, and
 * what a redaction profile adds where policy asks for one.
 * Fails closed: what cannot be inspected within its bounds is withheld (PV-07), and so is a skill in which something
 * would have to be masked. Runs before cache keeps a reply.
 */
import type { JsonObject } from "../../protocol/json-view.ts";
import type { Redact } from "../../sanitize/redactor.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import type { Exchange } from "../exchange.ts";
import { holdsSkills, withholdSkills } from "../skills.ts";
import type { Stage } from "../stage.ts";

export interface SanitizeDeps {
  /** Masks a result's or a message's secrets, by a profile too where the decision names one. */
  readonly redact: Redact;
  readonly metrics: Metrics;
}

const inspected = new Set([
  "tools/call",
  "resources/read",
  "prompts/get",
  "tasks/get",
  "skills/list",
  "skills/get",
]);

export function createSanitizeStage(deps: SanitizeDeps): Stage {
  return {
    name: "sanitize",
    leave(x: Exchange): void {
      if (x.outcome?.kind !== "result" || x.request === undefined) return;
      if (!inspected.has(x.request.method)) return;
      const { result } = x.outcome;
      const redact = (object: JsonObject) => deps.redact(object, profileOf(x));
      const cleaned = holdsSkills(x) ? withholdSkills(result, redact) : redact(result);
      if ("fault" in cleaned) {
        x.outcome = { kind: "fault", fault: cleaned.fault };
        return;
      }
      const changed = "masked" in cleaned ? cleaned.masked : cleaned.withheld;
      if (changed === 0) return;
      x.redactions = changed;
      x.outcome = { kind: "result", result: cleaned.result };
      deps.metrics.count(
        "mcp_gateway_redactions_total",
        { server: x.resolved?.server ?? "" },
        changed,
      );
    },
    relay(x, message) {
      const redacted = deps.redact(message.params, profileOf(x));
      if ("fault" in redacted) return undefined;
      if (redacted.masked === 0) return message;
      return { ...message, params: redacted.result };
    },
  };
}

/** What the rules that allowed the call ask to be masked besides. */
function profileOf(x: Exchange): string | undefined {
  return x.decision?.obligations?.redaction;
}
