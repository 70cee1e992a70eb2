/** What calls pay, before and after policy: own buckets, tenant, server, tool, rules, cost; and what comes back. */

import { describe, expect, test } from "bun:test";
import type { Credential, Principal } from "../../../../src/identity/principal.ts";
import { Cancellation } from "../../../../src/lib/cancellation.ts";
import { systemClock } from "../../../../src/lib/clock.ts";
import { createConcurrency } from "../../../../src/limits/concurrency.ts";
import { createLimitPlans, type LimitSettings } from "../../../../src/limits/limit-plan.ts";
import { createLimiter } from "../../../../src/limits/limiter.ts";
import { createPenaltyBox } from "../../../../src/limits/penalty-box.ts";
import type { DispatchDeps } from "../../../../src/pipeline/dispatch.ts";
import type { Reply } from "../../../../src/pipeline/incoming.ts";
import type { Obligations } from "../../../../src/policy/rule.ts";
import {
  clientOf,
  clientToken,
  createDataPlane,
  type DataPlane,
  type FakeServer,
  limitSettings,
  ruleOf,
  virtualOf,
} from "../../../support/data-plane.ts";
import { userPrincipal } from "../../../support/principals.ts";

/** Nothing comes back while a test runs. */
const still = { requestsPerMinute: 0.001, toolRequestsPerMinute: 0.001 };
const everything = { allowedTools: ["*"], allowedPrompts: ["*"], allowedResources: ["*"] };
const notes: FakeServer = { name: "notes", tools: ["read", "dear"], resources: ["note://a"] };
const calc: FakeServer = { name: "calc", tools: ["add"] };
const metrics = { count() {} };

interface Given {
  readonly defaults?: Partial<LimitSettings>;
  readonly tiers?: Readonly<Record<string, Partial<LimitSettings>>>;
  readonly tenantRequestsPerMinute?: number;
  readonly clients?: Readonly<Record<string, object>>;
  readonly obligations?: Partial<Obligations>;
  readonly more?: Partial<DispatchDeps>;
  readonly settings?: FakeServer["settings"];
}

function planeOf(given: Given): DataPlane {
  const { defaults, tiers = {}, clients = { ci: {} }, obligations, settings = [] } = given;
  const { tenantRequestsPerMinute = 0 } = given;
  const state = [
    ...Object.entries(clients).flatMap(([id, own]) => clientOf(id, { ...everything, ...own })),
    virtualOf("bundle", { tools: [{ server: "notes", name: "read" }] }),
    ruleOf("hidden", {
      condition: { ignoreCase: false, server: "notes", targetPattern: "secret" },
    }),
  ];
  const fakes = [{ ...notes, settings }, calc];
  const snapshot = createDataPlane(fakes, state).current.get();
  const obliged = {
    ...snapshot,
    policy: {
      ...snapshot.policy,
      decide: (...asked: Parameters<typeof snapshot.policy.decide>) => {
        const decision = snapshot.policy.decide(...asked);
        if (obligations === undefined || !decision.allowed) return decision;
        return { ...decision, obligations: { ...owesNothing, ...obligations } };
      },
    },
  };
  return createDataPlane(fakes, state, undefined, {
    current: { get: () => obliged, isFresh: () => true, subscribe: () => () => {} },
    limiter: createLimiter({ clock: systemClock, metrics }),
    limitPlans: createLimitPlans({
      defaults: { ...limitSettings, ...still, ...defaults },
      tiers,
      tenantRequestsPerMinute,
    }),
    ...given.more,
  });
}

const owesNothing: Obligations = {
  scopes: [],
  stepUp: [],
  approval: false,
  redaction: undefined,
  auditClass: undefined,
  rateTier: undefined,
  rateLimits: [],
};

const call = (plane: DataPlane, name: string, client = "ci", scope = "all") =>
  plane.ask(client, "tools/call", { name, arguments: {} }, scope);

/** `ok`, or why not. */
function told({ outcome }: Reply): string {
  return outcome.kind === "fault" ? (outcome.fault.reason ?? outcome.fault.name) : "ok";
}

async function toldOf(count: number, ask: () => Promise<Reply>): Promise<readonly string[]> {
  const all: string[] = [];
  for (let n = 0; n < count; n += 1) all.push(told(await ask()));
  return all;
}

/** Users by their token, each of the tenant the map gives them. */
function userOf(tenants: ReadonlyMap<string, string>) {
  return (credential: Credential): Principal => {
    const ids = ["ada", "bob", "eve", "joe"];
    const token = credential.kind === "bearer" ? credential.token : "";
    const id = ids.find((one) => clientToken(one) === token) ?? "";
    return userPrincipal(id, { tenant: tenants.get(id), credentialDigest: id });
  };
}

describe("L01 L03 L04 whose buckets a call takes from", () => {
  test("the tool's bucket is the server's tool's, by whatever name and scope it is called", async () => {
    const plane = planeOf({ defaults: { toolBurst: 2 } });
    expect(told(await call(plane, "notes__read"))).toBe("ok");
    expect(told(await call(plane, "read", "ci", "notes"))).toBe("ok");
    expect(told(await call(plane, "notes__read", "ci", "bundle"))).toBe("tool-rate");
    expect(told(await call(plane, "calc__add"))).toBe("ok");
  });

  test("a call refused by its tool gives the caller's token back; a hidden one is paid for", async () => {
    const plane = planeOf({ defaults: { burst: 4, toolBurst: 1 } });
    const read = () => call(plane, "notes__read");
    expect(await toldOf(4, read)).toEqual(["ok", "tool-rate", "tool-rate", "tool-rate"]);
    const guesses = await toldOf(3, () => call(plane, "notes__secret"));
    expect(guesses).toEqual(["rule:hidden", "rule:hidden", "rule:hidden"]);
    expect(told(await call(plane, "calc__add"))).toBe("client-rate");
  });

  test("L04: one server's bucket, for its tools and its resources alike", async () => {
    const plane = planeOf({ defaults: { serverRequestsPerMinute: 0.001, serverBurst: 2 } });
    const read = () => plane.ask("ci", "resources/read", { uri: "note://a" }, "notes");
    expect(told(await call(plane, "notes__read"))).toBe("ok");
    expect(told(await read())).toBe("ok");
    expect(told(await read())).toBe("server-rate");
    expect(told(await call(plane, "calc__add"))).toBe("ok");
  });

  test("a tenant's callers share its bucket; others and the tenantless do not", async () => {
    const tenants = new Map([
      ["ada", "acme"],
      ["bob", "acme"],
      ["eve", "other"],
    ]);
    const plane = planeOf({
      tenantRequestsPerMinute: 2,
      clients: { ada: {}, bob: {}, eve: {}, joe: {} },
      more: { authenticator: { authenticate: userOf(tenants), stillValid: () => true } },
    });
    const list = (id: string) => plane.ask(id, "tools/list");
    expect([told(await list("ada")), told(await list("bob"))]).toEqual(["ok", "ok"]);
    expect([told(await list("ada")), told(await list("bob"))]).toEqual([
      "tenant-rate",
      "tenant-rate",
    ]);
    expect(told(await list("eve"))).toBe("ok");
    expect(await toldOf(3, () => list("joe"))).toEqual(["ok", "ok", "ok"]);
  });

  test("OV-03: one budget, whatever the transport", async () => {
    const plane = planeOf({ defaults: { burst: 3 } });
    const ask = (binding: "http" | "sse" | "websocket") =>
      plane.ask("ci", "tools/list", undefined, "all", {}, { binding });
    const answers = [
      await ask("http"),
      await ask("sse"),
      await ask("websocket"),
      await ask("http"),
    ];
    expect(answers.map(told)).toEqual(["ok", "ok", "ok", "client-rate"]);
  });
});

describe("OV-08 what a dear tool costs", () => {
  const settings = [{ tool: "dear", cost: 5 }];

  test("its cost, from every bucket; refused, nothing at all", async () => {
    const plane = planeOf({ settings, defaults: { burst: 12, toolBurst: 20 } });
    const dear = () => call(plane, "notes__dear");
    expect((await dear()).limit).toMatchObject({ remaining: 7 });
    expect((await dear()).limit).toMatchObject({ remaining: 2 });
    expect(told(await dear())).toBe("client-rate");
    expect((await call(plane, "notes__read")).limit).toMatchObject({ remaining: 1 });
    expect(await toldOf(2, () => call(plane, "notes__read"))).toEqual(["ok", "client-rate"]);
  });

  test("one dearer than a bucket holds takes all of it", async () => {
    const plane = planeOf({ settings, defaults: { toolBurst: 3 } });
    expect(await toldOf(2, () => call(plane, "notes__dear"))).toEqual(["ok", "tool-rate"]);
  });
});

describe("L10 L13 what a rule says", () => {
  test("L13: so many in so long, counted by rule and caller", async () => {
    const rateLimits = [{ rule: "slow", requests: 2, windowSeconds: 86_400 }];
    const plane = planeOf({ obligations: { rateLimits }, clients: { ci: {}, cd: {} } });
    const read = () => call(plane, "notes__read");
    expect(await toldOf(3, read)).toEqual(["ok", "ok", "rule-rate"]);
    expect(told(await call(plane, "calc__add"))).toBe("rule-rate");
    expect(told(await call(plane, "notes__read", "cd"))).toBe("ok");
    const refused = await read();
    expect(refused.limit?.policy).toBe('"rule";q=2;w=86400');
  });

  test("L10: a rule's tier holds in place of the caller's own, for its rate and its calls in flight", async () => {
    const plane = planeOf({
      defaults: { burst: 1, toolBurst: 1 },
      tiers: { wide: { burst: 3, toolBurst: 100 } },
      obligations: { rateTier: "wide" },
    });
    const read = () => call(plane, "notes__read");
    expect(await toldOf(4, read)).toEqual(["ok", "ok", "ok", "tier-rate"]);
    // Its own token came back each time: a list is no rule's business, and there is still one.
    const list = () => plane.ask("ci", "tools/list");
    expect(await toldOf(2, list)).toEqual(["ok", "client-rate"]);
    const busy = planeOf({
      defaults: { burst: 1, toolBurst: 1 },
      tiers: { one: { maxInFlight: 1 } },
      obligations: { rateTier: "one" },
      more: { tierPlaces: createConcurrency({ perClientMax: 9, totalMax: 0, metrics }) },
    });
    // Refused for want of a place, it gets back what it paid before.
    expect(await toldOf(2, () => call(busy, "notes__read"))).toEqual(["overloaded", "overloaded"]);
  });

  test("a tier that is not configured lets nobody through", async () => {
    const plane = planeOf({ obligations: { rateTier: "lost" } });
    expect(told(await call(plane, "notes__read"))).toBe("internal");
  });

  test("L10: a client's tier brings its windows; the tightest is what agents read", async () => {
    const plane = planeOf({
      tiers: { free: { requestsPerDay: 2, requestsPerHour: 5 } },
      clients: { ci: { limits: { tier: "free" } } },
    });
    const list = () => plane.ask("ci", "tools/list");
    expect((await list()).limit).toMatchObject({
      remaining: 1,
      policy: '"client-day";q=2;w=86400',
    });
    expect(await toldOf(2, list)).toEqual(["ok", "client-day-rate"]);
  });
});

describe("L08 L10 places and penalties in the pipeline", () => {
  test("L08: a call that waits takes its place when one is free, and leaves the line when its agent goes", async () => {
    const concurrency = createConcurrency({ perClientMax: 9, totalMax: 1, queueMax: 5, metrics });
    const plane = planeOf({ defaults: { burst: 3 }, more: { concurrency } });
    const held = concurrency.enter("somebody");
    const gone = new Cancellation();
    const first = call(plane, "notes__read");
    const second = plane.ask("ci", "tools/list", undefined, "all", {}, { signal: gone });
    expect(concurrency.waiting()).toBe(2);
    gone.abort();
    expect(told(await second)).toBe("cancelled");
    expect(plane.seen).toEqual([]);
    if (held.allowed) held.release();
    expect(told(await first)).toBe("ok");
    expect(concurrency.inFlight()).toBe(0);
    // What the one that went away had paid is there again.
    expect(await toldOf(3, () => plane.ask("ci", "tools/list"))).toEqual([
      "ok",
      "ok",
      "client-rate",
    ]);
  });

  test("L10: refusals of every limit count, and who is put aside is told so before anything is counted", async () => {
    const penalties = createPenaltyBox({
      refusalsMax: 3,
      penaltyMs: 60_000,
      clock: systemClock,
      metrics,
      onStart: () => {},
      onEnd: () => {},
    });
    const plane = planeOf({ defaults: { toolBurst: 1 }, more: { penalties } });
    const read = () => call(plane, "notes__read");
    expect(await toldOf(5, read)).toEqual(["ok", "tool-rate", "tool-rate", "tool-rate", "penalty"]);
    expect(told(await plane.ask("ci", "tools/list"))).toBe("penalty");
    expect(penalties.clear("principal", "client:ci")).toBe(true);
    expect(told(await plane.ask("ci", "tools/list"))).toBe("ok");
  });
});

describe("L06 the shared counter in the pipeline", () => {
  test("is asked once a call, with everything and its whole cost; lists too, hidden targets not", async () => {
    const asked: string[][] = [];
    const plane = planeOf({
      settings: [{ tool: "dear", cost: 5 }],
      more: {
        sharedLimiter: {
          take: async (charges) => {
            asked.push(charges.map(({ limit, cost }) => `${limit.name} ${cost}`));
            return { allowed: true, state: undefined };
          },
        },
      },
    });
    await call(plane, "notes__dear");
    await plane.ask("ci", "tools/list");
    await call(plane, "notes__secret");
    expect(asked).toEqual([["client 5", "tool 5"], ["client 1"]]);
  });

  test("what it refuses costs nothing here", async () => {
    let isFull = true;
    const state = { limit: 1, remaining: 0, resetSeconds: 1, policy: '"client";q=1;w=1' };
    const fault = { name: "rate-limited", message: "full", reason: "client-rate" } as const;
    const plane = planeOf({
      defaults: { burst: 1 },
      more: {
        sharedLimiter: {
          take: async () => (isFull ? { allowed: false, state, fault } : { allowed: true, state }),
        },
      },
    });
    const list = () => plane.ask("ci", "tools/list");
    expect(await toldOf(3, list)).toEqual(["client-rate", "client-rate", "client-rate"]);
    isFull = false;
    expect(await toldOf(2, list)).toEqual(["ok", "client-rate"]);
  });
});
