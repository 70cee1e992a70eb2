/**
 * The history of PolicyService: who changed what of policy, and the draft that brings it back. See `way-back.ts`.
 */
import { GatewayError } from "../../errors/fault.ts";
import type { PolicyService } from "../../gen/types.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Caller } from "../caller.ts";
import type { Mutate, StateWriter } from "../change-state.ts";
import { fromDraft, fromObjectKey, fromRevision } from "../convert/drafts.ts";
import { activation, draftChange, readDraft } from "../draft-effects.ts";
import { needDraft, needDraftRoom, newDraft } from "../draft-writing.ts";
import { paginate } from "../page-token.ts";
import { readRevisions } from "../policy-history.ts";
import { writeAs } from "../resource-crud.ts";
import { type WayBack, wayBackFrom, wayBackTo } from "../way-back.ts";

export interface PolicyHistoryDeps {
  readonly state: StateWriter;
  readonly clock: Clock;
  readonly twoPerson: boolean;
}

export function createHistoryRpcs({
  state,
  clock,
  twoPerson,
}: PolicyHistoryDeps): Pick<PolicyService<Caller>, "rollbackPolicy" | "listPolicyRevisions"> {
  return {
    async rollbackPolicy(request, caller) {
      const { name, to_revision, undo_draft, activate } = request;
      if ((to_revision === 0) === (undo_draft === "")) {
        throw new GatewayError("invalid-params", "give to_revision or undo_draft, one of the two");
      }
      if (activate && twoPerson) throw undoByDraft(undo_draft);
      let leftOut: WayBack["leftOut"] = [];
      const mutate: Mutate = (view) => {
        const undone = undo_draft === "" ? undefined : readDraft(needDraft(view, undo_draft).body);
        const back = undone ? wayBackFrom(view, undone) : wayBackTo(view, to_revision);
        leftOut = back.leftOut;
        const description = undone
          ? `undoes draft ${undo_draft}`
          : `policy as it was after revision ${to_revision}`;
        const { changes } = back;
        const made = newDraft(view, { name, tenant: undefined }, caller, clock.nowMs());
        const draft = { ...made, description, changes, undoes: undone?.name };
        needDraftRoom(view, draft);
        if (!activate) return [draftChange(draft)];
        return activation(
          view,
          draft,
          { atMs: clock.nowMs(), by: caller.name, comment: "" },
          twoPerson,
        );
      };
      const draft = activate ? name : undefined;
      const written = await writeAs(state, mutate, request, caller, draft);
      return {
        draft: fromDraft(needDraft(written.after, name)),
        left_out: leftOut.map(fromObjectKey),
        state_revision: written.stateRevision,
      };
    },
    async listPolicyRevisions(request, caller) {
      const view = await state.read(caller);
      const newestFirst = readRevisions(view).toReversed();
      // Pages are cut after a position, so positions grow as revisions get older.
      const position = (one: { readonly stateRevision: number }) =>
        String(Number.MAX_SAFE_INTEGER - one.stateRevision);
      const { page, nextPageToken } = paginate(newestFirst, position, "revisions", request);
      return {
        revisions: page.map(fromRevision),
        next_page_token: nextPageToken,
        state_revision: view.stateRevision,
      };
    },
  };
}

export function undoByDraft(name: string): GatewayError {
  return new GatewayError(
    "approval-required",
    `policy.two_person is on: take changes back by a draft of their own (RollbackPolicy without activate${name === "" ? "" : `, undo_draft "${name}"`}), which another operator approves`,
    { reason: "two-person" },
  );
}
