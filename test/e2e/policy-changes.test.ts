/**
 * Changing policy at running gateways: the executable on PostgreSQL, twice, with the two-person rule; an agent's open
 * WebSocket that sees each change; a replay over the calls that were really made; and a database that goes away.
 */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type AdminClient, createAdminClient } from "../support/admin-client.ts";
import { runGateway } from "../support/command-line.ts";
import { until } from "../support/deadline.ts";
import { type GatewayProcess, startGateway } from "../support/gateway-process.ts";
import { modernCall } from "../support/modern-agent.ts";
import { allRecords, registerClient, registerHttpServer } from "../support/operator.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { needKind, type SdkAgent } from "../support/sdk-agents.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { startTinyServer, type TinyServer } from "../support/tiny-server.ts";

const policy = "PolicyService";
const reachMs = 1_000;
const bobToken = "a-token-of-bob-that-is-long-enough-for-anybody";
const stack = new AsyncDisposableStack();
let postgres: TestPostgres;
let tiny: TinyServer;
let here: GatewayProcess;
let there: GatewayProcess;
/** The bootstrap operator, at both gateways, and another person. */
let ann: AdminClient;
let annThere: AdminClient;
let bob: AdminClient;
let token = "";

interface DraftAnswer {
  readonly draft: {
    readonly state: string;
    readonly metadata: { readonly state_revision: number };
  };
  readonly state_revision: number;
}

beforeAll(async () => {
  postgres = stack.use(await startPostgres());
  tiny = stack.use(startTinyServer());
  const keyFile = join(stack.use(temporaryFolder("key")).path, "shared.key");
  writeFileSync(keyFile, crypto.getRandomValues(new Uint8Array(32)), { mode: 0o600 });
  const token_sha256 = createHash("sha256").update(bobToken).digest("hex");
  const config = {
    identity: { token_key_file: keyFile },
    vault: { key_file: keyFile },
    policy: { two_person: true, max_stale_seconds: 8 },
    database: { deadline_ms: 3_000 },
    admin: { operators: [{ name: "bob", roles: ["approver"], token_sha256 }] },
  };
  const start = (name: string) => {
    const dataDir = join(stack.use(temporaryFolder(name)).path, "data");
    const env = { DATABASE_URL: postgres.url, MCP_GATEWAY_VAULT_URL: postgres.url };
    return startGateway({ env, dataDir, config });
  };
  [here, there] = await Promise.all([start("here"), start("there")]);
  stack.use(here);
  stack.use(there);
  ann = stack.use(createAdminClient(here));
  annThere = stack.use(createAdminClient(there));
  bob = stack.use(createAdminClient({ ...here, adminToken: bobToken }));
  await registerHttpServer(ann, "tiny", tiny.url);
  token = await registerClient(ann, "worker");
  await until("the client is known there", async () => (await echoAt(there)) !== 401);
});
afterAll(() => stack.disposeAsync());

const changesOf = (tools: readonly string[]) => [
  { put: { client_grants: { id: "worker", allowed_tools: tools } } },
];

async function approve(name: string): Promise<void> {
  const { draft } = await ann.call<DraftAnswer>(policy, "ProposeDraft", { name });
  const reviewed_revision = draft.metadata.state_revision;
  await bob.call(policy, "ApproveDraft", { name, reviewed_revision });
}

async function change(name: string, tools: readonly string[]): Promise<void> {
  await ann.call(policy, "CreateDraft", { draft: { name, changes: changesOf(tools) } });
  await approve(name);
  await ann.call(policy, "ActivateDraft", { name });
}

const echoAt = async (gateway: GatewayProcess) => {
  const params = { name: "tiny__echo", arguments: { text: "x" } };
  const call = { base: gateway.agents, token, method: "tools/call", params };
  const { status, result } = await modernCall(call);
  // A hidden tool's answer travels in-band.
  return result === undefined && status === 200 ? "hidden" : status;
};

async function mayEcho(agent: SdkAgent): Promise<boolean> {
  return await agent.callTool("tiny__echo", { text: "x" }).then(
    () => true,
    () => false,
  );
}

test("P16 P18 AZ-14: an open WebSocket's calls change within a second of each activation and rollback", async () => {
  await using agent = await needKind("SDK v1, WebSocket").connect({ base: there.agents, token });
  expect(await mayEcho(agent)).toBe(false);
  const direct = await registerClient(ann, "sly", { allowed_tools: ["*"] }).catch(String);
  expect(direct).toContain("policy.two_person is on");
  await change("open", ["tiny__echo"]);
  await until("the call is allowed there", () => mayEcho(agent), reachMs);
  expect(await echoAt(here)).toBe(200);
  await ann.call(policy, "RollbackPolicy", { name: "close", undo_draft: "open" });
  expect(await mayEcho(agent)).toBe(true);
  const { draft } = await ann.call<DraftAnswer>(policy, "ProposeDraft", { name: "close" });
  const reviewed_revision = draft.metadata.state_revision;
  const own = ann.call(policy, "ApproveDraft", { name: "close", reviewed_revision });
  expect(await own.catch(String)).toContain("PERMISSION_DENIED");
  await bob.call(policy, "ApproveDraft", { name: "close", reviewed_revision });
  await ann.call(policy, "ActivateDraft", { name: "close" });
  await until("the call is denied there", async () => !(await mayEcho(agent)), reachMs);
  const violations = await until("the violation's record", async () => {
    const found = await allRecords(ann, { event: "admin.sod_violation" });
    return found.length > 0 && found;
  });
  expect(violations).toMatchObject([{ durability: "A", principal: "operator:bootstrap" }]);
});

test("P16: of two gateways on one database one activates what is due, once", async () => {
  const effective_from_ms = Date.now() + 5_000;
  const draft = { name: "soon", changes: changesOf(["tiny__echo"]), effective_from_ms };
  await ann.call(policy, "CreateDraft", { draft });
  await approve("soon");
  await until("both gateways serve it", async () =>
    (await Promise.all([echoAt(here), echoAt(there)])).every((status) => status === 200),
  );
  const { revisions } = await annThere.call<{
    revisions: readonly { readonly by: string; readonly draft: string }[];
  }>(policy, "ListPolicyRevisions");
  expect(revisions.filter((one) => one.draft === "soon")).toMatchObject([{ by: "schedule" }]);
  const scheduled = await until("its records", async () => {
    const found = await allRecords(ann, { event: "admin.change", principal: "schedule" });
    return found.length >= 2 && found;
  });
  expect(scheduled.map(({ method }) => method)).toEqual(["schedule/activate", "schedule/activate"]);
});

test("P16: a replay on the command line tells what a draft would have changed of the calls made here", async () => {
  const made = 120;
  const from = Date.now();
  for (let at = 0; at < made; at += 1) expect(await echoAt(at % 2 === 0 ? here : there)).toBe(200);
  await ann.call(policy, "CreateDraft", { draft: { name: "tighter", changes: changesOf([]) } });
  await until("all records in the database", async () => {
    const found = await allRecords(ann, { client: "worker", event: "call.outcome", from_ms: from });
    return found.length >= made;
  });
  const command = ["policy", "replay", "tighter", "--from-ms", String(from)];
  const place = ["--admin", here.admin, "--data-dir", here.dataDir];
  const { stdout, exitCode, stderr } = await runGateway([...command, ...place]);
  expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
  expect(stdout).toContain(`Draft tighter over ${made} recorded calls`);
  expect(stdout).toMatch(new RegExp(`newly denied +${made}\\n`));
  expect(stdout).toMatch(/undetermined +0\n/);
  expect(stdout).toMatch(/DENIED +120 +client:worker +tiny +echo +client:worker +default/);
  const { stdout: json } = await runGateway([...command, ...place, "--json", "--calls-max", "10"]);
  const last = JSON.parse(json.trim().split("\n").at(-1) ?? "");
  expect(last.report).toMatchObject({ calls: 10, newly_denied: 10, complete: false });
});

test("AZ-04: with the database gone policy holds for its time, then everything is denied, then it is back", async () => {
  expect(await echoAt(here)).toBe(200);
  const saidBefore = here.stdout().length;
  postgres.pause();
  try {
    expect(await echoAt(here)).toBe(200);
    await until("everything is denied", async () => (await echoAt(here)) === 403, 20_000);
  } finally {
    postgres.resume();
  }
  const said = here.stdout().slice(saidBefore);
  expect(said.indexOf("policy.unconfirmed")).toBeLessThan(said.indexOf("policy.unavailable"));
  await until("calls are allowed again", async () => (await echoAt(here)) === 200, 20_000);
  const recorded = await until("its record", async () => {
    const found = await allRecords(ann, { event: "authz.policy_unavailable" });
    return found.length > 0 && found;
  });
  expect(recorded[0]).toMatchObject({ durability: "A", status: "denied" });
}, 60_000);
