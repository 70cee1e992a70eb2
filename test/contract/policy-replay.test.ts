/**
 * Replay over hundreds of recorded calls whose differences are known by construction, on both databases.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { type ServiceError, status } from "@grpc/grpc-js";
import type { ReplayReport, ReplayResponse } from "../../src/gen/types.ts";
import { openStore } from "../../src/storage/open-store.ts";
import type { Store } from "../../src/storage/store.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import type { AdminClient } from "../support/admin-plane.ts";
import { until } from "../support/deadline.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { type CallToRecord, recordCalls } from "../support/recorded-calls.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { denying, startTwoOperators, type TwoOperators } from "../support/two-operators.ts";

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres[Symbol.asyncDispose]());

const policy = "PolicyService";
const monday = Date.UTC(2026, 10, 16);
const server = "calc";
const bot = { principal: "client:bot", client: "bot", server, decision: "client" };
const idle = { principal: "client:idle", client: "idle", server, decision: "default" };
const ann = { principal: "user:https://idp#ann", server, decision: "role:analyst" };
const known = { ...ann, roles: '["analyst"]', groups: "[]" };

/** How many of each, and what the draft below makes of them. */
const plan: readonly (readonly [number, Omit<CallToRecord, "timeMs">])[] = [
  [200, { ...bot, tool: "add" }], // unchanged
  [100, { ...bot, tool: "div" }], // newly denied
  [60, { ...bot, tool: "pow" }], // hangs on its arguments
  [50, { ...idle, tool: "add" }], // newly allowed
  [30, { ...idle, tool: "sub" }], // unchanged: denied still
  [80, { ...known, tool: "mul" }], // owes something new
  [40, { ...ann, tool: "mul" }], // roles not recorded
  [25, { principal: "client:gone", client: "gone", server, tool: "add", decision: "client" }],
  [15, { ...bot, tool: "add", decision: "rule:old-allow" }], // unchanged, but decided by something else then
  [10, { principal: "client:bot", client: "bot", tool: "ghost" }], // no target was found
  [20, { ...bot, method: "tools/list" }], // no call of a target
];
const calls: readonly CallToRecord[] = plan.flatMap(([count, call]) =>
  Array.from({ length: count }, () => ({ ...call, timeMs: monday })),
);
/** Before the period that is asked for. */
const earlier = Array.from({ length: 33 }, () => ({ ...bot, tool: "div", timeMs: monday - 1 }));

async function replay(client: AdminClient, request: object) {
  const steps: ReplayResponse[] = [];
  for await (const step of client.replay({ draft: "monday", from_ms: monday, ...request })) {
    steps.push(step);
  }
  const report = steps.at(-1)?.report;
  if (!report) throw new Error("no report came");
  return { steps, report };
}

const lineOf = (report: ReplayReport) =>
  report.lines.map(({ change, principal, target, calls: of, decided_now, decided_then }) => [
    change.replace("REPLAY_CHANGE_", ""),
    principal,
    target,
    of,
    decided_now,
    decided_then,
  ]);

describe.each(["sqlite", "postgres"])("replay on %s", (kind) => {
  let by: TwoOperators;
  let store: Store;
  const stack = new AsyncDisposableStack();
  beforeAll(async () => {
    const dataDir = join(stack.use(temporaryFolder("replay")).path, "data");
    const url = kind === "postgres" ? { databaseUrl: postgres.url } : {};
    store = await openStore({ dataDir, log: silentLog, deadlineMs: 30_000, migrate: true, ...url });
    stack.defer(() => store.close());
    by = stack.use(await startTwoOperators(store, { twoPerson: false }));
    await store.audit.append(recordCalls("log-1", [...earlier, ...calls]));
    const url_ = "https://calc.example/mcp";
    await by.ann.call("ServerService", "registerServer", {
      server: { name: server, remote: { kind: "REMOTE_KIND_STREAMABLE_HTTP", url: url_ } },
    });
    await by.ann.call("ClientService", "registerClient", {
      client: { id: "bot", enabled: true, allowed_tools: ["calc__*"] },
    });
    await by.ann.call("ClientService", "registerClient", { client: { id: "idle", enabled: true } });
    const permissions = [
      { resource: "mcp:calc:mul", actions: ["POLICY_ACTION_INVOKE_TOOL" as const] },
    ];
    await by.ann.call(policy, "createRole", { role: { name: "analyst", permissions } });
    const large = {
      name: "large",
      effect: "RULE_EFFECT_DENY" as const,
      condition: { target_pattern: "pow", when: "has(arguments.n) && arguments.n > 9" },
    };
    const masked = {
      name: "masked",
      effect: "RULE_EFFECT_REQUIRE" as const,
      condition: { target_pattern: "mul" },
      obligations: { scopes: ["calc.mul"] },
    };
    await by.ann.call(policy, "createDraft", {
      draft: {
        name: "monday",
        changes: [
          denying("no-div", "div"),
          { put: { rule: large } },
          { put: { rule: masked } },
          { put: { client_grants: { id: "idle", allowed_tools: ["calc__add"] } } },
        ],
      },
    });
  });
  afterAll(() => stack.disposeAsync());

  test("P16: what a draft would have changed is told by principal and tool, with counts", async () => {
    const { report, steps } = await replay(by.ann, {});
    expect(report).toMatchObject({
      calls: 610,
      unchanged: 245,
      newly_denied: 100,
      newly_allowed: 50,
      obligations_changed: 80,
      undetermined: 135,
      drifted: 15,
      complete: true,
      first_time_ms: monday,
      last_time_ms: monday,
      without_line: 0,
    });
    expect(lineOf(report)).toEqual([
      ["NEWLY_DENIED", "client:bot", "div", 100, "client:bot", "rule:no-div"],
      ["OBLIGATIONS", known.principal, "mul", 80, "role:analyst", "role:analyst"],
      ["UNDETERMINED", "client:bot", "pow", 60, expect.stringContaining("large"), ""],
      ["NEWLY_ALLOWED", "client:idle", "add", 50, "default", "client:idle"],
      ["UNDETERMINED", known.principal, "mul", 40, "roles or groups not recorded", ""],
      ["UNDETERMINED", "client:gone", "add", 25, "client no longer registered", ""],
      ["UNDETERMINED", "client:bot", "ghost", 10, "target not recorded", ""],
    ]);
    expect(report.lines.every(({ examples }) => examples.length === 3)).toBe(true);
    const [example] = report.lines[0]?.examples ?? [];
    expect(example?.correlation_id).toBe(`log-1-${example?.seq}`);
    expect(report.reasons.map(({ calls: of }) => of)).toEqual([60, 40, 25, 10]);
    expect(steps.length).toBeGreaterThan(1);
    expect(steps[0]?.progress?.calls).toBeGreaterThan(0);
  });

  test("P16: a replay is narrowed and bounded, and says when it did not see everything", async () => {
    const narrowed = await replay(by.ann, { tool: "div", examples: 1 });
    expect(narrowed.report).toMatchObject({ calls: 100, newly_denied: 100, complete: true });
    expect(narrowed.report.lines[0]?.examples).toHaveLength(1);
    const all = await replay(by.ann, { from_ms: 0, client: "bot", tool: "div" });
    expect(all.report).toMatchObject({ newly_denied: 133, first_time_ms: monday - 1 });
    const some = await replay(by.ann, { calls_max: 7 });
    expect(some.report).toMatchObject({ calls: 7, complete: false });
    // As many as there are.
    const just = await replay(by.ann, { calls_max: 610 });
    expect(just.report).toMatchObject({ calls: 610, newly_denied: 100, complete: true });
    const allButOne = await replay(by.ann, { calls_max: 609 });
    expect(allButOne.report).toMatchObject({ calls: 609, complete: false });
    const none = await replay(by.ann, { principal: "client:nobody" });
    expect(none.report).toMatchObject({ calls: 0, complete: true });
  });

  test("P16: a replay that cannot be asked says why, and changes nothing", async () => {
    const before = by.plane.current.get().stateRevision;
    const refused = async (request: object) => {
      try {
        await replay(by.ann, request);
      } catch (error) {
        return error as ServiceError;
      }
      throw new Error("should have been refused");
    };
    expect((await refused({ draft: "nothing" })).code).toBe(status.NOT_FOUND);
    expect((await refused({ calls_max: -1 })).details).toContain("calls_max: must be from 0 to");
    expect((await refused({ until_ms: 5 })).details).toContain("until_ms: must be after from_ms");
    expect(by.plane.current.get().stateRevision).toBe(before);
  });

  test("P16: a replay that nobody waits for any more ends", async () => {
    const stream = by.ann.replay({ draft: "monday" });
    stream.cancel();
    const ended = (async () => {
      for await (const _ of stream);
    })().catch((error: ServiceError) => error.code);
    expect(await ended).toBe(status.CANCELLED);
    // Its place is free again: two run at once at most.
    const calls = await until("two replays at once", async () => {
      // Both end before two are tried again: one that goes on would hold a place.
      const ended = await Promise.allSettled([replay(by.ann, {}), replay(by.bob, {})]);
      const served = ended.flatMap((one) => (one.status === "fulfilled" ? one.value : []));
      return served.length === 2 && served.map(({ report }) => report.calls);
    });
    expect(calls).toEqual([610, 610]);
  });

  test("P15: Explain asks as if the draft were in force, and says where roles come from", async () => {
    const asked = {
      principal: known.principal,
      server,
      target: "mul",
      action: "POLICY_ACTION_INVOKE_TOOL" as const,
      roles: ["analyst", "ghost"],
    };
    const now = await by.ann.call(policy, "explain", asked);
    expect(now).toMatchObject({ allowed: true, decided_by: "role:analyst", required_by: [] });
    expect(now.obligations).toBeFalsy();
    const drafted = await by.ann.call(policy, "explain", { ...asked, draft: "monday" });
    expect(drafted).toMatchObject({
      allowed: true,
      required_by: ["rule:masked"],
      obligations: { scopes: ["calc.mul"] },
      role_sources: [
        { role: "analyst", source: "token", defined: true },
        { role: "ghost", source: "token", defined: false },
      ],
    });
    const pow = { principal: "client:bot", target: "calc__pow", scope: "all", draft: "monday" };
    const call = async (arguments_json: string) =>
      await by.ann.call(policy, "explain", { ...asked, server: "", ...pow, arguments_json });
    expect(await call('{"n":10}')).toMatchObject({
      allowed: false,
      decided_by: "rule:large",
      server,
      target: "pow",
      conditions: [{ rule: "large", outcome: "true" }],
    });
    expect(await call('{"n":9}')).toMatchObject({ allowed: true, denied_by: [] });
    const bound = { principal: "", issuer: "https://idp", subject: "ann", roles: [] };
    const binding = { name: "anns", users: ["ann"], roles: ["analyst"] };
    await by.ann.call(policy, "createBinding", { binding });
    expect(await by.ann.call(policy, "explain", { ...asked, ...bound })).toMatchObject({
      allowed: true,
      role_sources: [{ role: "analyst", source: "binding:anns", defined: true }],
    });
    await by.ann.call(policy, "deleteBinding", { name: "anns" });
  });
});
