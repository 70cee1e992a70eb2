/**
 * One run of tools/call against one target, by wrk over HTTP or by load-client over WebSocket: calls, latencies, and
 * the processor time the measured process spent on each call.
 */
import { join } from "node:path";
import { loadCore, pinned, startScript } from "./child.ts";
import type { LoadOptions, LoadResult } from "./load-client.ts";
import { cpuMicroseconds } from "./process-cost.ts";
import type { Target } from "./target.ts";

export const callKinds = ["http_legacy", "http_modern", "ws"] as const;
export type CallKind = (typeof callKinds)[number];

export interface Measured {
  readonly rps: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly cpuUs: number;
}

export interface Load {
  readonly connections: number;
  /** Over HTTP only; without it each connection sends as soon as it is answered. */
  readonly callsPerSecond?: number;
}

const defaultLoad: Load = { connections: 32 };
const againMax = 10;
const modernRevision = "2026-07-28";
const legacyRevision = "2025-11-25";
const clientInfo = { name: "bench", version: "1.0.0" };

export async function measureCalls(
  kind: CallKind,
  target: Target,
  durationMs: number,
  load = defaultLoad,
): Promise<Measured> {
  const run =
    kind === "ws"
      ? await prepareSocket(target, durationMs, load)
      : await prepareHttp(kind, target, durationMs, load);
  const beforeUs = cpuMicroseconds(target.pid);
  let result = await run();
  // A disk may stand still for longer than a quick run takes.
  for (let left = againMax; result.calls === 0 && left > 0; left -= 1) result = await run();
  const cpuUs = cpuMicroseconds(target.pid) - beforeUs;
  if (!(result.calls > 0) || result.failed !== 0) {
    throw new Error(`${kind} ${target.name}: ${result.failed} of ${result.calls} calls failed`);
  }
  return {
    rps: (result.calls * 1_000_000) / result.durationUs,
    p50Us: result.p50Us,
    p99Us: result.p99Us,
    cpuUs: cpuUs / result.calls,
  };
}

type Run = () => Promise<LoadResult>;

async function prepareHttp(
  kind: "http_legacy" | "http_modern",
  target: Target,
  durationMs: number,
  { connections, callsPerSecond }: Load,
): Promise<Run> {
  const isModern = kind === "http_modern";
  const url = isModern ? target.modernUrl : target.legacyUrl;
  const headers = isModern ? modernHeaders(target) : await openSession(target);
  const body = callBody(isModern);
  await expectResult(url, headers, body.replace("%d", "999"));
  const flags = Object.entries(headers).flatMap(([name, value]) => ["-H", `${name}: ${value}`]);
  const seconds = `${Math.max(1, Math.round(durationMs / 1000))}s`;
  const rate = callsPerSecond === undefined ? {} : { RATE: String(callsPerSecond) };
  const script = join(import.meta.dir, "call.lua");
  const wrk = ["wrk", "-t1", `-c${connections}`, `-d${seconds}`, "--timeout", "60s", "-s", script];
  return async () => {
    const command = pinned(loadCore, [...wrk, ...flags, url]);
    const env = { ...process.env, BODY: body, ...rate };
    const child = Bun.spawn(command, { env, stderr: "inherit" });
    const lines = (await new Response(child.stdout).text()).trim().split("\n");
    if ((await child.exited) !== 0) throw new Error(`wrk failed: ${lines.join("\n")}`);
    const result = parseResult(JSON.parse(lines.at(-1) ?? ""));
    await expectResult(url, headers, body.replace("%d", "998"));
    return result;
  };
}

async function prepareSocket(
  target: Target,
  durationMs: number,
  { connections }: Load,
): Promise<Run> {
  const { socketUrl: url, headers } = target;
  const options: LoadOptions = {
    kind: "calls",
    url,
    headers,
    connections,
    durationMs,
    tool: "echo",
  };
  return async () => {
    const { child, first } = await startScript("load-client.ts", loadCore, [
      JSON.stringify(options),
    ]);
    await child.exited;
    return parseResult(first);
  };
}

/** Both load generators end with the same members; one that is missing becomes NaN and fails the run. */
function parseResult(line: Readonly<Record<string, unknown>>): LoadResult {
  const { calls, failed, durationUs, p50Us, p99Us } = line;
  return {
    calls: Number(calls),
    failed: Number(failed),
    durationUs: Number(durationUs),
    p50Us: Number(p50Us),
    p99Us: Number(p99Us),
  };
}

/** A refusal may come back with status 200, where wrk does not see it: look at one answer before and after. */
async function expectResult(
  url: string,
  headers: Readonly<Record<string, string>>,
  body: string,
): Promise<void> {
  const response = await fetch(url, { method: "POST", headers, body });
  const text = await response.text();
  if (!response.ok || !text.includes("quick brown fox")) {
    throw new Error(`${url} answers ${response.status} ${text.slice(0, 300)}`);
  }
}

function callBody(isModern: boolean): string {
  const envelope = {
    "io.modelcontextprotocol/protocolVersion": modernRevision,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": clientInfo,
  };
  const params = {
    name: "echo",
    arguments: { text: "hello" },
    ...(isModern && { _meta: envelope }),
  };
  return `{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":${JSON.stringify(params)}}`;
}

function baseHeaders(target: Target, revision: string): Readonly<Record<string, string>> {
  return {
    ...target.headers,
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
    "mcp-protocol-version": revision,
  };
}

function modernHeaders(target: Target): Readonly<Record<string, string>> {
  const base = baseHeaders(target, modernRevision);
  return { ...base, "mcp-method": "tools/call", "mcp-name": "echo" };
}

async function openSession(target: Target): Promise<Readonly<Record<string, string>>> {
  const headers = baseHeaders(target, legacyRevision);
  const params = { protocolVersion: legacyRevision, capabilities: {}, clientInfo };
  const opened = await post({ jsonrpc: "2.0", id: 1, method: "initialize", params }, headers);
  const session = opened.headers.get("mcp-session-id");
  if (session === null) throw new Error(`no session: ${opened.status} ${await opened.text()}`);
  const withSession = { ...headers, "mcp-session-id": session };
  await post({ jsonrpc: "2.0", method: "notifications/initialized" }, withSession);
  return withSession;

  function post(message: unknown, sent: Readonly<Record<string, string>>): Promise<Response> {
    return fetch(target.legacyUrl, {
      method: "POST",
      headers: sent,
      body: JSON.stringify(message),
    });
  }
}
