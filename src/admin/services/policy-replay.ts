/**
 * Replay: what a draft would have changed for the recorded calls of a period. Reads the store's copy of the records
 * page by page, newest first, and judges each call by the policy in force and by the one the draft would make. Nothing
 * is held but a page and the report.
 */
import { parseEnvelope } from "../../audit/envelope.ts";
import type { OpenedRow, Opener } from "../../audit/opener.ts";
import type { FilterTokens } from "../../audit/tokens.ts";
import { GatewayError } from "../../errors/fault.ts";
import type { PolicyService, ReplayRequest, ReplayResponse } from "../../gen/types.ts";
import type { Clock } from "../../lib/clock.ts";
import { createYielder } from "../../lib/yielding.ts";
import { type Comparison, createComparison } from "../../policy/comparison.ts";
import { type RecordedCall, readRecordedCall } from "../../policy/recorded-call.ts";
import { createReplayTally, type ReplayTally } from "../../policy/replay-tally.ts";
import type { Asker } from "../../policy/rule.ts";
import type { CurrentSnapshot, Snapshot } from "../../state/snapshot.ts";
import type { AuditFilter, AuditRow, AuditStore } from "../../storage/store.ts";
import type { Caller } from "../caller.ts";
import type { StateWriter } from "../change-state.ts";
import { orUndefined } from "../convert/common.ts";
import { fromReplayReport } from "../convert/replay.ts";
import { readDraft } from "../draft-effects.ts";
import { changesTo } from "../draft-steps.ts";
import { needDraft } from "../draft-writing.ts";
import { needIdentities, seesIdentities } from "../record-view.ts";

export interface PolicyReplayDeps {
  readonly state: StateWriter;
  readonly current: CurrentSnapshot;
  readonly store: Pick<AuditStore, "scan">;
  readonly opener: Opener;
  readonly tokens: FilterTokens;
  readonly clock: Clock;
}

const pageSize = 500;
const callsDefault = 100_000;
const callsMax = 1_000_000;
const examplesDefault = 3;
const examplesMax = 20;
/** Replays at once on one node: each keeps the event loop busy between its pages. */
const runningMax = 2;
const timeMsMax = 10 * 60_000;
/** Principals whose asker is kept between pages. */
const askersMax = 10_000;

export function createReplayRpc(deps: PolicyReplayDeps): Pick<PolicyService<Caller>, "replay"> {
  let running = 0;
  return {
    async *replay(request, caller) {
      if (running >= runningMax) {
        throw new GatewayError("too-many-in-flight", `At most ${runningMax} replays at once`);
      }
      running += 1;
      try {
        yield* replay(deps, request, caller);
      } finally {
        running -= 1;
      }
    },
  };
}

async function* replay(
  deps: PolicyReplayDeps,
  request: ReplayRequest,
  caller: Caller,
): AsyncGenerator<ReplayResponse> {
  const wantedMax = readBound("calls_max", request.calls_max, callsDefault, callsMax);
  const examples = readBound("examples", request.examples, examplesDefault, examplesMax);
  const filter = await deps.tokens.toStored(toFilter(request, caller));
  const now = deps.current.get();
  const drafted = await snapshotWithDraft(deps.state, request.draft, caller);
  const judge = createJudge(now, drafted);
  const tally = createReplayTally(examples);
  const turn = createYielder();
  const endsAtMs = deps.clock.monotonicMs() + timeMsMax;
  let calls = 0;
  let isComplete = false;
  let isCut = false;
  const query = { filter, limit: pageSize, order: "descending" } as const;
  let after: { readonly logId: string; readonly seq: number } | undefined;
  while (!caller.signal.aborted && deps.clock.monotonicMs() < endsAtMs) {
    const page = await deps.store.scan(after === undefined ? query : { ...query, after });
    for (const opened of await deps.opener.open(page.rows)) {
      await turn();
      const call = readCall(opened);
      if (call === undefined) continue;
      // One call more is looked for and not compared: it alone tells that something was left out.
      isCut = calls === wantedMax;
      if (isCut) break;
      judge(call, tally);
      calls += 1;
    }
    after = page.next;
    isComplete = after === undefined && !isCut;
    if (after === undefined || isCut) break;
    const last = page.rows.at(-1);
    yield { progress: { calls, time_ms: last?.timeMs ?? 0 } };
  }
  caller.note({ rows: calls });
  const about = {
    draft: request.draft,
    stateRevision: now.stateRevision,
    isComplete,
    seesIdentities: seesIdentities(caller),
  };
  yield { report: fromReplayReport(tally.report(), about) };
}

interface ReplayedCall {
  readonly row: AuditRow;
  readonly call: RecordedCall | { readonly unknown: string };
}

/** Undefined where the row is no call. */
function readCall({ row, state, values }: OpenedRow): ReplayedCall | undefined {
  const facts = parseEnvelope(row.envelope ?? "")?.facts ?? {};
  const call = readRecordedCall(row, facts, values);
  if (call === undefined) return undefined;
  return { row, call: state === "open" ? call : { unknown: `who called is ${state}` } };
}

/** Judges one call and counts it. */
function createJudge(
  now: Snapshot,
  drafted: Snapshot,
): (replayed: ReplayedCall, tally: ReplayTally) => void {
  const compare = createComparison(now.policyInput, drafted.policyInput);
  const askersNow = createAskers(now);
  const askersDrafted = createAskers(drafted);
  const judge = (row: AuditRow, call: RecordedCall): Comparison => {
    const [asksNow, asksDrafted] = [askersNow(row, call), askersDrafted(row, call)];
    if ("unknown" in asksNow) return { change: "undetermined", reason: asksNow.unknown };
    if ("unknown" in asksDrafted) return { change: "undetermined", reason: asksDrafted.unknown };
    return compare({ now: asksNow, drafted: asksDrafted }, call.question, call.facts);
  };
  return ({ row, call }, tally) => {
    const isKnown = !("unknown" in call);
    const { logId, seq, timeMs, correlationId } = row;
    const counted = {
      principal: row.principal ?? "",
      server: row.server ?? "",
      target: isKnown ? call.question.target : (row.tool ?? ""),
      example: { logId, seq, timeMs, correlationId: correlationId ?? undefined },
      decidedBy: isKnown ? call.decidedBy : undefined,
    };
    const comparison: Comparison = isKnown
      ? judge(row, call)
      : { change: "undetermined", reason: call.unknown };
    tally.count(counted, comparison);
  };
}

/** One object for each principal as recorded, because policy remembers by object. */
function createAskers({ clients }: Snapshot) {
  const known = new Map<string, ReturnType<RecordedCall["asker"]>>();
  return (row: AuditRow, call: RecordedCall): Asker | { readonly unknown: string } => {
    // Of a client the state knows more than the record, which says something else with each call.
    const isClient = row.principal?.startsWith("client:") === true;
    const found = call.asker(clients);
    const key = isClient ? (row.principal ?? "") : JSON.stringify(found);
    const same = known.get(key);
    if (same !== undefined) return same;
    if (known.size >= askersMax) known.clear();
    known.set(key, found);
    return found;
  };
}

/** What would be served with the draft in force, on the state as it is now. */
export async function snapshotWithDraft(
  state: StateWriter,
  name: string,
  caller: Caller,
): Promise<Snapshot> {
  const view = await state.read(caller);
  const draft = readDraft(needDraft(view, name).body);
  return view.preview(changesTo(view, draft.changes, "after"));
}

function toFilter(request: ReplayRequest, caller: Caller): AuditFilter {
  const { from_ms, until_ms } = request;
  if (from_ms < 0 || until_ms < 0 || (until_ms !== 0 && until_ms <= from_ms)) {
    throw new GatewayError("invalid-params", "until_ms: must be after from_ms, or 0 for now");
  }
  const named = {
    principal: orUndefined(request.principal),
    client: orUndefined(request.client),
    server: orUndefined(request.server),
    tool: orUndefined(request.tool),
    tenant: caller.tenant,
    fromMs: from_ms === 0 ? undefined : from_ms,
    untilMs: until_ms === 0 ? undefined : until_ms,
  };
  const given = Object.entries(named).filter(([, value]) => value !== undefined);
  const filter: AuditFilter = { event: "call.outcome", ...Object.fromEntries(given) };
  needIdentities(filter, caller);
  return filter;
}

function readBound(field: string, asked: number, otherwise: number, max: number): number {
  if (asked === 0) return otherwise;
  if (asked > 0 && asked <= max) return asked;
  throw new GatewayError("invalid-params", `${field}: must be from 0 to ${max}`);
}
