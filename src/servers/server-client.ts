/**
 * One server behind the `ServerClient` interface: takes a link, writes the call in the link's era, and decides what
 * an answer means. It asks a second time only where the first surely was not carried out, or may be repeated
 * harmlessly; where nobody can know, the caller is told so (UP-13, UP-14).
 */
import { createFault, type Fault } from "../errors/fault.ts";
import type { Clock } from "../lib/clock.ts";
import { stringMember } from "../protocol/json-view.ts";
import { emptyFilter } from "../protocol/listen-filter.ts";
import type { McpRequest, Outcome, RelayedMessage } from "../protocol/messages.ts";
import { type ParamHeader, paramHeaders } from "../protocol/param-headers.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { toErrorBody } from "./answer.ts";
import type { CallContext, ServerClient, ServerStatus } from "./client.ts";
import type { Connection, Link } from "./connection.ts";
import { cancelled, faultOf, invalidAnswer, unreachable } from "./faults.ts";
import { addCallHeaders } from "./http.ts";
import { createLogLevels } from "./legacy/log-level.ts";
import { legacyHeaders } from "./legacy/session.ts";
import { modernError, renderLegacy } from "./legacy/to-legacy.ts";
import { modernHeaders, renderModern } from "./modern.ts";
import { renderCancellation } from "./outgoing.ts";
import { toRelayed } from "./relayed.ts";
import type { ServerSpec } from "./spec.ts";
import type { WireAnswer } from "./wire.ts";

export interface PooledClient extends ServerClient {
  status(): ServerStatus;
  /** Takes no more calls, lets those in flight finish within the bound, then closes. */
  retire(drainTimeoutMs: number): Promise<void>;
}

export interface ServerClientOptions {
  readonly spec: ServerSpec;
  readonly connection: Connection;
  readonly closePool: () => void;
  readonly tools: {
    readonly paramHeaders: (tool: string) => readonly ParamHeader[];
    /** Lists the tools again. */
    readonly refresh: (signal: AbortSignal) => Promise<void>;
  };
  readonly ownInfoText: string;
  readonly clock: Clock;
  readonly metrics: Metrics;
}

/** How many failures in a row make a connected server `failing`. */
const failingAfter = 3;
const busyRetryAfterMs = 1_000;

export function createServerClient(options: ServerClientOptions): PooledClient {
  const { spec, connection, clock, metrics } = options;
  const { kind } = spec.transport;
  const isHttp = kind === "streamable-http";
  const hasHeaders = isHttp || kind === "http-sse";
  const labels = { server: spec.name };
  const logLevels = createLogLevels();
  let inFlight = 0;
  let failures = 0;
  let lastError: string | undefined;
  let isRetired = false;
  let idle: (() => void) | undefined;

  async function call(
    request: McpRequest,
    context: CallContext,
    relay: (message: RelayedMessage) => void,
  ): Promise<Outcome> {
    const refusal = refuse(context);
    if (refusal !== undefined) return { kind: "fault", fault: refusal };
    inFlight += 1;
    const startedMs = clock.monotonicMs();
    try {
      const outcome = await ask(request, context, relay, startedMs);
      note(outcome);
      return outcome;
    } finally {
      metrics.observe(
        "mcp_gateway_upstream_seconds",
        (clock.monotonicMs() - startedMs) / 1_000,
        labels,
      );
      inFlight -= 1;
      if (inFlight === 0) idle?.();
    }
  }

  function refuse({ signal }: CallContext): Fault | undefined {
    if (signal.aborted) return cancelled;
    if (isRetired) return unreachable(spec.name, "closed-by-gateway");
    if (inFlight < spec.maxInFlight) return undefined;
    return createFault(
      "too-many-in-flight",
      `Server ${spec.name} already has ${spec.maxInFlight} calls in flight, the most allowed`,
      { retryAfterMs: busyRetryAfterMs },
    );
  }

  async function ask(
    request: McpRequest,
    context: CallContext,
    relay: (message: RelayedMessage) => void,
    startedMs: number,
  ): Promise<Outcome> {
    const timeoutMs = Math.min(context.timeoutMs, spec.callTimeoutMs);
    let hasRelayed = false;
    const passOn = (message: RelayedMessage) => {
      hasRelayed = true;
      relay(message);
    };
    for (let isFirst = true; ; isFirst = false) {
      const leftMs = isFirst ? timeoutMs : timeoutMs - (clock.monotonicMs() - startedMs);
      let link = connection.current();
      if (link === undefined) {
        try {
          link = await connection.open(context.signal, Math.max(1, leftMs));
        } catch (error) {
          return { kind: "fault", fault: faultOf(spec.name, error) };
        }
      }
      const raised = logLevels.need(link, request.envelope.logLevel);
      if (raised !== undefined) await raised;
      const answer = await send(link, request, context, passOn, Math.max(1, leftMs));
      const again = isFirst && !hasRelayed ? whyAgain(link, request, answer) : undefined;
      if (again === undefined) return toOutcome(link, answer);
      if (again === "headers") await options.tools.refresh(context.signal).catch(() => {});
      else if (again !== "harmless") connection.drop(link, { forgetEra: again === "era" });
    }
  }

  function send(
    { wire, facts }: Link,
    request: McpRequest,
    context: CallContext,
    relay: (message: RelayedMessage) => void,
    timeoutMs: number,
  ): Promise<WireAnswer> {
    const id = wire.nextId();
    const isModern = facts.era === "modern";
    const headers: Record<string, string> = {};
    if (hasHeaders) {
      addCallHeaders(headers, context.headers);
      const own = isModern ? modernHeaders(request) : legacyHeaders(facts.revision);
      Object.assign(headers, own);
      if (isModern && request.method === "tools/call") Object.assign(headers, mirrored(request));
    }
    return wire.request({
      id,
      method: request.method,
      text: isModern ? renderModern(request, id, options.ownInfoText) : renderLegacy(request, id),
      headers,
      cancellation: isModern && isHttp ? undefined : renderCancellation(id),
      signal: context.signal,
      timeoutMs,
      onNotification(notification) {
        const message = toRelayed(notification, request.envelope);
        if (message !== undefined) relay(message);
      },
    });
  }

  function mirrored({ params }: McpRequest): Readonly<Record<string, string>> | undefined {
    const tool = params && stringMember(params, "name");
    if (tool === undefined || params === undefined) return undefined;
    const found = options.tools.paramHeaders(tool);
    return found.length === 0 ? undefined : paramHeaders(found, params);
  }

  /** Why a second try is safe and may help; undefined where it is not or cannot. */
  function whyAgain(
    { facts, wire }: Link,
    request: McpRequest,
    answer: WireAnswer,
  ): "session" | "era" | "headers" | "harmless" | undefined {
    if (answer.kind === "result") return undefined;
    const { status } = answer;
    if (answer.kind === "error") {
      const { code } = toErrorBody(answer);
      if (code === -32022) return "era";
      // The tool mirrors arguments into headers that we did not know of, or no longer know rightly.
      if (code === -32020 && request.method === "tools/call") return "headers";
      return facts.era === "legacy" && status === 404 ? "session" : undefined;
    }
    const { name } = answer.fault;
    if (name === "cancelled" || name === "upstream-timeout") return undefined;
    // A refusal by status, without an answer to our id: the session ended, or another server took the place.
    if (status === 404 || status === 400 || status === 405) {
      return facts.era === "legacy" ? "session" : "era";
    }
    if (name !== "upstream-unreachable") return undefined;
    if (!answer.mayHaveRun) return wire.isOpen() ? undefined : "session";
    return isHarmless(request) ? "harmless" : undefined;
  }

  /** Reading changes nothing, and an operator vouched for the tools marked read-only. */
  function isHarmless({ method, params }: McpRequest): boolean {
    if (method !== "tools/call") return true;
    const tool = params && stringMember(params, "name");
    return spec.toolSettings.some((setting) => setting.tool === tool && setting.readOnly);
  }

  function toOutcome({ facts }: Link, answer: WireAnswer): Outcome {
    switch (answer.kind) {
      case "result":
        return { kind: "result", result: answer.body };
      case "fault":
        return { kind: "fault", fault: answer.fault };
      case "error": {
        const error = toErrorBody(answer);
        if (facts.era === "legacy") return { kind: "error", error: modernError(error) };
        // These two say that we wrote the request wrongly; the agent can do nothing about it.
        if (error.code !== -32020 && error.code !== -32022) return { kind: "error", error };
        return { kind: "fault", fault: invalidAnswer(spec.name, `refused-${error.code}`) };
      }
    }
  }

  function note(outcome: Outcome): void {
    if (outcome.kind !== "fault") {
      if (failures === 0) return;
      failures = 0;
      connection.noteAnswer();
      return;
    }
    const { name, reason } = outcome.fault;
    if (!name.startsWith("upstream-")) return;
    failures += 1;
    lastError = reason === undefined ? name : `${name}: ${reason}`;
    metrics.count("mcp_gateway_upstream_errors_total", { server: spec.name, error: name });
  }

  function state(): ServerStatus["state"] {
    if (connection.isConnecting()) return "connecting";
    const isConnected = connection.current() !== undefined;
    if (failures >= failingAfter || (failures > 0 && !isConnected)) return "failing";
    return isConnected ? "ready" : "idle";
  }

  async function close(): Promise<void> {
    isRetired = true;
    await connection.close();
    options.closePool();
  }

  return {
    spec,
    call,
    listen: () => ({ honoured: Promise.resolve(emptyFilter), close() {} }),
    async facts(signal) {
      const link =
        connection.current() ?? (await connection.open(signal, spec.connectTimeoutMs * 3));
      return link.facts;
    },
    status() {
      const facts = connection.current()?.facts;
      return {
        name: spec.name,
        state: state(),
        era: facts?.era,
        revision: facts?.revision,
        lastError,
        consecutiveFailures: failures,
        inFlight,
        restarts: connection.restarts(),
      };
    },
    async retire(drainTimeoutMs) {
      isRetired = true;
      if (inFlight > 0) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, drainTimeoutMs);
          idle = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
      await close();
    },
    close,
  };
}
