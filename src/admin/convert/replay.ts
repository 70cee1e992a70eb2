/**
 * A replay's report as its message.
 */
import type {
  ReplayChange,
  ReplayLine as ReplayLineMessage,
  ReplayReport,
} from "../../gen/types.ts";
import type { ReplayLine, ReplayTally } from "../../policy/replay-tally.ts";

const changeNames = {
  "newly-denied": "REPLAY_CHANGE_NEWLY_DENIED",
  "newly-allowed": "REPLAY_CHANGE_NEWLY_ALLOWED",
  obligations: "REPLAY_CHANGE_OBLIGATIONS",
  undetermined: "REPLAY_CHANGE_UNDETERMINED",
} as const satisfies Readonly<Record<ReplayLine["change"], ReplayChange>>;

export function fromReplayReport(
  report: ReturnType<ReplayTally["report"]>,
  about: {
    readonly draft: string;
    readonly stateRevision: number;
    readonly isComplete: boolean;
    /** Whether the operator may see who called. */
    readonly seesIdentities: boolean;
  },
): ReplayReport {
  const { byChange } = report;
  return {
    draft: about.draft,
    state_revision: about.stateRevision,
    calls: report.calls,
    unchanged: byChange.unchanged,
    newly_denied: byChange["newly-denied"],
    newly_allowed: byChange["newly-allowed"],
    obligations_changed: byChange.obligations,
    undetermined: byChange.undetermined,
    drifted: report.drifted,
    first_time_ms: report.firstTimeMs,
    last_time_ms: report.lastTimeMs,
    complete: about.isComplete,
    identities_hidden: !about.seesIdentities,
    lines: report.lines.map((line) => ({
      change: changeNames[line.change],
      server: line.server,
      calls: line.calls,
      ...(about.seesIdentities ? identitiesOf(line) : metadataOf(line)),
      examples: line.examples.map(({ logId, seq, timeMs, correlationId }) => {
        return { log_id: logId, seq, time_ms: timeMs, correlation_id: correlationId ?? "" };
      }),
    })),
    without_line: report.withoutLine,
    reasons: report.reasons.map(([reason, calls]) => ({ reason, calls })),
  };
}

type Identities = Pick<ReplayLineMessage, "principal" | "target" | "decided_now" | "decided_then">;

function identitiesOf({ principal, target, decidedNow, decidedThen }: ReplayLine): Identities {
  return { principal, target, decided_now: decidedNow, decided_then: decidedThen };
}

/** A client's own rights decide under its name, and a resource's address, which has a colon, may name a person. */
function metadataOf({ target, decidedNow, decidedThen }: ReplayLine): Identities {
  const withoutName = (decider: string) => decider.replace(/^client:.*/, "client");
  return {
    principal: "",
    target: target.includes(":") ? "" : target,
    decided_now: withoutName(decidedNow),
    decided_then: withoutName(decidedThen),
  };
}
