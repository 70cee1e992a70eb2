/**
 * Every call has its record and none has two (D01), through the executable and a real PostgreSQL: calls that were
 * allowed, denied, timed out and failed are held one by one against their outcomes, those that were limited or
 * malformed against what the aggregates count. Under load, and with SIGTERM in the middle of it.
 */
import { expect, test } from "bun:test";
import { type AdminClient, createAdminClient } from "../support/admin-client.ts";
import { until } from "../support/deadline.ts";
import { agentKinds } from "../support/echo-agents.ts";
import { readReply } from "../support/echo-reply.ts";
import { startGateway } from "../support/gateway-process.ts";
import { modernPost } from "../support/modern-agent.ts";
import { type RecordView, registerClient, registerHttpServer } from "../support/operator.ts";
import { startPostgres } from "../support/postgres.ts";
import { faultCycles } from "../support/random.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { compareLogs, drainedRecords, noContradictions } from "../support/three-logs.ts";
import { startTinyServer } from "../support/tiny-server.ts";

const rounds = faultCycles(8);
const workers = 8;
/** Answers after which SIGTERM comes, in the second load. */
const answersBeforeTheEnd = 80;
const limits = {
  failed_auth_per_minute: 1_000_000_000,
  penalty_after_refusals: 1_000_000,
};

/** How each kind of call is made, and what its agent is told. */
const kinds = {
  allowed: { client: "loader", scope: "tiny", tool: "echo", code: undefined },
  denied: { client: "loader", scope: "tiny", tool: "slow", code: -32602 },
  late: { client: "loader", scope: "late", tool: "slow", code: 50401 },
  failed: { client: "loader", scope: "gone", tool: "echo", code: 50202 },
  limited: { client: "hasty", scope: "tiny", tool: "echo", code: 42901 },
  malformed: { client: "clumsy", scope: "tiny", tool: "echo", code: -32700 },
} as const;
type Kind = keyof typeof kinds;

/** Counted in aggregates and not recorded one by one, by the reason that these give. */
const counted: ReadonlyMap<number | undefined, string> = new Map([
  [42901, "rate-limited"],
  [-32700, "parse-error"],
]);
/** What a gateway that is ending says to a call that it does not take. */
const draining = 50304;

/** What an agent was told of one call; the code is undefined where it succeeded. */
interface Told {
  readonly id: string;
  readonly code: number | undefined;
}

interface Load {
  readonly base: string;
  /** Begins every call's id, and ends the clients' names. */
  readonly name: string;
  readonly tokens: ReadonlyMap<string, string>;
  /** Called with each answer. */
  readonly answered: (told: Told) => void;
}

async function registerClients(admin: AdminClient, phase: string): Promise<Map<string, string>> {
  const tokens = new Map<string, string>();
  for (const client of ["loader", "hasty", "clumsy"]) {
    const token = await registerClient(admin, `${client}-${phase}`, {
      allowed_tools: ["tiny__echo", "late__slow", "gone__echo"],
      ...(client === "hasty" && { limits: { requests_per_minute: 1, burst: 3 } }),
    });
    tokens.set(client, token);
  }
  return tokens;
}

/** Rejects where the connection ended before an answer. */
async function makeCall({ base, tokens }: Load, kind: Kind, id: string): Promise<Told> {
  const { client, scope, tool } = kinds[kind];
  const token = tokens.get(client) ?? "";
  const more = kind === "late" ? { delay_ms: 60_000 } : {};
  const call = {
    base,
    scope,
    token,
    method: "tools/call",
    params: { name: tool, arguments: { text: id, ...more } },
    headers: { "X-Request-ID": id },
  };
  const response = kind === "malformed" ? await postHalf(call) : await modernPost(call);
  return { id, code: readReply(await response.text()).code };
}

function postHalf(call: {
  readonly base: string;
  readonly scope: string;
  readonly token: string;
  readonly headers: Readonly<Record<string, string>>;
}): Promise<Response> {
  return fetch(`${call.base}/${call.scope}/mcp`, {
    method: "POST",
    headers: {
      ...call.headers,
      "Content-Type": "application/json",
      Accept: "application/json, text/event-stream",
      Authorization: `Bearer ${call.token}`,
    },
    body: '{"jsonrpc":"2.0","id":1,"method":"tools/ca',
  });
}

/** So many rounds of every kind by every worker, and of `echo` by an agent of each transport; or until it ends. */
async function runLoad(load: Load, most: number): Promise<void> {
  const bare = Array.from({ length: workers }, async (_, worker) => {
    for (let round = 0; round < most; round += 1) {
      for (const kind of Object.keys(kinds) as readonly Kind[]) {
        load.answered(await makeCall(load, kind, `${load.name}.${kind}.${worker}.${round}`));
      }
    }
  });
  const whole = Object.entries(agentKinds).map(async ([transport, open]) => {
    using agent = await open({ base: load.base, token: load.tokens.get("loader") ?? "" });
    for (let round = 0; round < most; round += 1) {
      const id = `${load.name}.${transport}.${round}`;
      load.answered({ id, code: (await agent.call(id)).code });
    }
  });
  await Promise.allSettled([...bare, ...whole]);
}

/** Everything that must be empty: calls by what their records lack. */
function compareCalls(told: readonly Told[], records: readonly RecordView[]) {
  const outcomes = records.filter((record) => record.event === "call.outcome");
  const byId = Map.groupBy(outcomes, (record) => record.correlation_id);
  const bare = told.filter(({ id }) => id.split(".").length === 4);
  const owed = bare.filter(({ code }) => !counted.has(code) && code !== draining);
  return {
    withoutRecord: owed.filter(({ id }) => byId.get(id) === undefined),
    recordedTwice: [...byId].filter(([, those]) => those.length > 1).map(([id]) => id),
    recordedOtherwise: owed.filter(({ id, code }) =>
      byId.get(id)?.some((one) => JSON.parse(one.envelope_json).facts.code !== code),
    ),
    countedAndRecorded: bare.filter(({ id, code }) => counted.has(code) && byId.has(id)),
  };
}

/** How many refusals of this kind the aggregates hold for a client. */
function countOf(records: readonly RecordView[], client: string, reason: string): number {
  return records
    .filter((one) => one.event === "traffic.rejected" && one.principal === `client:${client}`)
    .map((one) => JSON.parse(one.envelope_json).facts)
    .filter((facts) => String(facts.reason).startsWith(reason))
    .reduce((sum, facts) => sum + facts.count, 0);
}

test("D01 I-02: as many records as calls, under load and when SIGTERM comes in the middle of it", async () => {
  await using folder = temporaryFolder("every-call");
  await using postgres = await startPostgres();
  await using tiny = startTinyServer();
  await using late = startTinyServer();
  const options = {
    dataDir: folder.path,
    env: { DATABASE_URL: postgres.url },
    config: { limits },
  };
  const inPeace: Told[] = [];
  const toTheEnd: Told[] = [];
  {
    await using gateway = await startGateway(options);
    using admin = createAdminClient(gateway);
    await registerHttpServer(admin, "tiny", tiny.url);
    await registerHttpServer(admin, "late", late.url, { call_timeout_ms: 100 });
    await using gone = startTinyServer();
    await registerHttpServer(admin, "gone", gone.url);
    await gone[Symbol.asyncDispose]();
    const base = gateway.agents;
    const first = { base, name: "first", tokens: await registerClients(admin, "first") };
    const second = { base, name: "second", tokens: await registerClients(admin, "second") };
    await runLoad({ ...first, answered: (told) => inPeace.push(told) }, rounds);

    const load = { ...second, answered: (told: Told) => toTheEnd.push(told) };
    const running = runLoad(load, Number.POSITIVE_INFINITY);
    await until("calls under way", () => toTheEnd.length >= answersBeforeTheEnd);
    gateway.kill("SIGTERM");
    expect(await gateway.exited).toBe(0);
    await running;
  }
  await using gateway = await startGateway(options);
  using admin = createAdminClient(gateway);
  const records = await drainedRecords(admin);
  const told = [...inPeace, ...toTheEnd];
  console.log(JSON.stringify({ inPeace: inPeace.length, toTheEnd: toTheEnd.length }));

  expect(compareCalls(told, records)).toEqual({
    withoutRecord: [],
    recordedTwice: [],
    recordedOtherwise: [],
    countedAndRecorded: [],
  });
  const acknowledged = told.filter(({ code }) => code === undefined).map(({ id }) => id);
  expect(compareLogs({ acknowledged, seen: tiny.texts, records })).toEqual(noContradictions);

  // Every call of the first load was answered, so its numbers are the same on both sides, and it had every kind.
  expect(inPeace).toHaveLength(rounds * (workers * Object.keys(kinds).length + 3));
  for (const { code } of Object.values(kinds)) {
    expect(inPeace.map((one) => one.code)).toContain(code);
  }
  const outcomes = records.filter(
    (one) => one.event === "call.outcome" && one.method === "tools/call",
  );
  for (const [phase, answers] of [
    ["first", inPeace],
    ["second", toTheEnd],
  ] as const) {
    const isExact = phase === "first";
    const ofPhase = outcomes.filter((one) => one.client.endsWith(`-${phase}`)).length;
    const owed = answers.filter(({ code }) => !counted.has(code) && code !== draining).length;
    if (isExact) expect(ofPhase).toBe(owed);
    else expect(ofPhase).toBeGreaterThanOrEqual(owed);
    for (const [code, reason] of counted) {
      const client = reason === "parse-error" ? "clumsy" : "hasty";
      const there = countOf(records, `${client}-${phase}`, reason);
      const here = answers.filter((one) => one.code === code).length;
      // A call under way at the end may be counted without its agent's knowing; one for each worker at most.
      expect(there).toBeGreaterThanOrEqual(here);
      expect(there).toBeLessThanOrEqual(isExact ? here : here + workers);
    }
  }
});
