/**
 * The order of system calls, which no test from outside can see: the sync of a call's intent ends before the first
 * byte goes to the server, and the sync of its outcome ends before the first byte of the answer goes to the agent.
 */
import { expect, test } from "bun:test";
import { createAdminClient } from "../support/admin-client.ts";
import { agentKinds } from "../support/echo-agents.ts";
import { argumentsDigestOf } from "../support/echo-reply.ts";
import { startGateway } from "../support/gateway-process.ts";
import { type RecordView, registerClient, registerHttpServer } from "../support/operator.ts";
import { faultCycles } from "../support/random.ts";
import { attachStrace, type SystemCall, straceProblem } from "../support/strace.ts";
import { drainedRecords } from "../support/three-logs.ts";
import { startTinyServer } from "../support/tiny-server.ts";

const agentsOfEachKind = 4;
/** Three kinds of four agents: 312 answers in CI. */
const callsOfEachAgent = faultCycles(26);
const watched = "trace=pwrite64,write,writev,fdatasync,fsync,sendto,sendmsg";

const problem = straceProblem();
if (problem !== undefined) console.warn(`SKIPPED: ${problem} (R-02)`);

test.skipIf(problem !== undefined)(
  "R-02: intent synced before the server is asked, outcome synced before the agent is answered",
  async () => {
    await using upstream = startTinyServer();
    await using gateway = await startGateway();
    using admin = createAdminClient(gateway);
    await registerHttpServer(admin, "tiny", upstream.url);
    const token = await registerClient(admin, "loader", { allowed_tools: ["tiny__*"] });
    const answered: string[] = [];
    const opened = Object.entries(agentKinds).flatMap(([kind, open]) =>
      Array.from({ length: agentsOfEachKind }, async (_, number) => ({
        name: `${kind}-${number}`,
        agent: await open({ base: gateway.agents, token }),
      })),
    );
    const agents = await Promise.all(opened);
    await using tracing = await attachStrace(gateway.pid, ["-s", "262144", "-e", watched]);
    await Promise.all(
      agents.map(async ({ name, agent }) => {
        for (let call = 0; call < callsOfEachAgent; call += 1) {
          const text = `${name}-${call}`;
          if ((await agent.call(text)).text === text) answered.push(text);
        }
        agent[Symbol.dispose]();
      }),
    );
    const calls = await tracing.stop();
    const trace = indexTrace(calls, await drainedRecords(admin));
    expect(answered.length).toBe(agents.length * callsOfEachAgent);
    expect(answered.flatMap((text) => problemsOf(text, trace))).toEqual([]);
  },
  300_000,
);

interface Trace {
  /** Writes to the spool by what they hold: `call.intent <arguments digest>`, `call.outcome <arguments digest>`. */
  readonly writes: ReadonlyMap<string, SystemCall>;
  /** Successful syncs of the spool. */
  readonly syncs: readonly SystemCall[];
  readonly sends: readonly SystemCall[];
}

/** The start of an envelope; what tells whose record it is lies sealed beside it. */
const recordPattern = /\\"seq\\":(\d+),\\"prev\\"/g;

function indexTrace(calls: readonly SystemCall[], records: readonly RecordView[]): Trace {
  const bySeq = new Map(
    records.map((record) => [record.seq, `${record.event} ${record.arguments_digest}`]),
  );
  const writes = new Map<string, SystemCall>();
  for (const call of calls) {
    if (!call.name.startsWith("pwrite") || !call.text.includes(".seg>")) continue;
    for (const [, seq] of call.text.matchAll(recordPattern)) {
      writes.set(bySeq.get(Number(seq)) ?? "", call);
    }
  }
  const isSync = ({ name, text, result }: SystemCall) =>
    ["fdatasync", "fsync"].includes(name) && result === 0 && text.includes(".seg");
  return {
    writes,
    syncs: calls.filter(isSync),
    sends: calls.filter(({ text }) => /^\d+<(socket|TCP)/.test(text)),
  };
}

function problemsOf(text: string, trace: Trace): readonly string[] {
  const quoted = `\\"text\\":\\"${text}\\"`;
  const request = trace.sends.find((c) => c.text.includes(`\\"arguments\\":{${quoted}`));
  const answer = trace.sends.find(
    (c) => c.text.includes('\\"content\\":[') && c.text.includes(quoted),
  );
  const digest = argumentsDigestOf(text);
  return [
    ...orderProblem(
      `${text}: intent`,
      trace.writes.get(`call.intent ${digest}`),
      request,
      trace.syncs,
    ),
    ...orderProblem(
      `${text}: outcome`,
      trace.writes.get(`call.outcome ${digest}`),
      answer,
      trace.syncs,
    ),
  ];
}

/** Write, then a sync that began after it, then the send after that sync's end. */
function orderProblem(
  what: string,
  write: SystemCall | undefined,
  send: SystemCall | undefined,
  syncs: readonly SystemCall[],
): readonly string[] {
  if (write === undefined) return [`${what}: no write seen`];
  if (send === undefined) return [`${what}: no send seen`];
  const isBetween = syncs.some((one) => one.began > write.ended && one.ended < send.began);
  return isBetween ? [] : [`${what}: sent without a sync after its write`];
}
