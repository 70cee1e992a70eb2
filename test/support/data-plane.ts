/**
 * The whole pipeline in memory: real policy, limits, cache, redaction and state around servers and an audit log that
 * are plain values. For tests of what the stages do together; asserts nothing.
 */
import type { AuditLog, DurabilityLevel, RecordDraft } from "../../src/audit/record.ts";
import { createRejections } from "../../src/audit/rejections.ts";
import { createReplyCache } from "../../src/cache/reply-cache.ts";
import { GatewayError } from "../../src/errors/fault.ts";
import { createAuthenticator } from "../../src/identity/authenticator.ts";
import { createCallerCheck } from "../../src/identity/proof/caller-check.ts";
import { createSigningSecret } from "../../src/identity/proof/signing-key.ts";
import { createScopeCheck } from "../../src/identity/required-scopes.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { createConcurrency } from "../../src/limits/concurrency.ts";
import { createLimitPlans, type LimitSettings } from "../../src/limits/limit-plan.ts";
import { createLimiter } from "../../src/limits/limiter.ts";
import { createSourceLimit } from "../../src/limits/source-limit.ts";
import { createDispatch, type DispatchDeps } from "../../src/pipeline/dispatch.ts";
import type { Dispatch, Incoming, Reply } from "../../src/pipeline/incoming.ts";
import { createLongNames } from "../../src/pipeline/long-names.ts";
import { createRequestStates } from "../../src/pipeline/request-state.ts";
import { createResourceOwners } from "../../src/pipeline/resource-owners.ts";
import { createServerChanges, type ServerChanges } from "../../src/pipeline/server-changes.ts";
import { createTaskIds } from "../../src/pipeline/task-ids.ts";
import { compilePolicy } from "../../src/policy/compile.ts";
import { memberText, objectText, readObject, stringMember } from "../../src/protocol/json-view.ts";
import type { ListenFilter } from "../../src/protocol/listen-filter.ts";
import type { McpRequest, Outcome, RelayedMessage } from "../../src/protocol/messages.ts";
import { readParamHeaders } from "../../src/protocol/param-headers.ts";
import { parseMessage } from "../../src/protocol/parse-message.ts";
import type { Era } from "../../src/protocol/revisions.ts";
import { defaultScanLimits } from "../../src/protocol/scan.ts";
import { createRedactor } from "../../src/sanitize/redactor.ts";
import { createArgumentCheck } from "../../src/schemas/argument-check.ts";
import type { ServerChange, ServerClient, Servers } from "../../src/servers/client.ts";
import type { ServerSpec, ToolSetting } from "../../src/servers/spec.ts";
import { buildSnapshot, type CompilePolicy } from "../../src/state/build.ts";
import { createCurrentSnapshot, type SwappableSnapshot } from "../../src/state/current.ts";
import type { StoredResource } from "../../src/storage/store.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";

export interface FakeServer {
  readonly name: string;
  readonly tools?: readonly string[];
  /** Input schemas of tools, by name. */
  readonly schemas?: Readonly<Record<string, object>>;
  readonly prompts?: readonly string[];
  readonly resources?: readonly string[];
  readonly isDown?: boolean;
  readonly settings?: readonly Partial<ToolSetting>[];
  readonly listTtlMs?: number;
  readonly listsPublic?: boolean;
  readonly dataClass?: ServerSpec["dataClass"];
  /** What it honours of a listen; by default all that is asked. */
  readonly honours?: (filter: ListenFilter) => ListenFilter | Promise<ListenFilter>;
  /** Members its lists and resources carry besides, such as `ttlMs`. */
  readonly hints?: object;
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

/** A listen that is open at a fake server. */
interface FakeListen {
  readonly server: string;
  readonly filter: ListenFilter;
  readonly onChange: (change: ServerChange) => void;
}

/** A listen through the pipeline: what it was sent so far, and how it ends. */
export interface TestListen {
  readonly messages: RelayedMessage[];
  /** Method and params of each message, parsed. */
  told(): readonly unknown[];
  readonly reply: Promise<Reply>;
  cancel(): void;
}

export interface ListenOptions {
  readonly scope?: string;
  readonly idText?: string;
  readonly era?: Era;
  readonly capabilities?: object;
}

export interface DataPlane {
  readonly dispatch: Dispatch;
  readonly current: SwappableSnapshot;
  readonly changes: ServerChanges;
  /** What is followed at the servers right now. */
  readonly following: ReadonlySet<FakeListen>;
  /** Something changed on a server. */
  change(server: string, change: ServerChange): void;
  /** The operators' state becomes another. */
  swap(state: readonly StoredResource[]): void;
  listen(token: string, notifications: unknown, options?: ListenOptions): TestListen;
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
    more?: Partial<Incoming>,
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

/** Limits that no test reaches by accident. */
export const limitSettings: LimitSettings = {
  requestsPerMinute: 1_000_000,
  burst: 1_000_000,
  toolRequestsPerMinute: 1_000_000,
  toolBurst: 1_000_000,
  serverRequestsPerMinute: 0,
  serverBurst: 0,
  requestsPer10Seconds: 0,
  requestsPerHour: 0,
  requestsPerDay: 0,
  maxInFlight: 1_000,
  requestBytesMax: 1_000_000,
};

/** `real` stands in for the fakes' answers; they then say only what is registered. */
export function createDataPlane(
  fakes: readonly FakeServer[],
  state: readonly StoredResource[],
  real?: Servers,
  more: Partial<DispatchDeps> & {
    /** In place of the real one. */
    readonly compile?: CompilePolicy;
  } = {},
): DataPlane {
  const clock = systemClock;
  const metrics = createMetrics();
  const seen: string[] = [];
  const records: RecordedDraft[] = [];
  const failing = new Set<string>();
  const specs = fakes.map((fake) => resource("server", fake.name, specOf(fake)));
  const snapshotOf = (revision: number, own: readonly StoredResource[]) =>
    buildSnapshot(revision, [...specs, ...own], more.compile ?? compilePolicy);
  const current = createCurrentSnapshot(snapshotOf(1, state));
  const following = new Set<FakeListen>();
  const servers = real ?? createFakeServers(fakes, seen, following);
  const changes = createServerChanges();
  const audit = createFakeAudit(records, failing);
  const dispatch = createDispatch({
    audit,
    classBOnFailure: "closed",
    bodies: { arguments: new Set(), result: new Set(), charsMax: 1_000 },
    rejections: createRejections({ audit, keysMax: 10 }),
    clock,
    log: silentLog,
    metrics,
    current,
    servers,
    cache: createReplyCache({ bytesMax: 1_000_000, entriesMax: 1_000, clock, metrics }),
    changes,
    redact: createRedactor({ isEnabled: true, extraFields: [], excludedFields: [] }),
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
    callerCheck: createCallerCheck({
      clock,
      metrics,
      secretOf: createSigningSecret(Buffer.alloc(32, 7)),
      proofWindowSeconds: 120,
      proofsRememberedMax: 1_000,
      dpopNonce: false,
    }),
    lastUse: { note: () => {} },
    limiter: createLimiter({ clock, metrics }),
    limitPlans: createLimitPlans({ defaults: limitSettings, tiers: {} }),
    penalties: { check: () => undefined, noteRefusal: () => {} },
    tierPlaces: createConcurrency({ perClientMax: 1_000, totalMax: 1_000, metrics }),
    scopeCheck: createScopeCheck([]),
    concurrency: createConcurrency({ perClientMax: 1_000, totalMax: 1_000, metrics }),
    baggageKeys: [],
    paramHeaders: "strict",
    argumentCheck: createArgumentCheck(),
    listenPlaces: createConcurrency({ perClientMax: 2, totalMax: 3, metrics }),
    states: createRequestStates({ tokenKey: Buffer.alloc(32, 7), lifetimeMs: 60_000, clock }),
    taskIds: createTaskIds({ tokenKey: Buffer.alloc(32, 7) }),
    longNames: createLongNames({ servers, log: silentLog }),
    owners: createResourceOwners({ servers, changes, clock, ttlMs: 1_000 }),
    gateway: { name: "gateway", version: "0" },
    mergeTimeoutMs: 10_000,
    callTimeoutMs: 10_000,
    ...more,
  });
  return {
    dispatch,
    current,
    changes,
    following,
    change(server, change) {
      for (const one of [...following]) if (one.server === server) one.onChange(change);
    },
    swap: (next) => void current.swap(snapshotOf(current.get().stateRevision + 1, next)),
    listen: (token, notifications, options) => listen(dispatch, token, notifications, options),
    records,
    seen,
    failAudit: (...events) => {
      for (const event of events) failing.add(event);
    },
    ask: (token, method, params, scope = "all", capabilities = {}, more = {}) =>
      ask(dispatch, token, method, params, scope, capabilities, more),
  };
}

function ask(
  dispatch: Dispatch,
  token: string,
  method: string,
  params: object | undefined,
  scope: string,
  capabilities: object,
  more: Partial<Incoming>,
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
      ...more,
    },
    { relay: () => {} },
  );
}

function listen(
  dispatch: Dispatch,
  token: string,
  notifications: unknown,
  { scope = "all", idText = "7", era = "modern", capabilities = {} }: ListenOptions = {},
): TestListen {
  const stop = new AbortController();
  const messages: RelayedMessage[] = [];
  const params = readObject(JSON.stringify({ notifications }));
  const reply = dispatch.dispatch(
    {
      binding: "http",
      era,
      revision: era === "modern" ? "2026-07-28" : "2025-11-25",
      scope,
      credential: { kind: "bearer", token: clientToken(token) },
      peer: { address: "127.0.0.1" },
      origin: undefined,
      requestId: undefined,
      sessionId: undefined,
      traceparent: undefined,
      bodyBytes: 100,
      message: {
        kind: "request",
        idText,
        method: "subscriptions/listen",
        params,
        envelope: {
          revision: "2026-07-28",
          clientInfoText: undefined,
          clientCapabilitiesText: JSON.stringify(capabilities),
          logLevel: undefined,
          progressTokenText: undefined,
        },
      },
      signal: stop.signal,
    },
    { relay: (message) => messages.push(message) },
  );
  return {
    messages,
    told: () => messages.map((one) => [one.method, JSON.parse(objectText(one.params))]),
    reply,
    cancel: () => stop.abort(),
  };
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
    connectTimeoutMs: 10_000,
    callTimeoutMs: 10_000,
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

function createFakeServers(
  fakes: readonly FakeServer[],
  seen: string[],
  following: Set<FakeListen>,
): Servers {
  const clients = new Map(fakes.map((fake) => [fake.name, clientOfFake(fake, seen, following)]));
  const byName = new Map(fakes.map((fake) => [fake.name, fake]));
  const toolsOf = (name: string) =>
    new Map(
      (byName.get(name)?.tools ?? []).map((tool) => [
        tool,
        { name: tool, text: JSON.stringify(toolOf(byName.get(name), tool)) },
      ]),
    );
  return {
    get: (name) => clients.get(name),
    tools: async (name) => {
      if (byName.get(name)?.isDown)
        throw new GatewayError("upstream-unreachable", "Server unreachable");
      return toolsOf(name);
    },
    authorization: () => undefined,
    knowsTool: () => undefined,
    inputSchema: (server, tool) =>
      memberText(readObject(JSON.stringify(toolOf(byName.get(server), tool))), "inputSchema"),
    paramHeaders: (server, tool) =>
      readParamHeaders(JSON.stringify(toolOf(byName.get(server), tool))),
    status: () => undefined,
    apply: () => {},
    close: async () => {},
  };
}

function clientOfFake(fake: FakeServer, seen: string[], following: Set<FakeListen>): ServerClient {
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
    listen(filter, onChange) {
      const one = { server: fake.name, filter, onChange };
      following.add(one);
      const honoured = Promise.resolve(fake.honours?.(filter) ?? filter);
      return { honoured, close: () => following.delete(one) };
    },
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
    result({ [member]: (names ?? []).map((name) => ({ [key]: name })), ...fake.hints });
  const unknown: Outcome = {
    kind: "error",
    error: { code: -32602, message: "no such thing here", dataText: undefined },
  };
  switch (request.method) {
    case "tools/list":
      return result({
        tools: (fake.tools ?? []).map((tool) => toolOf(fake, tool)),
        ...fake.hints,
      });
    case "prompts/list":
      return list("prompts", fake.prompts, "name");
    case "resources/list":
      return list("resources", fake.resources, "uri");
    case "resources/templates/list":
      return list("resourceTemplates", [], "uriTemplate");
    case "prompts/get":
      return fake.prompts?.includes(target ?? "") ? result({ messages: [] }) : unknown;
    case "resources/read":
      return fake.resources?.includes(target ?? "")
        ? result({ contents: [], ...fake.hints })
        : unknown;
    default:
      return (
        fake.call?.(request) ??
        result({ content: [{ type: "text", text: `${fake.name} ${target}` }] })
      );
  }
}

function toolOf(fake: FakeServer | undefined, name: string): object {
  const inputSchema = fake?.schemas?.[name];
  return inputSchema === undefined ? { name } : { name, inputSchema };
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
