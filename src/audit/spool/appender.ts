/**
 * Hands admitted records on to be posted, each with the pair of keys for its values: at once where the keys are at hand,
 * otherwise when the vault has answered, within the record's own deadline. Used by `spool.ts`.
 */
import { GatewayError } from "../../errors/fault.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import type { SealingKeys } from "../../vault/keys.ts";
import type { DurabilityLevel, RecordDraft, RecordRef } from "../record.ts";
import type { SpoolCallers } from "./callers.ts";
import { closesIntent } from "./gaps.ts";
import type { SpoolOptions } from "./options.ts";
import { createSpoolPairing } from "./pairing.ts";

export interface Appender {
  add(draft: RecordDraft, level: DurabilityLevel): Promise<RecordRef>;
  /** Records whose keys are still looked for. */
  waitingForKeys(): number;
  /** Resolves when everything added so far is synced or given up. */
  flush(): Promise<void>;
}

export interface AppenderDeps {
  readonly keys: Pick<SealingKeys, "pairFor">;
  readonly clock: Clock;
  readonly metrics: Pick<Metrics, "count">;
  readonly options: Pick<SpoolOptions, "deadlineMs">;
  readonly callers: SpoolCallers;
  /** What becomes of a record whose keys cannot be had. */
  readonly refused: (draft: RecordDraft, reason: string) => Promise<RecordRef>;
  /** Appends anew, with admission. */
  readonly append: (draft: RecordDraft, level: DurabilityLevel) => Promise<RecordRef>;
}

export function createAppender(deps: AppenderDeps): Appender {
  const { clock, metrics, options, callers } = deps;
  const pairing = createSpoolPairing(deps);

  function add(draft: RecordDraft, level: DurabilityLevel): Promise<RecordRef> {
    const untilMs = clock.monotonicMs() + options.deadlineMs;
    const pair = pairing.pairOf(draft, untilMs);
    if (typeof pair !== "number") return addLater(draft, level, pair, untilMs);
    metrics.count("mcp_gateway_audit_records_total", { class: draft.class });
    return callers.add(draft, level, pair, untilMs);
  }

  /** The keys of its values are not at hand: the caller waits for them no longer than for its record. */
  function addLater(
    draft: RecordDraft,
    level: DurabilityLevel,
    pair: Promise<number>,
    untilMs: number,
  ): Promise<RecordRef> {
    const added = pair.then(
      (ref) => {
        metrics.count("mcp_gateway_audit_records_total", { class: draft.class });
        return callers.add(draft, level, ref, untilMs);
      },
      (cause) => {
        if (closesIntent(draft)) addWithoutValues(draft);
        return deps.refused(draft, reasonOf(cause));
      },
    );
    if (level !== "queued") return added;
    added.catch(ignore);
    return Promise.resolve(callers.unnumbered);
  }

  /** A call that was made gets its outcome even where its values cannot be sealed: without them. */
  function addWithoutValues(draft: RecordDraft): void {
    const facts = { ...draft.facts, valuesLost: true };
    deps.append({ ...draft, facts, details: {} }, "queued").catch(ignore);
  }

  async function flush(): Promise<void> {
    await pairing.settled();
    await callers.flush();
  }

  return { add, waitingForKeys: pairing.waiting, flush };
}

function reasonOf(cause: unknown): string {
  return (cause instanceof GatewayError && cause.fault.reason) || "no-sealing-keys";
}

function ignore(): void {}
