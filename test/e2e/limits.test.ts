/**
 * Limits as agents and operators meet them, on the executable: the same refusal on every transport, tiers by name, a
 * line before the places, the penalty box with its records, and state that names what the configuration lacks.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { type AdminClient, createAdminClient } from "../support/admin-client.ts";
import { until } from "../support/deadline.ts";
import { type GatewayProcess, startGateway } from "../support/gateway-process.ts";
import { readMetric } from "../support/metrics.ts";
import { modernCall } from "../support/modern-agent.ts";
import { allRecords, registerClient, registerHttpServer } from "../support/operator.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { startTinyServer, type TinyServer } from "../support/tiny-server.ts";
import {
  callText,
  eraOf,
  mustOpenWire,
  openWire,
  transports,
  type Wire,
} from "../support/wires.ts";

const limits = {
  tiers: { free: { requests_per_hour: 3 }, one_at_a_time: { max_in_flight: 1 } },
  penalty_after_refusals: 5,
  queue_max: 4,
  queue_wait_ms: 20_000,
};

const stack = new AsyncDisposableStack();
let tiny: TinyServer;
let gateway: GatewayProcess;
let admin: AdminClient;

beforeAll(async () => {
  tiny = stack.use(startTinyServer());
  gateway = stack.use(await startGateway({ config: { limits } }));
  admin = stack.use(createAdminClient(gateway));
  await registerHttpServer(admin, "tiny", tiny.url);
});
afterAll(() => stack.disposeAsync());

const register = (id: string, own: object) =>
  registerClient(admin, id, { allowed_tools: ["*"], limits: own });

const echo = (token: string, more: object = {}) =>
  modernCall({
    base: gateway.agents,
    token,
    method: "tools/call",
    params: { name: "tiny__echo", arguments: { text: "x" } },
    ...more,
  });

const slow = (token: string, text: string, delay_ms = 300) =>
  echo(token, { params: { name: "tiny__slow", arguments: { text, delay_ms } } });

/** Calls until the limit refuses; opening a connection has cost something, too. */
async function exhaust(wire: Wire, text: string) {
  for (let call = 0; call < 10; call += 1) {
    const answer = await wire.send(text);
    if (answer.code !== undefined) return answer;
  }
  throw new Error("never refused");
}

describe("L05 the same answer on every transport", () => {
  for (const transport of transports) {
    test(`${transport}: 42901, when to come back, and which limit it was`, async () => {
      const token = await register(`hasty-${transport}`, { requests_per_minute: 1, burst: 5 });
      const place = { base: gateway.agents, scope: "tiny", token };
      await using wire = await mustOpenWire(transport, place);
      const refused = await exhaust(wire, callText(eraOf(transport)));
      const { error } = JSON.parse(refused.text);
      expect(error).toMatchObject({
        code: 42901,
        message: "Rate limited by the client limit",
        data: {
          name: "rate-limited",
          limit: { limit: 5, remaining: 0, policy: '"client";q=5;w=300' },
        },
      });
      expect(error.data.retryAfterMs).toBeGreaterThan(0);
      expect(error.data.retryAfterMs).toBeLessThanOrEqual(60_000);
      if (!transport.startsWith("http")) return;
      expect(refused.status).toBe(429);
      const { headers } = refused;
      expect(headers.get("retry-after")).toBe(String(Math.ceil(error.data.retryAfterMs / 1000)));
      expect(headers.get("ratelimit-policy")).toBe('"client";q=5;w=300');
      expect(headers.get("ratelimit")).toMatch(/^"client";r=0;t=\d+$/);
    });
  }

  test("answers that succeed say where the tightest bucket stands", async () => {
    const token = await register("told", { burst: 50, tool_burst: 3 });
    const { status, headers } = await echo(token);
    expect(status).toBe(200);
    expect(headers.get("ratelimit")).toMatch(/^"tool";r=2;t=\d+$/);
    expect(headers.get("ratelimit-policy")).toMatch(/^"tool";q=3;w=\d+$/);
  });

  test("OV-03: one budget over all transports together", async () => {
    const token = await register("everywhere", { requests_per_minute: 1, burst: 8 });
    const place = { base: gateway.agents, scope: "tiny", token };
    await using socket = await mustOpenWire("ws-modern", place);
    await using http = await mustOpenWire("http-modern", place);
    const codes: (number | undefined)[] = [];
    for (let round = 0; round < 5; round += 1) {
      for (const wire of [socket, http]) codes.push((await wire.send(callText("modern"))).code);
    }
    expect(codes.filter((code) => code === undefined)).toHaveLength(8);
    expect(codes.slice(8)).toEqual([42901, 42901]);
  });
});

describe("L10 tiers", () => {
  test("a registration names one, and shows it again", async () => {
    const token = await register("frugal", { tier: "free" });
    expect(await admin.call("ClientService", "GetClient", { id: "frugal" })).toMatchObject({
      client: { limits: { tier: "free" } },
    });
    const answers = [];
    for (let call = 0; call < 4; call += 1) answers.push(await echo(token));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 429]);
    const last = answers.at(-1);
    expect(last?.headers.get("ratelimit-policy")).toBe('"client-hour";q=3;w=3600');
    expect(last?.error?.data).toMatchObject({ limit: { limit: 3 } });
  });

  test("one that is not configured is refused when it is written, and nothing is stored", async () => {
    const failure = await register("dreamer", { tier: "platinum" }).catch((error) => error.message);
    expect(failure).toContain('client "dreamer": limits.tier');
    expect(failure).toContain("it has free, one_at_a_time");
    const stored = await admin
      .call("ClientService", "GetClient", { id: "dreamer" })
      .catch((error) => error.message);
    expect(stored).toContain("dreamer");
  });

  test("state that names a tier the configuration lost stops the start, with the name", async () => {
    await using folder = temporaryFolder("tiers");
    const dataDir = join(folder.path, "data");
    {
      await using first = await startGateway({ dataDir, config: { limits } });
      await using operator = createAdminClient(first);
      await registerClient(operator, "left-over", { limits: { tier: "free" } });
    }
    const failure = await startGateway({ dataDir }).then(
      async (started) => {
        await started[Symbol.asyncDispose]();
        return "it started";
      },
      (error: Error) => error.message,
    );
    expect(failure).toContain('no tier "free"; it has none');
  });
});

describe("L10 L13 what rules say of limits", () => {
  const require = (name: string, principal: string, obligations: object) =>
    admin.call("PolicyService", "CreateRule", {
      rule: { name, effect: "RULE_EFFECT_REQUIRE", condition: { principal }, obligations },
    });

  test("L13: a rule's own limit is counted by rule and caller, and told like any other", async () => {
    const token = await register("ruled", {});
    const other = await register("unruled", {});
    const rate_limit = { requests: 2, window_seconds: 3600 };
    await require("twice-an-hour", "client:ruled", { rate_limit });
    const statuses = [];
    for (let call = 0; call < 3; call += 1) statuses.push((await echo(token)).status);
    expect(statuses).toEqual([200, 200, 429]);
    const refused = await echo(token);
    expect(refused.headers.get("ratelimit-policy")).toBe('"rule";q=2;w=3600');
    expect(refused.error).toMatchObject({ code: 42901, message: "Rate limited by the rule limit" });
    expect((await echo(other)).status).toBe(200);
  });

  test("L10: a rule's tier holds in place of the caller's own; an unknown one is refused when written", async () => {
    const token = await register("tiered", {});
    await require("as-free", "client:tiered", { rate_tier: "free" });
    const statuses = [];
    for (let call = 0; call < 4; call += 1) statuses.push((await echo(token)).status);
    expect(statuses).toEqual([200, 200, 200, 429]);
    const failure = await require("as-royal", "client:tiered", { rate_tier: "royal" }).catch(
      (error) => error.message,
    );
    expect(failure).toContain('rule "as-royal": obligations.rateTier');
  });
});

describe("L08 the line before the places", () => {
  test("calls beyond the cap wait their turn; beyond the line they are refused", async () => {
    const token = await register("queued", { tier: "one_at_a_time" });
    const first = slow(token, "1", 3_000);
    await until("the first at the server", () => tiny.texts.includes("1"));
    const others = ["2", "3", "4", "5", "6"].map((n) => slow(token, n));
    const answers = await Promise.all([first, ...others]);
    const statuses = answers.map(({ status }) => status).sort();
    expect(statuses).toEqual([200, 200, 200, 200, 200, 429]);
    const refused = answers.find(({ status }) => status === 429);
    expect([refused?.error?.code, refused?.headers.get("retry-after")]).toEqual([42902, "1"]);
    expect(await readMetric(gateway.ops, "mcp_gateway_waiting")).toBe(0);
  });

  test("an agent that goes away leaves the line: its call never reaches the server", async () => {
    const token = await register("leaver", { tier: "one_at_a_time" });
    const first = slow(token, "stays", 5_000);
    await until("the first at the server", () => tiny.texts.includes("stays"));
    const gone = new AbortController();
    const url = `${gateway.agents}/tiny/mcp`;
    const body = callText("modern", { text: "left the line" });
    const headers = {
      "Content-Type": "application/json",
      Accept: "application/json, text/event-stream",
      "MCP-Protocol-Version": "2026-07-28",
      "Mcp-Method": "tools/call",
      "Mcp-Name": "echo",
      Authorization: `Bearer ${token}`,
    };
    const left = fetch(url, { method: "POST", body, headers, signal: gone.signal }).catch(
      () => "gone",
    );
    const waiting = () => readMetric(gateway.ops, "mcp_gateway_waiting");
    await until("one in the line", async () => (await waiting()) === 1);
    gone.abort();
    expect(await left).toBe("gone");
    // A caller's going away is noticed within a beat, long before the place is free.
    await until("nobody in the line", async () => (await waiting()) === 0, 4_000);
    expect((await first).status).toBe(200);
    expect((await echo(token)).status).toBe(200);
    expect(tiny.texts).not.toContain("left the line");
  });
});

test("L09 OV-04: before anybody is authenticated, one source is capped over all transports, and put aside", async () => {
  const own = {
    source_requests_per_minute: 20,
    penalty_after_refusals: 30,
    failed_auth_per_minute: 999,
  };
  await using small = await startGateway({ config: { limits: own } });
  const startedMs = performance.now();
  const statuses: (number | undefined)[] = [];
  for (let round = 0; round < 15; round += 1) {
    for (const transport of transports) {
      const place = { base: small.agents, scope: "all", token: "mcpgw_guessed" };
      const opening = await openWire(transport, place);
      const answer =
        "wire" in opening ? await opening.wire.send(callText("modern")) : opening.refusal;
      statuses.push(answer.status);
    }
  }
  const guesses = statuses.filter((status) => status === 401).length;
  expect(guesses).toBeGreaterThanOrEqual(20);
  // One more comes back every three seconds.
  expect(guesses).toBeLessThanOrEqual(21 + (performance.now() - startedMs) / 3_000);
  expect(statuses.filter((status) => status === 429)).toHaveLength(statuses.length - guesses);
  await using operator = createAdminClient(small);
  expect(await operator.call("LimitService", "ListPenalties")).toMatchObject({
    penalties: [{ kind: "PENALTY_KIND_SOURCE", key: "127.0.0.1", refusals: 30 }],
  });
});

describe("L10 L12 the penalty box", () => {
  test("who ignores refusals is put aside, listed, let out, and on record once each way", async () => {
    const token = await register("stubborn", { requests_per_minute: 600, burst: 1 });
    const list = async () => {
      const answer = await admin.call<{ penalties: { key: string; kind: string }[] }>(
        "LimitService",
        "ListPenalties",
      );
      return answer.penalties.filter(({ key }) => key === "client:stubborn");
    };
    await until("the penalty", async () => {
      await Promise.all(Array.from({ length: 5 }, () => echo(token)));
      return (await list()).length === 1;
    });
    // By now its bucket has refilled; the answer is still no, for as long as the penalty lasts.
    await Bun.sleep(150);
    const aside = await echo(token);
    expect([aside.status, aside.error?.code]).toEqual([429, 42901]);
    expect(Number(aside.headers.get("retry-after"))).toBeGreaterThan(200);
    const who = { kind: "PENALTY_KIND_PRINCIPAL", key: "client:stubborn" };
    expect(await list()).toMatchObject([{ ...who, refusals: 5 }]);
    await admin.call("LimitService", "ClearPenalty", who);
    expect(await list()).toEqual([]);
    expect((await echo(token)).status).toBe(200);
    const again = await admin
      .call("LimitService", "ClearPenalty", who)
      .catch((error) => error.message);
    expect(again).toContain("Nobody of this kind");
    const records = await until("both records", async () => {
      const found = await allRecords(admin, {});
      const own = found.filter(
        ({ event, details_json }) =>
          event.startsWith("limits.penalty") && details_json.includes("client:stubborn"),
      );
      return own.length === 2 && own;
    });
    expect(records.map(({ event, status }) => [event, status])).toEqual([
      ["limits.penalty_started", "rejected"],
      ["limits.penalty_ended", "cleared"],
    ]);
  });

  test("L12: refused calls are on record: the first as its own row, under the caller's name", async () => {
    const token = await register("noted", { requests_per_minute: 1, burst: 1 });
    await echo(token);
    for (let call = 0; call < 3; call += 1) expect((await echo(token)).status).toBe(429);
    const rows = await until("the record", async () => {
      const found = await allRecords(admin, { event: "traffic.rejected" });
      const own = found.filter(({ principal }) => principal === "client:noted");
      return own.length > 0 && own;
    });
    expect(JSON.parse(rows[0]?.envelope_json ?? "{}").facts).toMatchObject({
      status: "rejected",
      reason: "rate-limited:client-rate",
      count: 1,
    });
  });
});
