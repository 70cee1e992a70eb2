/**
 * What the official conformance suite does not look at, from an agent through the gateway to a server, every test
 * twice: it passes as things are, and it fails, for the reason it names, with the one switch of a faulty relay on that
 * it is there for. A gateway that forgot the same thing would fail it likewise.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type AdminClient, createAdminClient } from "../support/admin-client.ts";
import { type RelayFault, relayFaults, startFaultRelay } from "../support/fault-relay.ts";
import { type GatewayProcess, startGateway } from "../support/gateway-process.ts";
import { registerClient, registerHttpServer } from "../support/operator.ts";
import { startWitnessServer } from "../support/witness-server.ts";
import { listWitnesses } from "./witness/lists.ts";
import { noticeWitnesses } from "./witness/notices.ts";
import type { Era, Witness, WitnessStage } from "./witness/stage.ts";
import { streamWitnesses } from "./witness/streams.ts";

/** What happens has time to; what does not is waited out, by many at once. */
const patienceMs = { passing: 30_000, failing: 3_000 };
/** Stages at once: more would be work and not waiting. */
let places = 5;
const awaited: (() => void)[] = [];

const stack = new AsyncDisposableStack();
let shared: Served;
let stages = 0;

interface Served {
  readonly gateway: GatewayProcess;
  readonly admin: AdminClient;
  readonly token: string;
}

async function serve(owner: AsyncDisposableStack): Promise<Served> {
  const gateway = owner.use(await startGateway({ startTimeoutMs: 30_000 }));
  const admin = owner.use(createAdminClient(gateway));
  const token = await registerClient(admin, "witness", {
    allowed_tools: ["*"],
    allowed_resources: ["*"],
  });
  return { gateway, admin, token };
}

beforeAll(async () => {
  shared = await serve(stack);
}, 60_000);
afterAll(() => stack.disposeAsync());

async function takePlace(): Promise<void> {
  if (places > 0) places -= 1;
  else await new Promise<void>((resolve) => awaited.push(resolve));
}

function givePlace(): void {
  const next = awaited.shift();
  if (next === undefined) places += 1;
  else next();
}

/** A server of its own for every run, so that every run sees an opening. */
async function setStage(
  serverEra: Era,
  hasOwnGateway: boolean,
  faults: readonly RelayFault[],
): Promise<WitnessStage> {
  await using making = new AsyncDisposableStack();
  await takePlace();
  making.defer(givePlace);
  const { gateway, admin, token } = hasOwnGateway ? await serve(making) : shared;
  const server = making.use(startWitnessServer(serverEra));
  const on = new Set(faults);
  const behind = making.use(startFaultRelay(server.base, on));
  const before = making.use(startFaultRelay(gateway.agents, on));
  stages += 1;
  const scope = `witness-${stages}`;
  await registerHttpServer(admin, scope, `${behind.base}/mcp`);
  const made = making.move();
  return {
    url: `${before.base}/${scope}/mcp`,
    base: before.base,
    scope,
    token,
    server,
    patienceMs: faults.length > 0 ? patienceMs.failing : patienceMs.passing,
    endGateway: () => gateway.kill("SIGTERM"),
    [Symbol.asyncDispose]: () => made.disposeAsync(),
  };
}

const witnesses: readonly Witness[] = [...listWitnesses, ...noticeWitnesses, ...streamWitnesses];
const cases = witnesses.flatMap((witness) =>
  witness.ways.map(([agent, server]) => ({ ...witness, agent, server })),
);

test("every switch of the relay has a test that notices it", () => {
  expect([...new Set(witnesses.map(({ fault }) => fault))].sort()).toEqual([...relayFaults].sort());
});

describe.each(cases)("$fault, $agent agent, $server server: $title", (one) => {
  test.concurrent("passes", async () => {
    await using stage = await setStage(one.server, one.hasOwnGateway ?? false, []);
    await one.run(stage, one.agent);
  });

  test.concurrent("fails with the switch on", async () => {
    await using stage = await setStage(one.server, one.hasOwnGateway ?? false, [one.fault]);
    const failure = await one.run(stage, one.agent).then(
      () => "it passed",
      (error: unknown) => String(error),
    );
    expect(failure).toMatch(one.notices);
  });
});
