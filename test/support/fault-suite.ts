/**
 * Runs rows of the fault catalogue: one gateway and one upstream for a file, one test for each row and transport.
 * After each, whatever the row was: the upstream saw only what it may, the gateway serves a good call, and no secret
 * is in its output.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type AdminClient, createAdminClient } from "./admin-client.ts";
import { until } from "./deadline.ts";
import { type GatewayProcess, startGateway } from "./gateway-process.ts";
import { allRecords, registerClient, registerHttpServer } from "./operator.ts";
import { type Script, type ScriptedServer, startScriptedServer } from "./scripted-server.ts";
import {
  callText,
  eraOf,
  mustOpenWire,
  openWire,
  type Transport,
  type Wire,
  type WireAnswer,
  type WireOptions,
} from "./wires.ts";

export interface Stage {
  readonly gateway: GatewayProcess;
  readonly admin: AdminClient;
  readonly upstream: ScriptedServer;
  /** May call `echo` and every scripted tool of the scope `tiny`, but not `secret`. */
  readonly token: string;
  /** Another principal with the same rights. */
  readonly otherToken: string;
  open(transport: Transport, token?: string): Promise<Wire>;
}

export type Body = string | Uint8Array;

export interface Input {
  readonly body: Body;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Makes the input of a good call's text. */
export type Change = (good: string) => Body | Input;

export interface Refusal {
  readonly code?: number;
  /** HTTP status; on HTTP+SSE 202 where the refusal comes as an event. */
  readonly status?: number;
  readonly closeCode?: number;
}

export interface Acceptance {
  readonly change: Change;
  /** Source text the server must have received as it is. */
  readonly forwarded?: string;
  /** Source text the answer must hold. */
  readonly answered?: string;
}

interface RowBase {
  readonly id: string;
  readonly title: string;
  readonly transports: readonly Transport[];
  /** True where the server is part of the row: then it may see calls. */
  readonly reachesServer?: boolean;
  /** The aggregate record the row must leave: its event and the start of its reason. */
  readonly audit?: { readonly event: string; readonly reason: string };
}

/** A good call, spoilt in several ways that end alike. */
export interface InputRow extends RowBase {
  readonly refused?: Readonly<Record<string, Change>>;
  readonly refusal?: (transport: Transport) => Refusal;
  readonly accepted?: Readonly<Record<string, Acceptance>>;
}

export interface ScenarioRow extends RowBase {
  readonly run: (stage: Stage, transport: Transport) => Promise<void>;
}

export type Row = InputRow | ScenarioRow;

export interface SuiteOptions {
  readonly config?: Readonly<Record<string, unknown>>;
  /** Of the command line, besides the usual ones. */
  readonly args?: readonly string[];
  readonly scripts?: Readonly<Record<string, Script>>;
  /** Input schemas of scripted tools, by name. */
  readonly schemas?: Readonly<Record<string, object>>;
}

/** Not to be found in any log; each good call carries it as an argument. */
export const secretText = "hunter2-never-logged";
const scope = "tiny";
/** Far beyond what any row takes: Bun ends the processes of a test that times out, and the gateway is shared. */
const testTimeoutMs = 60_000;
const unhurried = {
  failed_auth_per_minute: 1_000_000_000,
};

export function runRows(title: string, rows: readonly Row[], options: SuiteOptions = {}): void {
  describe(title, () => {
    const cleanup = new AsyncDisposableStack();
    let stage: Stage;
    beforeAll(async () => {
      stage = await setStage(options, cleanup);
    });
    afterAll(() => cleanup.disposeAsync());

    for (const row of rows) {
      test.each(row.transports)(
        `${row.id} ${row.title} (%s)`,
        async (transport) => {
          const seenBefore = stage.upstream.seen.length;
          if ("run" in row) await row.run(stage, transport);
          else await runInputs(stage, row, transport);
          const countsHere = "run" in row && row.reachesServer !== true;
          if (countsHere) expect(stage.upstream.seen.length).toBe(seenBefore);
          await servesGoodCall(stage);
          if (row.audit !== undefined) await recordIsThere(stage, transport, row.audit);
        },
        testTimeoutMs,
      );
    }

    test("the gateway is alive, and no token or argument is in its output", () => {
      process.kill(stage.gateway.pid, 0);
      const output = stage.gateway.stdout() + stage.gateway.stderr();
      for (const secret of [stage.token, stage.otherToken, stage.gateway.adminToken, secretText]) {
        expect(output.includes(secret)).toBe(false);
      }
      expect(output).not.toContain("agents.unexpected");
      expect(output).not.toContain("stage-failed");
    });
  });
}

async function setStage(options: SuiteOptions, cleanup: AsyncDisposableStack): Promise<Stage> {
  const upstream = cleanup.use(startScriptedServer(options.scripts, options.schemas));
  const config = { limits: unhurried, ...options.config };
  const gateway = cleanup.use(await startGateway({ config, args: options.args ?? [] }));
  const admin = cleanup.use(createAdminClient(gateway));
  await registerHttpServer(admin, scope, upstream.url);
  const names = ["echo", "slow", ...Object.keys(options.scripts ?? {})];
  const rights = {
    allowed_tools: names.map((name) => `${scope}__${name}`),
    allowed_resources: ["note:///open"],
  };
  const token = await registerClient(admin, "alice", rights);
  const otherToken = await registerClient(admin, "bob", rights);
  return {
    gateway,
    admin,
    upstream,
    token,
    otherToken,
    open: (transport, own = token) =>
      mustOpenWire(transport, { base: gateway.agents, scope, token: own }),
  };
}

async function runInputs(stage: Stage, row: InputRow, transport: Transport): Promise<void> {
  const good = callText(eraOf(transport), { text: secretText });
  const expected = row.refusal?.(transport) ?? {};
  for (const [what, change] of Object.entries(row.refused ?? {})) {
    await using wire = await stage.open(transport);
    const seenBefore = stage.upstream.seen.length;
    const { body, headers = {} } = asInput(change(good));
    const answer = await wire.send(body, { headers });
    expect(shapeOf(answer, expected), `${what}: ${answer.text.slice(0, 500)}`).toEqual(expected);
    expect(answer.text.includes(stage.token), what).toBe(false);
    if (row.reachesServer !== true) expect(stage.upstream.seen.length, what).toBe(seenBefore);
  }
  for (const [what, acceptance] of Object.entries(row.accepted ?? {})) {
    await using wire = await stage.open(transport);
    const { body, headers = {} } = asInput(acceptance.change(good));
    const answer = await wire.send(body, { headers });
    expect(answer.text.slice(0, 500), `${what}, close ${answer.closeCode}`).toContain('"result"');
    const { forwarded, answered } = acceptance;
    const received = stage.upstream.seen.at(-1)?.body ?? "";
    if (forwarded !== undefined) expect(received.includes(forwarded), what).toBe(true);
    if (answered !== undefined) expect(answer.text, what).toContain(answered);
  }
}

function asInput(made: Body | Input): Input {
  return typeof made === "string" || made instanceof Uint8Array ? { body: made } : made;
}

/** The answer as far as the expectation speaks of it. */
function shapeOf(answer: WireAnswer, expected: Refusal): Refusal {
  const { code, status, closeCode } = answer;
  return {
    ...("code" in expected ? { code } : {}),
    ...("status" in expected ? { status } : {}),
    ...("closeCode" in expected ? { closeCode } : {}),
  };
}

/** Over plain HTTP, which needs nothing opened before. */
async function servesGoodCall(stage: Stage): Promise<void> {
  await using wire = await stage.open("http-modern");
  const answer = await wire.send(callText("modern", { text: "still here" }));
  expect(answer.text).toContain("still here");
}

async function recordIsThere(
  stage: Stage,
  transport: Transport,
  wanted: { readonly event: string; readonly reason: string },
): Promise<void> {
  await until(`a record ${wanted.event} with the reason ${wanted.reason}`, async () => {
    const records = await allRecords(stage.admin, { event: wanted.event });
    return records.some((record) => {
      const { facts } = JSON.parse(record.envelope_json);
      return facts.binding === bindingOf(transport) && facts.reason.startsWith(wanted.reason);
    });
  });
}

function bindingOf(transport: Transport): string {
  if (transport === "sse") return "sse";
  return transport.startsWith("ws") ? "websocket" : "http";
}

/** The refusal of a message on every transport: in the body over HTTP, as a message on a socket. */
export function everywhere(
  code: number,
  status: number,
  more: Partial<Readonly<Record<Transport, Refusal>>> = {},
): (transport: Transport) => Refusal {
  return (transport) => {
    const own = more[transport];
    if (own !== undefined) return own;
    return transport.startsWith("ws") ? { code, closeCode: undefined } : { code, status };
  };
}

/** Opens with a credential that must not do; on a legacy or modern socket that is the refused upgrade. */
export async function refusalOf(
  stage: Stage,
  transport: Transport,
  token: string | undefined,
  more: Partial<Pick<WireOptions, "scope" | "headers" | "prove">> = {},
): Promise<WireAnswer> {
  const opening = await openWire(transport, {
    base: stage.gateway.agents,
    scope: more.scope ?? scope,
    token,
    ...(more.headers === undefined ? {} : { headers: more.headers }),
    ...(more.prove === undefined ? {} : { prove: more.prove }),
  });
  if ("refusal" in opening) return opening.refusal;
  await using wire = opening.wire;
  return await wire.send(callText(eraOf(transport)));
}
