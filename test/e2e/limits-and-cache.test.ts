/**
 * What stands between an agent and a server: limits that say when to come back, replies from memory that stay with
 * their principal, masked secrets; and what an agent sees when a server is down, gone or too talkative.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { until } from "../support/deadline.ts";
import { startHttpV2 } from "../support/fake-servers/network.ts";
import { executable } from "../support/gateway-process.ts";
import { readMetric } from "../support/metrics.ts";
import { type ModernCall, modernCall, modernMeta, modernPost } from "../support/modern-agent.ts";
import { allRecords, registerClient, registerHttpServer } from "../support/operator.ts";
import {
  registerStdioServer,
  type SampleGateway,
  startCalculator,
  startSampleGateway,
} from "../support/sample-gateway.ts";
import { needKind } from "../support/sdk-agents.ts";
import { startTinyServer, type TinyServer } from "../support/tiny-server.ts";

let sample: SampleGateway;
let tiny: TinyServer;

beforeAll(async () => {
  sample = await startSampleGateway();
  tiny = startTinyServer();
  await registerHttpServer(sample.admin, "tiny", tiny.url);
});
afterAll(async () => {
  await sample[Symbol.asyncDispose]();
  await tiny[Symbol.asyncDispose]();
});

const allowed = { allowed_tools: ["*"] };

const tool = (token: string, name: string, args: object = {}, more: Partial<ModernCall> = {}) =>
  modernCall({
    base: sample.gateway.agents,
    token,
    method: "tools/call",
    params: { name, arguments: args },
    ...more,
  });

describe("limits", () => {
  const limits = { requests_per_minute: 6, burst: 3 };

  test("L01: the bucket starts full, then says when to come back, in headers and in the error", async () => {
    const token = await registerClient(sample.admin, "hasty", { ...allowed, limits });
    const remaining: (string | null)[] = [];
    for (let call = 0; call < 3; call += 1) {
      const answer = await tool(token, "tiny__echo", { text: "x" });
      expect(answer.status).toBe(200);
      remaining.push(answer.headers.get("ratelimit"));
    }
    expect(remaining.map((text) => /r=(\d+)/.exec(text ?? "")?.[1])).toEqual(["2", "1", "0"]);
    const refused = await tool(token, "tiny__echo");
    expect(refused.status).toBe(429);
    const retryAfter = Number(refused.headers.get("retry-after"));
    expect(retryAfter).toBeGreaterThanOrEqual(1);
    expect(retryAfter).toBeLessThanOrEqual(10);
    expect(refused.headers.get("ratelimit-policy")).toContain("q=");
    expect(refused.error).toMatchObject({
      code: 42901,
      data: { name: "rate-limited", limit: { remaining: 0, limit: 3 } },
    });
    const advice = Number(refused.error?.data?.retryAfterMs);
    expect(Math.ceil(advice / 1000)).toBe(retryAfter);
    expect(await readMetric(sample.gateway.ops, "mcp_gateway_rate_limited_total")).toBe(1);
  });

  test("the same error data on a WebSocket, which stays open", async () => {
    const token = await registerClient(sample.admin, "hasty-socket", { ...allowed, limits });
    const socket = new WebSocket(`${sample.gateway.agents.replace("http", "ws")}/ws`, {
      protocols: ["mcp"],
      headers: { Authorization: `Bearer ${token}` },
    });
    const answers: { readonly error?: { readonly code: number; readonly data: object } }[] = [];
    socket.onmessage = ({ data }) => answers.push(JSON.parse(String(data)));
    await new Promise((resolve) => {
      socket.onopen = resolve;
    });
    const params = { name: "tiny__echo", arguments: {}, _meta: modernMeta };
    for (let id = 1; id <= 5; id += 1) {
      socket.send(JSON.stringify({ jsonrpc: "2.0", id, method: "tools/call", params }));
    }
    await until("five answers", () => answers.length === 5);
    const refused = answers.flatMap(({ error }) => (error === undefined ? [] : [error]));
    expect(refused).toHaveLength(2);
    expect(refused[0]).toMatchObject({
      code: 42901,
      data: { name: "rate-limited", limit: { remaining: 0 } },
    });
    expect(socket.readyState).toBe(WebSocket.OPEN);
    socket.close();
  });

  test("one tool's bucket does not empty another's", async () => {
    const own = { tool_requests_per_minute: 6, tool_burst: 2 };
    const token = await registerClient(sample.admin, "one-tool", { ...allowed, limits: own });
    const statuses: number[] = [];
    for (let call = 0; call < 3; call += 1) statuses.push((await tool(token, "tiny__echo")).status);
    expect(statuses).toEqual([200, 200, 429]);
    expect((await tool(token, "calculator__add", { a: 1, b: 1 })).status).toBe(200);
  });

  test("calls in flight are bounded by client, and others are not held up", async () => {
    const own = { max_in_flight: 2 };
    const token = await registerClient(sample.admin, "parallel", { ...allowed, limits: own });
    const other = await registerClient(sample.admin, "bystander", allowed);
    const before = tiny.seen.length;
    const slow = () => tool(token, "tiny__slow", { delay_ms: 3_000, text: "x" });
    const running = [slow(), slow()];
    await until("two calls at the server", () => tiny.seen.length === before + 2);
    const refused = await slow();
    expect([refused.status, refused.error?.code]).toEqual([429, 42902]);
    expect(refused.error?.data).toMatchObject({ maxInFlight: 2 });
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
    expect((await tool(other, "tiny__echo")).status).toBe(200);
    expect((await Promise.all(running)).map(({ status }) => status)).toEqual([200, 200]);
    expect((await tool(token, "tiny__echo")).status).toBe(200);
  });

  test("TH-20: a client's own request size, at the limit and above it", async () => {
    const own = { request_bytes_max: 4_096 };
    const token = await registerClient(sample.admin, "brief", { ...allowed, limits: own });
    const sized = (text: string) => tool(token, "tiny__echo", { text });
    expect((await sized("x".repeat(2_000))).status).toBe(200);
    const refused = await sized("x".repeat(5_000));
    expect([refused.status, refused.error?.code]).toEqual([413, 41301]);
    expect(refused.error?.message).toContain("4096");
  });
});

describe("the cache", () => {
  const metric = (name: "hits" | "misses") =>
    readMetric(sample.gateway.ops, `mcp_gateway_cache_${name}_total`, 'kind="tools/call"');

  async function cacheable(name: string, cache_public: boolean): Promise<TinyServer> {
    const server = startTinyServer();
    await registerHttpServer(sample.admin, name, server.url, {
      tool_settings: [{ tool: "echo", read_only: true, cache_ttl_ms: 60_000, cache_public }],
    });
    return server;
  }

  test("CA-01 CA-03: a declared tool is answered from memory, for the same principal and arguments alone", async () => {
    await using server = await cacheable("remembered", false);
    const [ada, bob] = [
      await registerClient(sample.admin, "ada", allowed),
      await registerClient(sample.admin, "bob", allowed),
    ];
    const echo = (token: string, args: object) => tool(token, "remembered__echo", args);
    const [hits, misses] = [await metric("hits"), await metric("misses")];
    const first = await echo(ada, { text: "same", delay_ms: 1 });
    const again = await echo(ada, { delay_ms: 1, text: "same" });
    expect(again.result?.content).toEqual(first.result?.content);
    expect(server.seen).toHaveLength(1);
    expect([(await metric("hits")) - hits, (await metric("misses")) - misses]).toEqual([1, 1]);
    await echo(bob, { text: "same", delay_ms: 1 });
    await echo(ada, { text: "other", delay_ms: 1 });
    await echo(ada, { text: "same", delay_ms: 2 });
    expect(server.seen).toHaveLength(4);
    expect((await metric("hits")) - hits).toBe(1);

    const cached = await until("the cached call's record", async () => {
      const found = await allRecords(sample.admin, { client: "ada", server: "remembered" });
      return found.find((one) => JSON.parse(one.envelope_json).facts.cached === true);
    });
    expect(cached).toMatchObject({ event: "call.outcome", status: "success", durability: "C" });
  });

  test("CA-07: what the server calls read-only is not cached unless the operator says so", async () => {
    const token = await registerClient(sample.admin, "uncached", allowed);
    const hits = await metric("hits");
    for (let call = 0; call < 3; call += 1) await tool(token, "calculator__add", { a: 1, b: 1 });
    expect(await metric("hits")).toBe(hits);
  });

  test("CA-01: replies are shared only where the operator declared them public", async () => {
    await using server = await cacheable("shared", true);
    for (const id of ["carol", "dave"]) {
      const token = await registerClient(sample.admin, id, allowed);
      expect((await tool(token, "shared__echo", { text: "public" })).status).toBe(200);
    }
    // Each registration is a new state revision, and a new revision is a new key: two misses, never a stale right.
    expect(server.seen).toHaveLength(2);
    const [erin, frank] = [
      await registerClient(sample.admin, "erin", allowed),
      await registerClient(sample.admin, "frank", allowed),
    ];
    await tool(erin, "shared__echo", { text: "public" });
    await tool(frank, "shared__echo", { text: "public" });
    expect(server.seen).toHaveLength(3);
  });

  test("a purge over gRPC makes the next call a fresh one, and only what was named", async () => {
    await using one = await cacheable("purged", false);
    await using other = await cacheable("kept", false);
    const token = await registerClient(sample.admin, "grace", allowed);
    const both = async () => {
      await tool(token, "purged__echo", { text: "x" });
      await tool(token, "kept__echo", { text: "x" });
    };
    await both();
    await both();
    expect([one.seen.length, other.seen.length]).toEqual([1, 1]);
    const { purged } = await sample.admin.call("CacheService", "Purge", { server: "purged" });
    expect(purged).toBe(1);
    await both();
    expect([one.seen.length, other.seen.length]).toEqual([2, 1]);
    expect(await sample.admin.call("CacheService", "GetStatistics")).toMatchObject({
      binding_failures: 0,
    });
  });
});

describe("redaction", () => {
  test("S01: secrets are masked in structured content and in JSON inside text, on every transport", async () => {
    const token = await registerClient(sample.admin, "curious", allowed);
    for (const name of ["SDK v1, HTTP+SSE", "SDK v1, WebSocket", "SDK v2, 2026-07-28"]) {
      await using agent = await needKind(name).connect({ base: sample.gateway.agents, token });
      const answer = await agent.callTool("notes__secret_note");
      expect(JSON.stringify(answer)).not.toContain("correct horse");
      expect(answer).toMatchObject({
        structuredContent: { title: "bank", keywords: ["money"] },
      });
      const [block] = answer.content as readonly { readonly text: string }[];
      const inText = JSON.parse(block?.text ?? "");
      expect(inText).toMatchObject({ title: "bank", keywords: ["money"] });
      expect(inText.password).toBe((answer.structuredContent as { password: string }).password);
    }
    const [record] = await until("the record", async () => {
      const filter = { tool: "secret_note", event: "call.outcome" };
      const found = await allRecords(sample.admin, filter);
      return found.length > 0 ? found : undefined;
    });
    expect(JSON.parse(record?.envelope_json ?? "{}").facts.redactions).toBe(2);
  });
});

describe("servers that fail", () => {
  const list = (token: string) =>
    modernCall({ base: sample.gateway.agents, token, method: "tools/list" });
  const prefixes = async (token: string) => {
    const tools = (await list(token)).result?.tools as readonly { readonly name: string }[];
    return [...new Set(tools.map(({ name }) => name.split("__")[0]))].sort();
  };

  test("I-12 UP-13: one that is down is missing from the list, answers calls with an error, and comes back", async () => {
    const { admin } = sample;
    const flaky = await startCalculator();
    await registerHttpServer(admin, "flaky", flaky.url, { connect_timeout_ms: 2_000 });
    const grants = { allowed_tools: ["flaky__*", "notes__*"] };
    const token = await registerClient(admin, "steady", grants);
    expect(await prefixes(token)).toEqual(["flaky", "notes"]);
    await flaky[Symbol.asyncDispose]();

    await until("its absence", async () => (await prefixes(token)).join() === "notes");
    const refused = await tool(token, "flaky__add", { a: 1, b: 1 });
    expect(refused.status).toBe(502);
    expect(refused.error).toMatchObject({
      code: 50202,
      data: { name: "upstream-unreachable" },
    });
    expect(refused.text).not.toContain(flaky.url);
    expect((await tool(token, "notes__search_notes", { text: "a" })).status).toBe(200);

    await using again = await startCalculator(Number(new URL(flaky.url).port));
    expect(again.url).toBe(flaky.url);
    await until("its return", async () => (await prefixes(token)).join() === "flaky,notes");
    expect((await tool(token, "flaky__add", { a: 1, b: 1 })).result).toMatchObject({
      structuredContent: { result: "2" },
    });
  });

  test("a stdio program that does not exist, or ends at once, breaks nothing else", async () => {
    const { admin } = sample;
    await registerStdioServer(admin, "absent", "/nonexistent/program", []);
    await registerStdioServer(admin, "brief", executable, ["--version"]);
    const grants = { allowed_tools: ["absent__*", "brief__*", "notes__*"] };
    const token = await registerClient(admin, "unlucky", grants);
    expect(await prefixes(token)).toEqual(["notes"]);
    for (const name of ["absent__x", "brief__x"]) {
      expect((await tool(token, name)).error?.data).toMatchObject({ name: "upstream-unreachable" });
    }
    const { status } = await admin.call<{ status: { last_error: string } }>(
      "ServerService",
      "CheckServer",
      { name: "absent" },
    );
    expect(status.last_error).toContain("ENOENT");
  });

  test("UP-12: an answer above the server's limit is refused, one at it goes through", async () => {
    const fake = await startHttpV2();
    await registerHttpServer(sample.admin, "huge", fake.url, { response_bytes_max: 100_000 });
    const token = await registerClient(sample.admin, "greedy", { allowed_tools: ["huge__*"] });
    const sized = (bytes: number) => tool(token, "huge__huge", { bytes });
    expect((await sized(90_000)).status).toBe(200);
    const refused = await sized(200_000);
    expect([refused.status, refused.error?.code]).toEqual([502, 50201]);
    expect((await sized(1_000)).status).toBe(200);
    await fake.stop();
  });

  test("UP-16: a server that does not answer in its time is an error that says so", async () => {
    await registerHttpServer(sample.admin, "late", tiny.url, { call_timeout_ms: 800 });
    const token = await registerClient(sample.admin, "waiting", { allowed_tools: ["late__*"] });
    const refused = await modernPost({
      base: sample.gateway.agents,
      token,
      method: "tools/call",
      params: { name: "late__slow", arguments: { delay_ms: 20_000 } },
    });
    expect(refused.status).toBe(504);
    expect(await refused.json()).toMatchObject({ error: { code: 50401 } });
    const [record] = await until("the record", async () => {
      const found = await allRecords(sample.admin, { client: "waiting", status: "timeout" });
      return found.length > 0 ? found : undefined;
    });
    expect(record).toMatchObject({ event: "call.outcome", durability: "A" });
  });
});
