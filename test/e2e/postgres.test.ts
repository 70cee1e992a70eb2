/**
 * The same executable on a real PostgreSQL: the main job with its records in the database, and two gateways on one
 * database that know of each other's changes within a second.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Client } from "pg";
import { type AdminClient, createAdminClient } from "../support/admin-client.ts";
import { until, within } from "../support/deadline.ts";
import { type GatewayProcess, startGateway } from "../support/gateway-process.ts";
import { modernCall } from "../support/modern-agent.ts";
import { openStreams } from "../support/open-streams.ts";
import { allRecords, registerClient, registerHttpServer } from "../support/operator.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { agentKinds } from "../support/sdk-agents.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { startTinyServer, type TinyServer } from "../support/tiny-server.ts";

const reachMs = 1_000;
const stack = new AsyncDisposableStack();
let postgres: TestPostgres;
let tiny: TinyServer;
let here: GatewayProcess;
let there: GatewayProcess;
let adminHere: AdminClient;
let adminThere: AdminClient;

beforeAll(async () => {
  postgres = stack.use(await startPostgres());
  tiny = stack.use(startTinyServer());
  const env = { DATABASE_URL: postgres.url, MCP_GATEWAY_VAULT_URL: postgres.url };
  // Tokens are hashed under a key that never enters the database: nodes are given the same one.
  const keyFile = join(stack.use(temporaryFolder("key")).path, "shared.key");
  writeFileSync(keyFile, crypto.getRandomValues(new Uint8Array(32)), { mode: 0o600 });
  const start = async (name: string) => {
    const dataDir = join(stack.use(temporaryFolder(name)).path, "data");
    return startGateway({
      env,
      dataDir,
      config: { identity: { token_key_file: keyFile }, vault: { key_file: keyFile } },
    });
  };
  // Together on purpose: both want to migrate an empty database.
  [here, there] = await Promise.all([start("here"), start("there")]);
  stack.use(here);
  stack.use(there);
  adminHere = stack.use(createAdminClient(here));
  adminThere = stack.use(createAdminClient(there));
  await registerHttpServer(adminHere, "tiny", tiny.url);
});
afterAll(() => stack.disposeAsync());

const echo = (gateway: GatewayProcess, token: string, text = "x") =>
  modernCall({
    base: gateway.agents,
    token,
    method: "tools/call",
    params: { name: "tiny__echo", arguments: { text } },
    headers: { "X-Request-ID": `request-${text}` },
  });

test("the main job, by every client, with its records in the database", async () => {
  const token = await registerClient(adminHere, "worker", { allowed_tools: ["tiny__echo"] });
  for (const kind of agentKinds) {
    await using agent = await kind.connect({ base: here.agents, token });
    expect((await agent.listTools()).map(({ name }) => name)).toEqual(["tiny__echo"]);
    expect(await agent.callTool("tiny__echo", { text: kind.name })).toMatchObject({
      content: [{ text: kind.name }],
    });
    const refused = await agent.callTool("tiny__slow").catch((error: Error) => error.message);
    expect(refused).toContain("Unknown tool");
  }
  const expected = { success: agentKinds.length, denied: agentKinds.length };
  const database = new Client({ connectionString: postgres.url });
  await database.connect();
  try {
    const counted = await until("the records in the database", async () => {
      const { rows } = await database.query(
        "SELECT status, count(*)::int AS count FROM audit_records WHERE event = 'call.outcome' AND method = 'tools/call' GROUP BY status",
      );
      const found = Object.fromEntries(rows.map(({ status, count }) => [status, count]));
      return found.success === expected.success && found.denied === expected.denied && found;
    });
    expect(counted).toEqual(expected);
    // No token, whole or in part, is anywhere in the database.
    const { rows } = await database.query("SELECT body FROM resources");
    expect(JSON.stringify(rows)).not.toContain(token.slice("mcpgw_".length));
  } finally {
    await database.end();
  }
  expect(await adminHere.call("SystemService", "GetStatus")).toMatchObject({ store: "postgres" });
});

test("two gateways on one database know each other's registrations within a second", async () => {
  const token = await registerClient(adminThere, "roaming", { allowed_tools: ["tiny__echo"] });
  await until("the call here", async () => (await echo(here, token)).status === 200, reachMs);
  expect((await echo(there, token)).status).toBe(200);
});

test("A02: a gateway with another token key refuses to start and says which key is missing", async () => {
  await registerClient(adminHere, "settled");
  const failure = await startGateway({ env: { DATABASE_URL: postgres.url } }).then(
    () => "it started",
    (error: Error) => error.message,
  );
  expect(failure).toContain("identity.token_key_file");
});

test.each([
  ["deleted", "leaving", "DeleteClient", { id: "leaving" }],
  ["whose token is rotated", "turning", "RotateToken", { client_id: "turning" }],
  [
    "told off its network",
    "moving",
    "UpdateClient",
    { client: { id: "moving", denied_networks: ["127.0.0.0/8"] } },
  ],
] as const)(
  "AN-14: a client %s at one gateway loses its open connections at the other",
  async (_, id, rpc, request) => {
    const token = await registerClient(adminHere, id, { allowed_tools: ["tiny__echo"] });
    await until("the call there", async () => (await echo(there, token)).status === 200, reachMs);
    const place = { base: there.agents, token };
    const streams = await Promise.all(Object.values(openStreams).map((open) => open(place)));
    await adminHere.call("ClientService", rpc, request);
    await within("the streams' end", Promise.all(streams.map(({ ended }) => ended)), reachMs);
    expect((await echo(there, token)).status).toBe(401);
  },
);

test("AD-08: of two operators at two gateways who saw the same revision one wins", async () => {
  const { state_revision } = await adminHere.call("SystemService", "GetStatus");
  const codes = await Promise.all(
    [adminHere, adminThere].map((admin, index) =>
      admin
        .call("PolicyService", "CreateRole", {
          role: { name: `contested-${index}`, permissions: [] },
          expected_state_revision: state_revision,
        })
        .then(
          () => "OK",
          (error: { code: number }) => error.code,
        ),
    ),
  );
  expect(codes.map(String).sort()).toEqual(["10", "OK"]);
});

test("each gateway keeps a log of its own; both are seen and verified from either", async () => {
  const token = await registerClient(adminHere, "auditable", { allowed_tools: ["tiny__echo"] });
  await until("the call there", async () => (await echo(there, token)).status === 200, reachMs);
  await echo(here, token, "here");
  await echo(there, token, "there");
  for (const admin of [adminHere, adminThere]) {
    const logs = await until("both outcomes", async () => {
      const filter = { client: "auditable", event: "call.outcome", status: "success" };
      const found = await allRecords(admin, filter);
      const ids = new Set(
        found
          .filter((one) => ["request-here", "request-there"].includes(one.correlation_id))
          .map((one) => JSON.parse(one.envelope_json).log),
      );
      return ids.size === 2 ? ids : undefined;
    });
    expect(logs.size).toBe(2);
    const verified = await admin.call<{ ok: boolean; logs: object[] }>("AuditService", "VerifyLog");
    expect(verified.ok).toBe(true);
    expect(verified.logs).toHaveLength(2);
  }
  // What is changed in one gateway's log is found by the other.
  const database = new Client({ connectionString: postgres.url });
  await database.connect();
  const changed = await database.query(
    "UPDATE audit_records SET status = 'error' WHERE correlation_id = 'request-there' AND status = 'success'",
  );
  await database.end();
  expect(changed.rowCount).toBe(1);
  const found = await adminHere.call<{ logs: { ok: boolean; problem: string }[] }>(
    "AuditService",
    "VerifyLog",
  );
  expect(found.logs.map(({ ok }) => ok)).toEqual([true, false]);
  expect(found.logs[1]?.problem).toContain("status");
});
