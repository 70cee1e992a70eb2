/** The ops listener over a real socket: paths, statuses and forms. */
import { afterAll, expect, test } from "bun:test";
import { systemClock } from "../../../src/lib/clock.ts";
import { createHealth } from "../../../src/telemetry/health.ts";
import { createMetrics } from "../../../src/telemetry/metrics.ts";
import { createOpsServer } from "../../../src/telemetry/ops-server.ts";

const metrics = createMetrics();
const health = createHealth({ clock: systemClock, checks: [], freshMs: 0 });
const ops = createOpsServer({ host: "127.0.0.1", port: 0, health, metrics, version: "1.2.3" });
afterAll(() => ops.close());

const get = (path: string, method = "GET") => fetch(`${ops.url}${path}`, { method });

test("O03: the index names every endpoint, and every endpoint answers", async () => {
  const index = (await (await get("/")).json()) as { endpoints: string[]; version: string };
  expect(index.version).toBe("1.2.3");
  expect(index.endpoints).toContain("/health/live");
  for (const path of index.endpoints) expect((await get(path)).status).toBe(200);
});

test("O05: both metric paths give Prometheus text", async () => {
  for (const path of ["/metrics", "/metrics/prometheus"]) {
    const response = await get(path);
    expect(response.headers.get("content-type")).toStartWith("text/plain; version=0.0.4");
    expect(await response.text()).toContain("# TYPE mcp_gateway_calls_total counter");
  }
});

test("O04: security metrics are sums over labels", async () => {
  metrics.count("mcp_gateway_auth_failures_total", { reason: "a" }, 2);
  metrics.count("mcp_gateway_auth_failures_total", { reason: "b" });
  const sums = (await (await get("/metrics/security")).json()) as Record<string, number>;
  expect(sums).toMatchObject({ failed_authentications: 3, policy_denials: 0 });
});

test.each([
  ["/nothing", "GET", 404],
  ["/__proto__", "GET", 404],
  ["/constructor", "GET", 404],
  ["/metrics", "POST", 405],
  ["/health/live", "HEAD", 200],
])("%s %s -> %d", async (path, method, status) => {
  expect((await get(path, method)).status).toBe(status);
});

test("O02: 503 on ready and detailed while draining, live stays 200", async () => {
  health.startDraining();
  const statuses = await Promise.all(
    ["/health/ready", "/health/detailed", "/health/live"].map(async (p) => (await get(p)).status),
  );
  expect(statuses).toEqual([503, 503, 200]);
});

test("what may be posted is given to it, with a bound on its size", async () => {
  const bodies: string[] = [];
  const posting = createOpsServer({
    ...{ host: "127.0.0.1", port: 0, health, metrics, version: "1.2.3" },
    texts: { "/some-key": "key\n" },
    posts: {
      "/take": async (body) => {
        bodies.push(body);
        return { status: 409, contentType: "text/x.size", text: "5\n" };
      },
    },
  });
  try {
    const post = (path: string, body: string, method = "POST") =>
      fetch(`${posting.url}${path}`, { method, ...(method === "POST" && { body }) });
    const taken = await post("/take", "hello");
    expect([taken.status, taken.headers.get("content-type"), await taken.text()]).toEqual([
      409,
      "text/x.size",
      "5\n",
    ]);
    expect((await post("/take", "", "GET")).status).toBe(405);
    expect((await post("/metrics", "x")).status).toBe(405);
    expect((await post("/take", "x".repeat(65 * 1024))).status).toBe(413);
    expect(bodies).toEqual(["hello"]);
    expect(await (await fetch(`${posting.url}/some-key`)).text()).toBe("key\n");
  } finally {
    await posting.close();
  }
});
