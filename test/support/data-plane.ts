/**
 * The whole pipeline in memory: real policy, limits, cache, redaction and state around servers and an audit log that
 * are plain values. For tests of what the stages do together; asserts nothing.
 */
import type { AuditLog, DurabilityLevel, RecordDraft } from "../../src/audit/record.ts";
import { createRejections } from "../../src/audit/rejections.ts";
import { createReplyCache } from "../../src/cache/reply-cache.ts";
import { GatewayError } from "../../src/errors/fault.ts";
import { createAuthenticator } from "../../src/identity/authenticator.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { createConcurrency } from "../../src/limits/concurrency.ts";
import { createLimiter } from "../../src/limits/limiter.ts";
import { createSourceLimit } from "../../src/limits/source-limit.ts";
import { createDispatch } from "../../src/pipeline/dispatch.ts";
import type { Dispatch, Reply } from "../../src/pipeline/incoming.ts";
import { createLongNames } from "../../src/pipeline/long-names.ts";
import { createRequestStates } from "../../src/pipeline/request-state.ts";
import { createResourceOwners } from "../../src/pipeline/resource-owners.ts";
import { compilePolicy } from "../../src/policy/compile.ts";
import { objectText, readObject, stringMember } from "../../src/protocol/json-view.ts";
import type { McpRequest, Outcome } from "../../src/protocol/messages.ts";
import { parseMessage } from "../../src/protocol/parse-message.ts";
import { defaultScanLimits } from "../../src/protocol/scan.ts";
import { redactResult } from "../../src/sanitize/redact.ts";
import type { ServerClient, Servers } from "../../src/servers/client.ts";
import type { ServerSpec, ToolSetting } from "../../src/servers/spec.ts";
import { buildSnapshot } from "../../src/state/build.ts";
import { createCurrentSnapshot } from "../../src/state/current.ts";
import type { StoredResource } from "../../src/storage/store.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";

export interface FakeServer {
  readonly name: string;
  readonly tools?: readonly string[];
  readonly prompts?: readonly string[];
  readonly resources?: readonly string[];
  readonly isDown?: boolean;
  readonly settings?: readonly Partial<ToolSetting>[];
  readonly listTtlMs?: number;
  readonly listsPublic?: boolean;
  readonly dataClass?: ServerSpec["dataClass"];
  /** Answers tools/call; by default an echo of the tool's name. */
  readonly call?: (request: McpRequest) => Outcome;
  /** Answers any request before everything else; undefined = as usual. */
  readonly answer?: (request: McpRequest) => Outcome | undefined;
  /** Source text of its capabilities. */
  readonly capabilitiesText?: string;
}

export interface RecordedDraft extends RecordDraft {
  readonly level: DurabilityLevel;
}

export interface DataPlane {
  readonly dispatch: Dispatch;
  readonly records: RecordedDraft[];
  /** `server method target` of every request that reached a server. */
  readonly seen: string[];
  /** Makes appends of these events fail from now on. */
  failAudit(...events: readonly string[]): void;
  /** `capabilities` is what the agent declares; none by default. */
  ask(
    token: string,
    method: string,
    params?: object,
    scope?: string,
    capabilities?: object,
  ): Promise<Reply>;
}

const resource = (kind: string, name: string, body: object): StoredResource => ({
  kind,
  name,
  body,
  createdAtMs: 0,
  updatedAtMs: 0,
  stateRevision: 1,
});

/** A client whose token is its own id. */
export function clientOf(id: string, more: object = {}): StoredResource[] {
  const body = {
    id,
    displayName: "",
    enabled: true,
    allowedTools: [],
    allowedResources: [],
    allowedPrompts: [],
    roles: [],
    allowedOrigins: [],
    limits: {},
    ...more,
  };
  const token = {
    id: `t-${id}`,
    clientId: id,
    digest: digestOf(id),
    keyId: "0".repeat(16),
    createdAtMs: 0,
  };
  return [resource("client", id, body), resource("token", token.id, token)];
}

export function roleOf(name: string, permissions: readonly object[]): StoredResource {
  return resource("role", name, { name, description: "", permissions });
}

export function ruleOf(name: string, more: object): StoredResource {
  return resource("rule", name, {
    name,
    effect: "deny",
    priority: 0,
    enabled: true,
    condition: { ignoreCase: false },
    ...more,
  });
}

export function virtualOf(name: string, more: object): StoredResource {
  const body = {
    name,
    description: "",
    enabled: true,
    tools: [],
    prompts: [],
    resources: [],
    ...more,
  };
  return resource("virtual-server", name, body);
}

/** `real` stands in for the fakes' answers; they then say only what is registered. */
export function createDataPlane(
  fakes: readonly FakeServer[],
  state: readonly StoredResource[],
  real?: Servers,
): DataPlane {
  const clock = systemClock;
  const metrics = createMetrics();
  const seen: string[] = [];
  const records: RecordedDraft[] = [];
  const failing = new Set<string>();
  const specs = fakes.map((fake) => resource("server", fake.name, specOf(fake)));
  const snapshot = buildSnapshot(1, [...specs, ...state], compilePolicy);
  const servers = real ?? createFakeServers(fakes, seen);
  const audit = createFakeAudit(records, failing);
  const defaults = {
    requestsPerMinute: 1_000_000,
    burst: 1_000_000,
    toolRequestsPerMinute: 1_000_000,
    toolBurst: 1_000_000,
    maxInFlight: 1_000,
    requestBytesMax: 1_000_000,
  };
  const dispatch = createDispatch({
    audit,
    classBOnFailure: "closed",
    rejections: createRejections({ audit, keysMax: 10 }),
    clock,
    log: silentLog,
    metrics,
    current: createCurrentSnapshot(snapshot),
    servers,
    cache: createReplyCache({ bytesMax: 1_000_000, entriesMax: 1_000, clock, metrics }),
    redact: redactResult,
    sourceLimit: createSourceLimit({
      requestsPerMinute: 1_000_000,
      burst: 1_000_000,
      clock,
      metrics,
    }),
    authenticator: createAuthenticator({
      hashToken: digestOf,
      jwt: undefined,
      allowAnonymous: false,
      clock,
      metrics,
    }),
    limiter: createLimiter({ defaults, clock, metrics }),
    concurrency: createConcurrency({ perClientMax: 1_000, totalMax: 1_000, metrics }),
    defaults,
    states: createRequestStates({ tokenKey: Buffer.alloc(32, 7), lifetimeMs: 60_000, clock }),
    longNames: createLongNames({ servers, log: silentLog }),
    owners: createResourceOwners({ servers, clock, ttlMs: 1_000 }),
    gateway: { name: "gateway", version: "0" },
    mergeTimeoutMs: 1_000,
    callTimeoutMs: 10_000,
  });
  return {
    dispatch,
    records,
    seen,
    failAudit: (...events) => {
      for (const event of events) failing.add(event);
    },
    ask: (token, method, params, scope = "all", capabilities = {}) =>
      ask(dispatch, token, method, params, scope, capabilities),
  };
}

function ask(
  dispatch: Dispatch,
  token: string,
  method: string,
  params: object | undefined,
  scope: string,
  capabilities: object,
): Promise<Reply> {
  const text = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
  const message = parseMessage(text, defaultScanLimits);
  if (message.kind !== "request" && message.kind !== "malformed")
    throw new Error(`no request: ${text}`);
  const clientCapabilitiesText = JSON.stringify(capabilities);
  const asked =
    message.kind === "malformed"
      ? message
      : { ...message, envelope: { ...message.envelope, clientCapabilitiesText } };
  return dispatch.dispatch(
    {
      binding: "http",
      era: "modern",
      revision: "2026-07-28",
      scope,
      credential: { kind: "bearer", token: clientToken(token) },
      peer: { address: "127.0.0.1" },
      origin: undefined,
      requestId: undefined,
      sessionId: undefined,
      traceparent: undefined,
      bodyBytes: text.length,
      message: asked,
      signal: new AbortController().signal,
    },
    { relay: () => {} },
  );
}

/** A token of the right form for a client id, so that only its digest matters. */
export function clientToken(id: string): string {
  return `mcpgw_${Buffer.from(id.padEnd(32, "-")).toString("base64url").slice(0, 43)}`;
}

function digestOf(tokenOrId: string): string {
  const token = tokenOrId.startsWith("mcpgw_") ? tokenOrId : clientToken(tokenOrId);
  return Bun.SHA256.hash(token, "hex");
}

export function specOf(fake: FakeServer): ServerSpec {
  return {
    name: fake.name,
    description: "",
    transport: { kind: "streamable-http", url: "https://server.example/mcp", headers: {} },
    era: "auto",
    enabled: true,
    connectTimeoutMs: 1_000,
    callTimeoutMs: 1_000,
    responseBytesMax: 1_000_000,
    maxInFlight: 100,
    listTtlMs: fake.listTtlMs ?? 0,
    listsPublic: fake.listsPublic ?? false,
    toolSettings: (fake.settings ?? []).map((setting) => ({
      tool: "",
      readOnly: false,
      cacheTtlMs: 0,
      cachePublic: false,
      ...setting,
    })),
    allowPrivateNetwork: false,
    dataClass: fake.dataClass ?? "INTERNAL",
  };
}

function createFakeServers(fakes: readonly FakeServer[], seen: string[]): Servers {
  const byName = new Map(fakes.map((fake) => [fake.name, fake]));
  const toolsOf = (name: string) =>
    new Map(
      (byName.get(name)?.tools ?? []).map((tool) => [
        tool,
        { name: tool, text: JSON.stringify({ name: tool }) },
      ]),
    );
  return {
    get: (name) => {
      const fake = byName.get(name);
      return fake && clientOfFake(fake, seen);
    },
    tools: async (name) => {
      if (byName.get(name)?.isDown)
        throw new GatewayError("upstream-unreachable", "Server unreachable");
      return toolsOf(name);
    },
    knowsTool: () => undefined,
    status: () => undefined,
    apply: () => {},
    close: async () => {},
  };
}

function clientOfFake(fake: FakeServer, seen: string[]): ServerClient {
  return {
    spec: specOf(fake),
    call: async (request) => {
      const target =
        request.params &&
        (stringMember(request.params, "name") ?? stringMember(request.params, "uri"));
      seen.push(`${fake.name} ${request.method} ${target ?? ""}`.trim());
      if (fake.isDown) return down;
      return fake.answer?.(request) ?? answerOf(fake, request, target);
    },
    listen: (filter) => ({ honoured: Promise.resolve(filter), close() {} }),
    facts: async () => {
      if (fake.isDown) throw new GatewayError("upstream-unreachable", "Server unreachable");
      return {
        era: "modern",
        revision: "2026-07-28",
        capabilitiesText: fake.capabilitiesText ?? '{"tools":{},"prompts":{},"resources":{}}',
        instructions: undefined,
        serverInfoText: undefined,
      };
    },
    close: async () => {},
  };
}

const down: Outcome = {
  kind: "fault",
  fault: new GatewayError("upstream-unreachable", "Server unreachable").fault,
};

function answerOf(fake: FakeServer, request: McpRequest, target: string | undefined): Outcome {
  const list = (member: string, names: readonly string[] | undefined, key: string) =>
    result({ [member]: (names ?? []).map((name) => ({ [key]: name })) });
  const unknown: Outcome = {
    kind: "error",
    error: { code: -32602, message: "no such thing here", dataText: undefined },
  };
  switch (request.method) {
    case "tools/list":
      return list("tools", fake.tools, "name");
    case "prompts/list":
      return list("prompts", fake.prompts, "name");
    case "resources/list":
      return list("resources", fake.resources, "uri");
    case "resources/templates/list":
      return list("resourceTemplates", [], "uriTemplate");
    case "prompts/get":
      return fake.prompts?.includes(target ?? "") ? result({ messages: [] }) : unknown;
    case "resources/read":
      return fake.resources?.includes(target ?? "") ? result({ contents: [] }) : unknown;
    default:
      return (
        fake.call?.(request) ??
        result({ content: [{ type: "text", text: `${fake.name} ${target}` }] })
      );
  }
}

function result(value: object): Outcome {
  return { kind: "result", result: readObject(JSON.stringify(value)) };
}

function createFakeAudit(records: RecordedDraft[], failing: ReadonlySet<string>): AuditLog {
  return {
    append: async (draft, level) => {
      if (failing.has(draft.event))
        throw new GatewayError("audit-unavailable", "Audit unavailable; not executed");
      records.push({ ...draft, level });
      return { logId: "log", seq: records.length };
    },
    flush: async () => {},
    tail: () => () => {},
    status: () => ({
      logId: "log",
      syncedSeq: 0,
      shippedSeq: 0,
      spoolBytes: 0,
      writable: true,
      dropped: 0,
    }),
  };
}

/** The outcome as text, for comparing answers byte by byte. */
export function outcomeText(reply: Reply): string {
  const { outcome } = reply;
  if (outcome.kind === "result") return objectText(outcome.result);
  return JSON.stringify(
    outcome.kind === "error" ? outcome.error : { ...outcome.fault, reason: undefined },
  );
}
