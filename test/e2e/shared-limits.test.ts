/**
 * Three nodes, one PostgreSQL, one Redis: a limit is the same however many nodes a client calls, stays bounded while
 * Redis is away, and nodes may come and go (L06). Figures of `docs/limits.md` are asserted here.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type AdminClient, createAdminClient } from "../support/admin-client.ts";
import { until } from "../support/deadline.ts";
import { type GatewayProcess, startGateway } from "../support/gateway-process.ts";
import { readMetric } from "../support/metrics.ts";
import { modernCall } from "../support/modern-agent.ts";
import { registerClient, registerHttpServer } from "../support/operator.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { startTinyServer, type TinyServer } from "../support/tiny-server.ts";

const stack = new AsyncDisposableStack();
let postgres: TestPostgres;
let redis: TestRedis;
let tiny: TinyServer;
let keyFile: string;
let nodes: GatewayProcess[];
let admin: AdminClient;

async function startNode(name: string): Promise<GatewayProcess> {
  const dataDir = join(stack.use(temporaryFolder(name)).path, "data");
  const env = { DATABASE_URL: postgres.url, REDIS_URL: redis.url };
  const config = {
    identity: { token_key_file: keyFile },
    // A busy machine must not look like an absent Redis.
    limits: { redis_timeout_ms: 2_000, redis_nodes: 3 },
  };
  return stack.use(await startGateway({ env, dataDir, config }));
}

beforeAll(async () => {
  postgres = stack.use(await startPostgres());
  redis = stack.use(await startRedis());
  tiny = stack.use(startTinyServer());
  keyFile = join(stack.use(temporaryFolder("key")).path, "shared.key");
  writeFileSync(keyFile, crypto.getRandomValues(new Uint8Array(32)), { mode: 0o600 });
  const first = await startNode("one");
  nodes = [first, ...(await Promise.all([startNode("two"), startNode("three")]))];
  admin = stack.use(createAdminClient(first));
  await registerHttpServer(admin, "tiny", tiny.url);
  await allSee(3);
});
afterAll(() => stack.disposeAsync());

const status = async (node: GatewayProcess, token: string) =>
  (await modernCall({ base: node.agents, token, method: "tools/list" })).status;

/** Asks every node so many times, all at once; how many each let through. */
async function admittedBy(all: readonly GatewayProcess[], token: string, times: number) {
  const asked = all.map(async (node) => {
    const statuses = await Promise.all(Array.from({ length: times }, () => status(node, token)));
    expect(statuses.every((one) => one === 200 || one === 429)).toBe(true);
    return statuses.filter((one) => one === 200).length;
  });
  return await Promise.all(asked);
}

const sum = (counts: readonly number[]) => counts.reduce((total, one) => total + one, 0);

/** A client whose bucket holds so many and gets one more a minute, known to every node. */
async function newClient(id: string, burst: number): Promise<string> {
  const own = { requests_per_minute: 1, burst };
  const token = await registerClient(admin, id, { allowed_tools: ["*"], limits: own });
  const { state_revision } = await admin.call<{ state_revision: string }>(
    "SystemService",
    "GetStatus",
  );
  for (const node of nodes) {
    await until("the client on every node", async () => {
      const revision = await readMetric(node.ops, "mcp_gateway_state_revision");
      return revision >= Number(state_revision);
    });
  }
  return token;
}

async function allSee(count: number): Promise<void> {
  for (const node of nodes) {
    await until(
      `${count} nodes`,
      async () => (await readMetric(node.ops, "mcp_gateway_limits_nodes")) === count,
    );
  }
}

const isShared = (node: GatewayProcess) => readMetric(node.ops, "mcp_gateway_limits_shared");

test("three nodes admit together exactly what one would", async () => {
  const token = await newClient("steady", 60);
  const counts = await admittedBy(nodes, token, 40);
  // One token a minute comes back: two more at the very most.
  expect(sum(counts)).toBeGreaterThanOrEqual(60);
  expect(sum(counts)).toBeLessThanOrEqual(62);
  expect(Math.max(...counts)).toBeLessThan(60);
  const alone = await Promise.all(
    nodes.map((node) => readMetric(node.ops, "mcp_gateway_limits_alone_total")),
  );
  expect(alone).toEqual([0, 0, 0]);
});

test("with Redis killed each node admits its share, says so, and takes up again what comes back", async () => {
  const token = await newClient("outage", 60);
  await redis.kill();
  const counts = await admittedBy(nodes, token, 40);
  expect(counts.every((one) => one >= 20 && one <= 22)).toBe(true);
  for (const node of nodes) {
    expect(await readMetric(node.ops, "mcp_gateway_limits_alone_total")).toBeGreaterThanOrEqual(40);
    expect(await isShared(node)).toBe(0);
  }
  await until("the first node says so", () => nodes[0]?.stdout().includes('"limits.alone"'));
  await redis.start();
  for (const node of nodes) await until("Redis again", async () => (await isShared(node)) === 1);
  // Redis came back empty: one burst more, and not one for each node.
  const after = sum(await admittedBy(nodes, token, 40));
  expect(after).toBeGreaterThanOrEqual(60);
  expect(after).toBeLessThanOrEqual(62);
  expect(sum(counts) + after).toBeLessThanOrEqual(2 * 60 + 8);
});

test("a node that is killed takes nothing with it, one that joins brings nothing", async () => {
  const token = await newClient("moving", 60);
  const [first, second, third] = nodes as [GatewayProcess, GatewayProcess, GatewayProcess];
  expect(await admittedBy([third], token, 25)).toEqual([25]);
  third.kill("SIGKILL");
  await third.exited;
  const fourth = await startNode("four");
  nodes = [first, second, fourth];
  const rest = sum(await admittedBy(nodes, token, 40));
  expect(rest).toBeGreaterThanOrEqual(35);
  expect(rest).toBeLessThanOrEqual(37);
  await allSee(3);
});

test("L10: put aside on one node is put aside on all, and let out on all by any operator", async () => {
  const token = await newClient("stubborn", 1);
  const [first, , last] = nodes as [GatewayProcess, GatewayProcess, GatewayProcess];
  const aside = (node: GatewayProcess) => readMetric(node.ops, "mcp_gateway_put_aside");
  for (let batch = 0; batch < 13; batch += 1) await admittedBy([first], token, 50);
  expect(await aside(first)).toBe(1);
  for (const node of nodes)
    await until("the penalty everywhere", async () => (await aside(node)) === 1);
  await using operator = createAdminClient(last);
  await operator.call("LimitService", "ClearPenalty", {
    kind: "PENALTY_KIND_PRINCIPAL",
    key: "client:stubborn",
  });
  for (const node of nodes)
    await until("let out everywhere", async () => (await aside(node)) === 0);
});
