/**
 * Drafts of policy through the real admin plane, on both databases: the two-person rule, conflicts, history and the
 * way back, and times that come by themselves.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { type ServiceError, status } from "@grpc/grpc-js";
import { createDraftSchedule } from "../../src/admin/draft-schedule.ts";
import type { Clock } from "../../src/lib/clock.ts";
import { compilePolicy } from "../../src/policy/compile.ts";
import { buildSnapshot } from "../../src/state/build.ts";
import { openStore } from "../../src/storage/open-store.ts";
import type { Store } from "../../src/storage/store.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import {
  denying,
  granting,
  startTwoOperators,
  type TwoOperators,
} from "../support/two-operators.ts";

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres[Symbol.asyncDispose]());

async function failure(work: Promise<unknown>): Promise<ServiceError> {
  try {
    await work;
  } catch (error) {
    return error as ServiceError;
  }
  throw new Error("should have been refused");
}

const policy = "PolicyService";
const mayAdd = (plane: TwoOperators["plane"]) => mayCall(plane, "add");
function mayCall(plane: TwoOperators["plane"], target: string): boolean {
  const asker = { id: "u", clientId: undefined, subject: undefined, roles: ["adder"], groups: [] };
  const question = { server: "calc", kind: "tool", target, action: "invoke_tool" } as const;
  return plane.current.get().policy.decide(asker, question).allowed;
}
const calc = {
  name: "calc",
  remote: { kind: "REMOTE_KIND_STREAMABLE_HTTP" as const, url: "https://calc.example/mcp" },
};

describe.each(["sqlite", "postgres"])("drafts on %s", (kind) => {
  let store: Store;
  const stack = new AsyncDisposableStack();
  beforeAll(async () => {
    const dataDir = join(stack.use(temporaryFolder("drafts")).path, "data");
    const url = kind === "postgres" ? { databaseUrl: postgres.url } : {};
    store = await openStore({ dataDir, log: silentLog, deadlineMs: 30_000, migrate: true, ...url });
    stack.defer(() => store.close());
  });
  afterAll(() => stack.disposeAsync());

  const operators = (twoPerson: boolean, revisionsMax?: number) =>
    startTwoOperators(store, { twoPerson, ...(revisionsMax && { revisionsMax }) });

  async function passed(by: TwoOperators, name: string): Promise<void> {
    const { draft } = await by.ann.call(policy, "proposeDraft", { name });
    await by.bob.call(policy, "approveDraft", {
      name,
      reviewed_revision: draft?.metadata?.state_revision ?? 0,
    });
    await by.ann.call(policy, "activateDraft", { name });
  }

  test("P16 AZ-16: a change of policy needs another person, whichever way it is tried", async () => {
    await using by = await operators(true);
    const { plane, ann, annAgain, bob } = by;
    await ann.call("ServerService", "registerServer", { server: calc });
    const before = plane.current.get().stateRevision;
    for (const direct of [
      () => ann.call(policy, "createRole", { role: granting("adder", ["add"]).put.role }),
      () => ann.call(policy, "createRule", { rule: denying("no-add", "add").put.rule }),
      () => ann.call(policy, "createBinding", { binding: { name: "b", groups: ["g"] } }),
      () => ann.call(policy, "createBinding", { binding: { name: "b" }, validate_only: true }),
      () => plane.client().call(policy, "createBinding", { binding: { name: "b", users: ["u"] } }),
      () =>
        ann.call("ClientService", "registerClient", { client: { id: "c", allowed_tools: ["*"] } }),
      () =>
        ann.call("ServerService", "updateServer", {
          server: { ...calc, tool_settings: [{ tool: "add", risk_tier: "RISK_TIER_HIGH" }] },
        }),
    ]) {
      const refused = await failure(direct());
      expect([refused.code, refused.metadata.get("error-name")]).toEqual([
        status.FAILED_PRECONDITION,
        ["approval-required"],
      ]);
      expect(refused.details).toContain("CreateDraft, ProposeDraft, ApproveDraft by another");
    }
    expect(plane.current.get().stateRevision).toBe(before);

    const draft = { name: "first", changes: [granting("adder", ["add"])] };
    await ann.call(policy, "createDraft", { draft });
    expect(mayAdd(plane)).toBe(false);
    const tooEarly = await failure(ann.call(policy, "activateDraft", { name: "first" }));
    expect(tooEarly.details).toContain("is draft; activate is for approved drafts");
    const proposed = await ann.call(policy, "proposeDraft", { name: "first", comment: "please" });
    const reviewed_revision = proposed.draft?.metadata?.state_revision ?? 0;
    for (const self of [ann, annAgain]) {
      plane.records.length = 0;
      const refused = await failure(
        self.call(policy, "approveDraft", { name: "first", reviewed_revision }),
      );
      expect(refused.code).toBe(status.PERMISSION_DENIED);
      expect(plane.records).toContainEqual(
        expect.objectContaining({
          event: "admin.sod_violation",
          class: "A",
          details: expect.objectContaining({ target: "first" }),
        }),
      );
    }
    const unread = await failure(bob.call(policy, "approveDraft", { name: "first" }));
    expect(unread.details).toContain("reviewed_revision");
    await bob.call(policy, "approveDraft", { name: "first", reviewed_revision });
    expect(mayAdd(plane)).toBe(false);
    const active = await ann.call(policy, "activateDraft", { name: "first" });
    expect(mayAdd(plane)).toBe(true);
    expect(active.draft?.steps.map(({ by: who, state }) => [who, state])).toEqual([
      ["ann", "DRAFT_STATE_DRAFT"],
      ["ann", "DRAFT_STATE_PROPOSED"],
      ["bob", "DRAFT_STATE_APPROVED"],
      ["ann", "DRAFT_STATE_ACTIVE"],
    ]);
  });

  test("P16 AZ-16: what was reviewed is what is approved, and whoever writes is an author", async () => {
    await using by = await operators(true);
    const { ann, bob } = by;
    const create = { draft: { name: "swapped", changes: [denying("no-add", "add")] } };
    await ann.call(policy, "createDraft", create);
    const { draft } = await ann.call(policy, "proposeDraft", { name: "swapped" });
    const reviewed_revision = draft?.metadata?.state_revision ?? 0;
    const update = { draft: { name: "swapped", changes: [granting("adder", ["*"])] } };
    await ann.call(policy, "updateDraft", update);
    await ann.call(policy, "proposeDraft", { name: "swapped" });
    const other = await failure(
      bob.call(policy, "approveDraft", { name: "swapped", reviewed_revision }),
    );
    expect(other.details).toContain("look at it again");
    const rewritten = await bob.call(policy, "updateDraft", update);
    expect(rewritten.draft?.editors).toEqual(["ann", "bob"]);
    const { draft: again } = await bob.call(policy, "proposeDraft", { name: "swapped" });
    const own = await failure(
      bob.call(policy, "approveDraft", {
        name: "swapped",
        reviewed_revision: again?.metadata?.state_revision ?? 0,
      }),
    );
    expect(own.code).toBe(status.PERMISSION_DENIED);
    await bob.call(policy, "rejectDraft", { name: "swapped", comment: "no" });
    await ann.call(policy, "deleteDraft", { name: "swapped" });
  });

  test("P16: what changed meanwhile is reported object by object, and nothing is applied", async () => {
    await using by = await operators(false);
    const { plane, ann, bob } = by;
    await ann.call(policy, "createRole", { role: granting("reader", ["read"]).put.role });
    const changes = [granting("reader", ["read", "list"]), denying("no-mul", "mul")];
    await ann.call(policy, "createDraft", { draft: { name: "late", changes } });
    await bob.call(policy, "updateRole", { role: granting("reader", ["peek"]).put.role });
    await bob.call(policy, "createRule", { rule: denying("no-mul", "mul.*").put.rule });
    const got = await ann.call(policy, "getDraft", { name: "late" });
    expect(got.draft?.conflicts).toEqual([
      expect.stringMatching(/^role "reader" changed at revision \d+$/),
      expect.stringMatching(/^rule "no-mul" is there by now, since revision \d+$/),
    ]);
    const before = plane.current.get().stateRevision;
    const refused = await failure(ann.call(policy, "activateDraft", { name: "late" }));
    expect(refused.code).toBe(status.ABORTED);
    expect(refused.details).toContain("2 of its objects changed meanwhile");
    expect(plane.current.get().stateRevision).toBe(before);
    await ann.call(policy, "updateDraft", { draft: { name: "late", changes } });
    await ann.call(policy, "activateDraft", { name: "late" });
    await ann.call(policy, "retireDraft", { name: "late" });
    const { role } = await ann.call(policy, "getRole", { name: "reader" });
    expect(role?.permissions.map(({ resource }) => resource)).toEqual(["mcp:calc:peek"]);
    await ann.call(policy, "deleteRule", { name: "no-mul" });
  });

  test("P18: a draft whose policy would not hold is refused whole, when made and when activated", async () => {
    await using by = await operators(false);
    const { plane, ann } = by;
    const broken = denying("broken", "(");
    const refused = await failure(
      ann.call(policy, "createDraft", { draft: { name: "bad", changes: [broken] } }),
    );
    expect(refused.details).toContain('rule "broken"');
    const binding = { name: "staff", roles: ["temp"], groups: ["g"] };
    await ann.call(policy, "createRole", { role: granting("temp", ["x"]).put.role });
    const changes = [denying("no-div", "div"), { put: { binding } }];
    await ann.call(policy, "createDraft", { draft: { name: "dangling", changes } });
    await ann.call(policy, "deleteRole", { name: "temp" });
    const { policy: served } = plane.current.get();
    const late = await failure(ann.call(policy, "activateDraft", { name: "dangling" }));
    expect(late.details).toContain('there is no role "temp"');
    expect(plane.current.get().policy).toBe(served);
    const { rules } = await ann.call(policy, "listRules", {});
    expect(rules.map(({ name }) => name)).not.toContain("no-div");
  });

  test("AZ-18: where a draft stands is not for its author to say", async () => {
    await using by = await operators(true);
    for (const [field, value] of Object.entries({
      state: "DRAFT_STATE_APPROVED" as const,
      author: "bob",
      editors: ["bob"],
      approved_by: "bob",
      undoes: "first",
    })) {
      const draft = { name: "sly", changes: [denying("x", "x")], [field]: value };
      const refused = await failure(by.ann.call(policy, "createDraft", { draft }));
      expect(refused.details).toBe(`draft.${field}: set by the gateway; leave it out`);
    }
  });

  test("P16: grants of clients and risks of tools are policy too, and may be taken away at once", async () => {
    await using by = await operators(true);
    const { plane, ann } = by;
    await ann.call("ClientService", "registerClient", { client: { id: "bot", enabled: true } });
    const changes = [
      { put: { client_grants: { id: "bot", allowed_tools: ["calc__add"] } } },
      {
        put: {
          server_tools: {
            server: "calc",
            tools: [{ tool: "div", risk_tier: "RISK_TIER_CRITICAL" as const }],
          },
        },
      },
    ];
    await ann.call(policy, "createDraft", { draft: { name: "bot", changes } });
    await passed(by, "bot");
    expect(plane.current.get().clients.get("bot")?.allowedTools).toEqual(["calc__add"]);
    expect(plane.current.get().servers.get("calc")?.toolSettings).toMatchObject([
      { tool: "div", riskTier: "critical", readOnly: false },
    ]);
    const lowered = await failure(ann.call("ServerService", "updateServer", { server: calc }));
    expect(lowered.details).toContain("risk tiers and required roles");
    const gone = await failure(ann.call("ServerService", "deleteServer", { name: "calc" }));
    expect(gone.details).toContain("risk tiers and required roles");
    await ann.call("ClientService", "updateClient", { client: { id: "bot", enabled: true } });
    expect(plane.current.get().clients.get("bot")?.allowedTools).toEqual([]);
    await ann.call("ClientService", "deleteClient", { id: "bot" });
  });

  test("a draft names each tool of a server once", async () => {
    await using by = await operators(true);
    const tools = (["RISK_TIER_CRITICAL", "RISK_TIER_LOW"] as const).map((risk_tier) => {
      return { tool: "div", risk_tier };
    });
    const changes = [{ put: { server_tools: { server: "calc", tools } } }];
    const refused = await failure(
      by.ann.call(policy, "createDraft", { draft: { name: "twice", changes } }),
    );
    expect(refused.details).toBe(
      'changes[0].tools: the tool "div" is there twice; one entry for each tool is allowed',
    );
  });

  test("P16: every change leaves a revision, and policy goes back by a draft of its own", async () => {
    await using by = await operators(true);
    const { plane, ann, bob } = by;
    const { revisions: had } = await ann.call(policy, "listPolicyRevisions", { page_size: 1 });
    const to_revision = had[0]?.state_revision ?? 0;
    await ann.call(policy, "createDraft", {
      draft: { name: "wide", changes: [granting("adder", ["*"]), denying("no-sub", "sub")] },
    });
    await passed(by, "wide");
    expect(mayCall(plane, "pow")).toBe(true);
    const { revisions } = await ann.call(policy, "listPolicyRevisions", { page_size: 1 });
    expect(revisions[0]).toMatchObject({ by: "ann", draft: "wide" });
    expect(
      revisions[0]?.differences.map(({ object, before, after }) => [
        object?.name,
        before?.role?.permissions[0]?.resource,
        after?.role?.permissions[0]?.resource ?? after?.rule?.name,
      ]),
    ).toEqual([
      ["adder", "mcp:calc:add", "mcp:calc:*"],
      ["no-sub", undefined, "no-sub"],
    ]);
    const alone = await failure(
      ann.call(policy, "rollbackPolicy", { name: "back", to_revision, activate: true }),
    );
    expect(alone.code).toBe(status.FAILED_PRECONDITION);
    expect((await failure(ann.call(policy, "retireDraft", { name: "wide" }))).code).toBe(
      status.FAILED_PRECONDITION,
    );
    const back = await ann.call(policy, "rollbackPolicy", { name: "back", to_revision });
    expect(back.draft?.differences).toHaveLength(2);
    expect(mayCall(plane, "pow")).toBe(true);
    await passed(by, "back");
    expect([mayCall(plane, "pow"), mayAdd(plane)]).toEqual([false, true]);

    await bob.call(policy, "createDraft", {
      draft: { name: "brief", changes: [granting("adder", ["pow"])] },
    });
    const { draft } = await bob.call(policy, "proposeDraft", { name: "brief" });
    await ann.call(policy, "approveDraft", {
      name: "brief",
      reviewed_revision: draft?.metadata?.state_revision ?? 0,
    });
    await ann.call(policy, "activateDraft", { name: "brief" });
    await ann.call(policy, "rollbackPolicy", { name: "unbrief", undo_draft: "brief" });
    await passed(by, "unbrief");
    expect([mayCall(plane, "pow"), mayAdd(plane)]).toEqual([false, true]);
    const undone = await ann.call(policy, "getDraft", { name: "brief" });
    expect(undone.draft?.state).toBe("DRAFT_STATE_RETIRED");
  });

  test("P16: the history is bounded, and says how far back it goes", async () => {
    await using by = await operators(false, 3);
    const { ann } = by;
    for (const tool of ["a", "b", "c", "d", "e"]) {
      await ann.call(policy, "createRule", { rule: denying(`no-${tool}`, tool).put.rule });
    }
    const { revisions } = await ann.call(policy, "listPolicyRevisions", {});
    expect(revisions.map(({ differences }) => differences[0]?.object?.name)).toEqual([
      "no-e",
      "no-d",
      "no-c",
    ]);
    const oldest = (revisions.at(-1)?.state_revision ?? 0) - 1;
    const refused = await failure(
      ann.call(policy, "rollbackPolicy", { name: "far", to_revision: oldest - 1 }),
    );
    expect(refused.details).toBe(`to_revision: the history kept goes back to ${oldest}`);
    await ann.call(policy, "rollbackPolicy", { name: "far", to_revision: oldest, activate: true });
    const { rules } = await ann.call(policy, "listRules", {});
    const left = rules.map(({ name }) => name).filter((name) => /^no-[a-e]$/.test(name));
    expect(left).toEqual(["no-a", "no-b"]);
  });

  test("P16: an approved draft takes effect at its time and ends at its time, once, whoever looks", async () => {
    await using by = await operators(true);
    await using elsewhere = await operators(true);
    let nowMs = Date.now();
    const clock: Clock = { nowMs: () => nowMs, monotonicMs: () => nowMs };
    const draft = {
      name: "weekend",
      changes: [granting("adder", ["add", "weekend"])],
      effective_from_ms: nowMs + 60_000,
      effective_to_ms: nowMs + 120_000,
    };
    await by.ann.call(policy, "createDraft", { draft });
    const { draft: proposed } = await by.ann.call(policy, "proposeDraft", { name: "weekend" });
    await by.bob.call(policy, "approveDraft", {
      name: "weekend",
      reviewed_revision: proposed?.metadata?.state_revision ?? 0,
    });
    const early = await failure(by.ann.call(policy, "activateDraft", { name: "weekend" }));
    expect(early.details).toContain("takes effect at");
    const records: object[] = [];
    const audit = {
      append: async (record: object) => {
        records.push(record);
        return { logId: "l", seq: records.length };
      },
    };
    const schedules = [by, elsewhere].map(({ plane: { state, current } }) =>
      createDraftSchedule({ state, current, store, audit, clock, log: silentLog, twoPerson: true }),
    );
    // What the other node knows is what a restart finds.
    const { stateRevision, resources } = await store.resources.load();
    elsewhere.plane.current.swap(buildSnapshot(stateRevision, resources, compilePolicy));
    const revisionsOf = async () => {
      const { revisions } = await by.ann.call(policy, "listPolicyRevisions", {});
      return revisions.filter((one) => one.draft === "weekend").map((one) => one.by);
    };
    const look = () => Promise.all(schedules.map((schedule) => schedule.check()));
    await look();
    expect(await revisionsOf()).toEqual([]);
    nowMs += 60_000;
    await look();
    await look();
    expect(await revisionsOf()).toEqual(["schedule"]);
    expect(records).toHaveLength(2);
    nowMs += 60_000;
    for (const { plane } of [by, elsewhere]) {
      const now = await store.resources.load();
      plane.current.swap(buildSnapshot(now.stateRevision, now.resources, compilePolicy));
    }
    await look();
    await look();
    expect(await revisionsOf()).toEqual(["schedule", "schedule"]);
    const over = await by.ann.call(policy, "getDraft", { name: "weekend" });
    expect(over.draft?.state).toBe("DRAFT_STATE_RETIRED");
    const { role } = await by.ann.call(policy, "getRole", { name: "adder" });
    expect(role?.permissions.map(({ resource }) => resource)).toEqual(["mcp:calc:add"]);
  });
});
