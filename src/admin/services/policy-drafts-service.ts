/**
 * The drafts of PolicyService: making, proposing, approving, activating and retiring sets of changes. Every step is one write that either happens whole or not at all; what a step means is in
 * `draft-steps.ts` and `draft-effects.ts`.
 */
import type { AuditLog } from "../../audit/record.ts";
import { GatewayError } from "../../errors/fault.ts";
import type { PolicyDraft, PolicyService } from "../../gen/types.ts";
import type { Clock } from "../../lib/clock.ts";
import type { DraftState, PolicyDraftResource } from "../../state/resources.ts";
import type { StoredResource } from "../../storage/store.ts";
import type { Caller } from "../caller.ts";
import type { Mutate, StateWriter } from "../change-state.ts";
import { needMessage } from "../convert/common.ts";
import { draftStateNames, fromDraft, toWantedDraft, type WantedDraft } from "../convert/drafts.ts";
import { activation, approval, draftChange, readDraft, retirement } from "../draft-effects.ts";
import {
  afterStep,
  changesTo,
  conflictsOf,
  isEditor,
  needNoConflict,
  needState,
  sodViolation,
} from "../draft-steps.ts";
import { differencesFor, needDraft, needDraftRoom, needTimes, newDraft } from "../draft-writing.ts";
import { paginate } from "../page-token.ts";
import { type WriteRequest, writeAs } from "../resource-crud.ts";
import type { StateChange, StateView } from "../state-view.ts";
import { undoByDraft } from "./policy-history-service.ts";

export interface PolicyDraftsDeps {
  readonly state: StateWriter;
  readonly clock: Clock;
  readonly audit: Pick<AuditLog, "append">;
  readonly twoPerson: boolean;
}

type DraftRpcs = Pick<
  PolicyService<Caller>,
  | `${"create" | "get" | "update" | "delete" | "propose" | "approve" | "reject" | "activate" | "retire"}Draft`
  | "listDrafts"
>;

interface StepRequest extends WriteRequest {
  readonly name: string;
  readonly comment: string;
}

const kind = "policy-draft";

export function createDraftRpcs(deps: PolicyDraftsDeps): DraftRpcs {
  const { state, clock, twoPerson } = deps;

  const stepOf = ({ comment }: { comment: string }, { name }: Caller) => {
    return { atMs: clock.nowMs(), by: name, comment };
  };

  /** One step of one draft; `draft` names it where its changes of policy are written. */
  async function take(
    request: StepRequest,
    caller: Caller,
    step: (draft: PolicyDraftResource, view: StateView, stored: StoredResource) => Steps,
    takesEffect = false,
  ) {
    const mutate: Mutate = (view) => {
      const stored = needDraft(view, request.name);
      return step(readDraft(stored.body), view, stored);
    };
    const draft = takesEffect ? request.name : undefined;
    const written = await writeAs(state, mutate, request, caller, draft);
    return {
      draft: fromDraft(needDraft(written.after, request.name)),
      state_revision: written.stateRevision,
    };
  }

  /** A new or rewritten draft. `previous` undefined = new. */
  async function write(
    wanted: WantedDraft,
    request: WriteRequest,
    caller: Caller,
    base: (view: StateView) => PolicyDraftResource,
  ): Promise<{ draft: PolicyDraft; state_revision: number }> {
    needTimes(wanted, clock.nowMs());
    const mutate: Mutate = (view) => {
      const { description, effectiveFromMs, effectiveToMs } = wanted;
      const changes = differencesFor(view, wanted, caller);
      const times = { effectiveFromMs, effectiveToMs };
      const draft = { ...base(view), description, ...times, changes, approvedBy: undefined };
      needDraftRoom(view, draft);
      return [draftChange(draft)];
    };
    const written = await writeAs(state, mutate, request, caller);
    const stored = needDraft(written.after, wanted.name);
    return { draft: fromDraft(stored), state_revision: written.stateRevision };
  }

  return {
    async createDraft(request, caller) {
      const wanted = toWantedDraft(needMessage(request.draft, "draft"));
      return await write(wanted, request, caller, (view) =>
        newDraft(view, wanted, caller, clock.nowMs()),
      );
    },
    async updateDraft(request, caller) {
      const wanted = toWantedDraft(needMessage(request.draft, "draft"));
      return await write(wanted, request, caller, (view) => {
        const draft = readDraft(needDraft(view, wanted.name).body);
        needState(draft, "update", twoPerson);
        const step = { ...stepOf({ comment: "" }, caller), state: "draft" } as const;
        const editors = isEditor(draft, caller.name)
          ? draft.editors
          : [...draft.editors, caller.name];
        return { ...afterStep(draft, step), editors };
      });
    },
    async getDraft({ name }, caller) {
      const view = await state.read(caller);
      const stored = needDraft(view, name);
      return { draft: fromDraft(stored, openConflicts(view, readDraft(stored.body))) };
    },
    async listDrafts(request, caller) {
      const view = await state.read(caller);
      const wanted = toState(request.state);
      const found = view
        .list(kind)
        .filter(({ body }) => wanted === undefined || readDraft(body).state === wanted);
      const question = [kind, caller.tenant ?? null, wanted ?? null];
      const { page, nextPageToken } = paginate(found, ({ name }) => name, question, request);
      return {
        drafts: page.map((stored) => fromDraft(stored)),
        next_page_token: nextPageToken,
        state_revision: view.stateRevision,
      };
    },
    async deleteDraft(request, caller) {
      const mutate: Mutate = (view) => {
        const draft = readDraft(needDraft(view, request.name).body);
        if (draft.state !== "active") return [{ kind, name: draft.name, delete: true }];
        const message = `Draft "${draft.name}" is in force: retire it first`;
        throw new GatewayError("state-conflict", message, { reason: "draft-state" });
      };
      const { stateRevision } = await writeAs(state, mutate, request, caller);
      return { state_revision: stateRevision };
    },
    proposeDraft: (request, caller) =>
      take(request, caller, (draft, view) => {
        needState(draft, "propose", twoPerson);
        needNoConflict(draft, view, "before");
        view.preview(changesTo(view, draft.changes, "after"));
        return [draftChange(afterStep(draft, { ...stepOf(request, caller), state: "proposed" }))];
      }),
    async approveDraft(request, caller) {
      try {
        return await take(request, caller, (draft, view, stored) => {
          needReviewed(request.reviewed_revision, stored, twoPerson);
          return approval(view, draft, stepOf(request, caller), twoPerson);
        });
      } catch (error) {
        await recordSelfApproval(deps, error, request.name, caller);
        throw error;
      }
    },
    rejectDraft: (request, caller) =>
      take(request, caller, (draft) => {
        needState(draft, "reject", twoPerson);
        const rejected = afterStep(draft, { ...stepOf(request, caller), state: "rejected" });
        return [draftChange({ ...rejected, approvedBy: undefined })];
      }),
    activateDraft: (request, caller) =>
      take(
        request,
        caller,
        (draft, view) => activation(view, draft, stepOf(request, caller), twoPerson),
        true,
      ),
    retireDraft: (request, caller) =>
      take(
        request,
        caller,
        (draft, view) => {
          if (twoPerson && draft.state === "active") throw undoByDraft(draft.name);
          return retirement(view, draft, stepOf(request, caller));
        },
        true,
      ),
  };
}

type Steps = readonly StateChange[];

/** What stands in the way of the draft's next step. */
function openConflicts(view: StateView, draft: PolicyDraftResource): readonly string[] {
  if (draft.state === "retired") return [];
  return conflictsOf(view, draft.changes, draft.state === "active" ? "after" : "before");
}

function toState(state: PolicyDraft["state"]): DraftState | undefined {
  return state === "DRAFT_STATE_UNSPECIFIED" ? undefined : draftStateNames[state];
}

/** Between reading a draft and approving it, its author may have written something else into it. */
function needReviewed(reviewed: number, stored: StoredResource, twoPerson: boolean): void {
  if (reviewed === stored.stateRevision || (reviewed === 0 && !twoPerson)) return;
  if (reviewed === 0) {
    throw new GatewayError(
      "invalid-params",
      "reviewed_revision: say which version of the draft you looked at (metadata.state_revision of GetDraft)",
    );
  }
  throw new GatewayError(
    "state-conflict",
    `The draft is of revision ${stored.stateRevision}, not of ${reviewed}: look at it again`,
    { reason: "draft-conflict" },
  );
}

/** AZ-16. Besides the change's own records, so that somebody who looks for it finds it. */
async function recordSelfApproval(
  { audit, clock }: PolicyDraftsDeps,
  error: unknown,
  target: string,
  caller: Caller,
): Promise<void> {
  if (!(error instanceof GatewayError) || error.fault.reason !== sodViolation) return;
  await audit.append(
    {
      event: "admin.sod_violation",
      class: "A",
      timeMs: clock.nowMs(),
      facts: { method: "PolicyService/ApproveDraft", status: "denied", reason: sodViolation },
      details: { principal: `operator:${caller.name}`, target: target.slice(0, 256) },
    },
    "synced",
  );
}
