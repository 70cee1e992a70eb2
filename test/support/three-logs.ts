/**
 * The set algebra of the fault suites: what agents were told, what the server saw and what the audit holds, compared.
 * A call is known by its text: in the agents' and the server's log as it is, in the audit by its digest.
 */
import type { AdminClient } from "./admin-client.ts";
import { until } from "./deadline.ts";
import { argumentsDigestOf } from "./echo-reply.ts";
import { allRecords, type RecordView } from "./operator.ts";

export interface ThreeLogs {
  /** Texts whose success an agent was told of. */
  readonly acknowledged: readonly string[];
  /** Texts the server was called with. */
  readonly seen: readonly string[];
  readonly records: readonly RecordView[];
}

/** Everything that must be empty, by the invariant it breaks. */
export interface Contradictions {
  /** I-02 */
  readonly acknowledgedWithoutOutcome: readonly string[];
  /** I-03 */
  readonly seenWithoutIntent: readonly string[];
  readonly intentsNeverClosed: readonly number[];
  readonly intentsClosedTwice: readonly number[];
  /** Numbers after which one is missing, or that stand twice. */
  readonly breaksInSequence: readonly number[];
}

export const noContradictions: Contradictions = {
  acknowledgedWithoutOutcome: [],
  seenWithoutIntent: [],
  intentsNeverClosed: [],
  intentsClosedTwice: [],
  breaksInSequence: [],
};

export function compareLogs({ acknowledged, seen, records }: ThreeLogs): Contradictions {
  const intents = records.filter((record) => record.event === "call.intent");
  const outcomes = records.filter((record) => record.event === "call.outcome");
  const succeeded = new Set(outcomes.filter((one) => one.status === "success").map(digestOf));
  const intended = new Set(intents.map(digestOf));
  const closed = outcomes
    .map((one): unknown => JSON.parse(one.envelope_json).facts.intent)
    .filter((seq): seq is number => typeof seq === "number");
  const closedOnce = new Set(closed);
  return {
    acknowledgedWithoutOutcome: acknowledged.filter((t) => !succeeded.has(argumentsDigestOf(t))),
    seenWithoutIntent: seen.filter((text) => !intended.has(argumentsDigestOf(text))),
    intentsNeverClosed: intents.map((one) => one.seq).filter((seq) => !closedOnce.has(seq)),
    intentsClosedTwice: repeated(closed),
    breaksInSequence: records
      .map((record) => record.seq)
      .filter((seq, index, all) => index > 0 && seq !== (all[index - 1] ?? 0) + 1),
  };
}

function repeated(seqs: readonly number[]): readonly number[] {
  const once = new Set<number>();
  return seqs.filter((seq) => once.size === once.add(seq).size);
}

function digestOf(record: RecordView): string {
  return JSON.parse(record.details_json).argumentsDigest ?? "";
}

/** All records, deleted ones included, once the database holds all that is synced. */
export async function drainedRecords(admin: AdminClient): Promise<readonly RecordView[]> {
  await untilDrained(admin);
  return allRecords(admin, {}, true);
}

export async function untilDrained(admin: AdminClient, timeoutMs = 60_000): Promise<void> {
  await until(
    "an empty backlog",
    async () => {
      const { audit } = await admin.call<{ audit?: { synced_seq: number; shipped_seq: number } }>(
        "SystemService",
        "GetStatus",
      );
      return audit !== undefined && audit.shipped_seq >= audit.synced_seq;
    },
    timeoutMs,
  );
}
