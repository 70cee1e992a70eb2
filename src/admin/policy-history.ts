/**
 * What goes with every change of policy, whoever makes it and by whichever RPC: the two-person rule, and a revision
 * that says who changed what. `change-state.ts` asks before each write, so no service can forget it.
 */
import { GatewayError } from "../errors/fault.ts";
import { policyRevisionShape } from "../state/draft-shapes.ts";
import { isPolicyKind, policyPartOf, samePart } from "../state/policy-objects.ts";
import type {
  PolicyDifference,
  PolicyObjectKind,
  PolicyRevisionResource,
} from "../state/resources.ts";
import type { StoredResource } from "../storage/store.ts";
import type { StateChange, StateView } from "./state-view.ts";

export interface PolicyHistoryOptions {
  /** Whether policy is changed by drafts alone, which two operators have seen. */
  readonly twoPerson: boolean;
  /** Revisions kept; the oldest go first. */
  readonly revisionsMax: number;
  /** Bytes of all revisions together. Default 16 MiB. */
  readonly bytesMax?: number;
}

export interface PolicyWrite {
  /** Everything, as it is before the write. */
  readonly view: StateView;
  readonly changes: readonly StateChange[];
  readonly by: string;
  /** The draft that is activated or retired by it. */
  readonly draft: string | undefined;
  readonly nowMs: number;
}

export interface PolicyHistory {
  /** What is to be stored besides; nothing where policy stays as it is. Throws where the two-person rule forbids it. */
  accompany(write: PolicyWrite): readonly StateChange[];
}

const defaultBytesMax = 16 * 1024 * 1024;

export function createPolicyHistory(options: PolicyHistoryOptions): PolicyHistory {
  return {
    accompany(write) {
      const differences = differencesOf(write.view, write.changes);
      if (differences.length === 0) return [];
      if (options.twoPerson && write.draft === undefined) needDraft(write.view, differences);
      const stateRevision = write.view.stateRevision + 1;
      const body: PolicyRevisionResource = {
        name: revisionName(stateRevision),
        stateRevision,
        atMs: write.nowMs,
        by: write.by,
        draft: write.draft,
        changes: differences,
      };
      const revision = { kind: "policy-revision", name: body.name, body } as const;
      return [revision, ...outdated(write.view, body, options)];
    },
  };
}

/** Names of revisions sort as their numbers do. */
export function revisionName(stateRevision: number): string {
  return String(stateRevision).padStart(12, "0");
}

/** Oldest first. */
export function readRevisions(view: StateView): readonly PolicyRevisionResource[] {
  return view.list("policy-revision").map(({ body }) => policyRevisionShape(body, ""));
}

/** What the changes do to policy, one entry for each object that becomes another. */
export function differencesOf(
  view: StateView,
  changes: readonly StateChange[],
): readonly PolicyDifference[] {
  const last = new Map<string, PolicyDifference>();
  for (const change of changes) {
    const { kind, tenant, name } = change;
    if (!isPolicyKind(kind)) continue;
    const before = storedPart(kind, view.find(kind, name, tenant));
    const after = "body" in change ? policyPartOf(kind, change.body) : undefined;
    last.set(JSON.stringify([kind, tenant ?? null, name]), { kind, tenant, name, before, after });
  }
  return [...last.values()].filter(({ kind, before, after }) => !samePart(kind, before, after));
}

export function storedPart(
  kind: PolicyObjectKind,
  stored: StoredResource | undefined,
): object | undefined {
  return stored === undefined ? undefined : policyPartOf(kind, stored.body);
}

/**
 * Two things one person may do alone, because they never widen a right: taking all grants of a client away, to stop it
 * at once, and saying of a new server's tools what they risk.
 */
function needDraft(view: StateView, differences: readonly PolicyDifference[]): void {
  const refused = differences.find(({ kind, tenant, name, after }) => {
    if (kind === "client") return after !== undefined;
    if (kind === "server") return view.find(kind, name, tenant) !== undefined;
    return true;
  });
  if (refused === undefined) return;
  const what = {
    role: `role "${refused.name}"`,
    binding: `binding "${refused.name}"`,
    rule: `rule "${refused.name}"`,
    client: `what client "${refused.name}" is granted (allowed lists, roles)`,
    server: `risk tiers and required roles of server "${refused.name}"`,
  }[refused.kind];
  throw new GatewayError(
    "approval-required",
    `policy.two_person is on: ${what} is changed by a draft (CreateDraft, ProposeDraft, ApproveDraft by another operator, ActivateDraft)`,
    { reason: "two-person" },
  );
}

/** The revisions that have no room beside the new one. */
function outdated(
  view: StateView,
  added: PolicyRevisionResource,
  { revisionsMax, bytesMax = defaultBytesMax }: PolicyHistoryOptions,
): readonly StateChange[] {
  let count = 1;
  let bytes = sizeOf(added);
  const gone: StateChange[] = [];
  for (const { name, body } of view.list("policy-revision").toReversed()) {
    count += 1;
    bytes += sizeOf(body);
    if (count > revisionsMax || bytes > bytesMax) {
      gone.push({ kind: "policy-revision", name, delete: true });
    }
  }
  return gone;
}

function sizeOf(body: unknown): number {
  return JSON.stringify(body).length;
}
