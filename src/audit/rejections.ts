/**
 * Refusals that must not cost the refused a record each: unauthenticated noise, floods over a limit, junk. The first
 * of a kind in a period is recorded at once, the rest are counted and recorded as one aggregate when it ends.
 */
import type { AuditEvent, AuditLog, RecordDraft } from "./record.ts";

export interface Rejection {
  readonly event: AuditEvent;
  /** Why: an error name and, where there is one, its reason. */
  readonly reason: string;
  readonly binding: string;
  readonly peer: string;
  /** The principal, where it is known. */
  readonly principal: string | undefined;
  readonly tenant?: string | undefined;
}

export interface Rejections {
  note(rejection: Rejection, nowMs: number): void;
  /** Writes the counts of the period that ends now. */
  flush(nowMs: number): void;
}

interface Tally {
  readonly rejection: Rejection;
  readonly sinceMs: number;
  more: number;
}

export function createRejections(deps: {
  readonly audit: Pick<AuditLog, "append">;
  readonly keysMax: number;
}): Rejections {
  const tallies = new Map<string, Tally>();
  let uncounted = 0;

  function record(rejection: Rejection, count: number, timeMs: number): void {
    const draft: RecordDraft = {
      event: rejection.event,
      class: "C",
      timeMs,
      facts: {
        status: "rejected",
        reason: rejection.reason,
        binding: rejection.binding,
        count,
        tenant: rejection.tenant,
      },
      details: { source: sourcePrefix(rejection.peer), principal: rejection.principal },
    };
    void deps.audit.append(draft, "queued");
  }

  return {
    note(rejection, nowMs) {
      const source = sourcePrefix(rejection.peer);
      const key = JSON.stringify([
        rejection.reason,
        rejection.binding,
        source,
        rejection.principal,
        rejection.tenant,
      ]);
      const tally = tallies.get(key);
      if (tally !== undefined) tally.more += 1;
      else if (tallies.size >= deps.keysMax) uncounted += 1;
      else {
        tallies.set(key, { rejection, sinceMs: nowMs, more: 0 });
        record(rejection, 1, nowMs);
      }
    },
    flush(nowMs) {
      for (const tally of tallies.values())
        if (tally.more > 0) record(tally.rejection, tally.more, nowMs);
      tallies.clear();
      if (uncounted === 0) return;
      const other = { reason: "other", binding: "any", peer: "", principal: undefined };
      record({ event: "traffic.rejected", ...other }, uncounted, nowMs);
      uncounted = 0;
    },
  };
}

/** The network a peer belongs to: /24 for IPv4, /64 for IPv6, as text. */
export function sourcePrefix(address: string): string {
  const mapped = address.startsWith("::ffff:") ? address.slice(7) : address;
  if (!mapped.includes(":")) return `${mapped.split(".").slice(0, 3).join(".")}.0/24`;
  const [head = ""] = mapped.split("::");
  const groups = [...head.split(":").filter((group) => group !== ""), "0", "0", "0", "0"];
  return `${groups.slice(0, 4).join(":")}::/64`;
}
