/**
 * Activates approved drafts when their time has come, and retires active ones when it is over. What is due lies in the
 * state, so a restart forgets nothing; a lock and the write's compare-and-set let one node do it, once. Started by
 * compose with the admin plane.
 */
import type { AuditLog } from "../audit/record.ts";
import type { Clock } from "../lib/clock.ts";
import type { PolicyDraftResource } from "../state/resources.ts";
import type { CurrentSnapshot } from "../state/snapshot.ts";
import type { Store } from "../storage/store.ts";
import type { Log } from "../telemetry/log.ts";
import type { StateWriter } from "./change-state.ts";
import { activation, readDraft, retirement } from "./draft-effects.ts";
import { statusName, toFault } from "./grpc-status.ts";
import type { StateView } from "./state-view.ts";

export interface DraftScheduleDeps {
  readonly state: StateWriter;
  readonly current: CurrentSnapshot;
  readonly store: Pick<Store, "exclusively">;
  readonly audit: Pick<AuditLog, "append">;
  readonly clock: Clock;
  readonly log: Log;
  readonly twoPerson: boolean;
}

export interface DraftSchedule {
  /** Does what is due; never rejects. */
  check(): Promise<void>;
  start(): void;
  stop(): void;
}

type Due = "activate" | "retire";

const intervalMs = 1_000;
/** What failed is tried again when the state has changed, or after this time. */
const againAfterMs = 30_000;
const by = "schedule";

export function createDraftSchedule(deps: DraftScheduleDeps): DraftSchedule {
  const { clock, log, current } = deps;
  const failures = new Map<string, { readonly stateRevision: number; readonly atMs: number }>();
  let running: Promise<void> | undefined;
  let timer: ReturnType<typeof setInterval> | undefined;

  function mayTry(name: string): boolean {
    const failure = failures.get(name);
    return (
      failure === undefined ||
      failure.stateRevision !== current.get().stateRevision ||
      clock.monotonicMs() - failure.atMs > againAfterMs
    );
  }

  async function run(): Promise<void> {
    for (const { name, tenant } of current.get().policyDrafts.filter((one) => dueOf(one, clock))) {
      if (!mayTry(name)) continue;
      try {
        await deps.store.exclusively("policy-schedule", () => carryOut(deps, name, tenant));
        failures.delete(name);
      } catch (error) {
        const { stateRevision } = current.get();
        failures.set(name, { stateRevision, atMs: clock.monotonicMs() });
        const reason = toFault(error)?.message ?? String(error);
        log.error("policy.schedule_failed", { draft: name, reason });
      }
    }
  }

  const check = (): Promise<void> => {
    running ??= run().finally(() => {
      running = undefined;
    });
    return running;
  };
  return {
    check,
    start() {
      timer = setInterval(() => void check(), intervalMs);
      timer.unref();
    },
    stop: () => clearInterval(timer),
  };
}

/** Undefined = nothing is due. */
function dueOf(draft: PolicyDraftResource, clock: Clock): Due | undefined {
  const nowMs = clock.nowMs();
  const { state, effectiveFromMs = Infinity, effectiveToMs = Infinity } = draft;
  if (state === "active") return effectiveToMs <= nowMs ? "retire" : undefined;
  const isTime = effectiveFromMs <= nowMs && nowMs < effectiveToMs;
  return state === "approved" && isTime ? "activate" : undefined;
}

/** Under the lock: looks again, since another node may have been here, then records, writes and records. */
async function carryOut(
  deps: DraftScheduleDeps,
  name: string,
  tenant: string | undefined,
): Promise<void> {
  const { state, clock } = deps;
  const find = (view: StateView) => {
    const stored = view.find("policy-draft", name);
    const draft = stored && readDraft(stored.body);
    const due = draft && dueOf(draft, clock);
    return due && { draft, due };
  };
  const found = find(await state.read({ tenant }));
  if (found === undefined) return;
  await recorded(deps, name, found.due, async () => {
    const { stateRevision } = await state.write(
      (view) => {
        const still = find(view);
        if (still === undefined) return [];
        const step = { atMs: clock.nowMs(), by, comment: "" };
        return still.due === "activate"
          ? activation(view, still.draft, step, deps.twoPerson)
          : retirement(view, still.draft, step);
      },
      { by: { name: by, tenant }, expectedRevision: 0, validateOnly: false, draft: name },
    );
    deps.log.info(`policy.draft_${found.due}d`, { draft: name, stateRevision });
    return stateRevision;
  });
}

/** As an operator's change is recorded: before it is made, and how it ended. */
async function recorded(
  { audit, clock }: DraftScheduleDeps,
  draft: string,
  due: Due,
  work: () => Promise<number>,
): Promise<void> {
  const append = (facts: Readonly<Record<string, string | number>>) =>
    audit.append(
      {
        event: "admin.change",
        class: "A",
        timeMs: clock.nowMs(),
        facts: { method: `schedule/${due}`, ...facts },
        details: { principal: by, target: draft },
      },
      "synced",
    );
  const intent = await append({ phase: "intent" });
  let stateRevision: number;
  try {
    stateRevision = await work();
  } catch (error) {
    await append({ phase: "outcome", intent: intent.seq, status: statusName(toFault(error)) });
    throw error;
  }
  await append({ phase: "outcome", intent: intent.seq, status: "OK", stateRevision });
}
