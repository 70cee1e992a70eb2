/**
 * One server behind the `ServerClient` interface: counts its calls, bounds how many run, tells how it stands, and ends
 * what it has. What a call says to the server is `call-server.ts`'s matter.
 */
import { createFault, type Fault } from "../errors/fault.ts";
import type { Clock } from "../lib/clock.ts";
import { memberText } from "../protocol/json-view.ts";
import type { McpRequest, Outcome, RelayedMessage } from "../protocol/messages.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { CallServer } from "./call-server.ts";
import type { CallContext, ServerClient, ServerStatus } from "./client.ts";
import type { Connection } from "./connection.ts";
import { cancelled, unreachable } from "./faults.ts";
import type { HeldTasks } from "./legacy/held-tasks.ts";
import type { ParkedCalls } from "./legacy/parked-calls.ts";
import type { SessionPool } from "./legacy/session-pool.ts";
import type { Changes } from "./listening/changes.ts";
import { paceProgress } from "./progress-pace.ts";
import type { ServerSpec } from "./spec.ts";

export interface PooledClient extends ServerClient {
  status(): ServerStatus;
  /** Calls that wait for their agent's answers. */
  parkedCalls(): number;
  /** Takes no more calls, lets those in flight finish within the bound, then closes. */
  retire(drainTimeoutMs: number): Promise<void>;
}

export interface ServerClientOptions {
  readonly spec: ServerSpec;
  readonly connection: Connection;
  readonly changes: Changes;
  readonly sessions: SessionPool;
  readonly parked: ParkedCalls;
  readonly tasks: HeldTasks;
  readonly callServer: CallServer;
  readonly closePool: () => void;
  readonly clock: Clock;
  readonly metrics: Metrics;
}

/** How many failures in a row make a connected server `failing`. */
const failingAfter = 3;
const busyRetryAfterMs = 1_000;

export function createServerClient(options: ServerClientOptions): PooledClient {
  const { spec, connection, sessions, parked, clock, metrics } = options;
  const labels = { server: spec.name };
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
    const refusal = refuse(request, context);
    if (refusal !== undefined) return { kind: "fault", fault: refusal };
    inFlight += 1;
    const startedMs = clock.monotonicMs();
    const pace =
      request.envelope.progressTokenText === undefined
        ? undefined
        : paceProgress({ relay, clock, countDropped });
    try {
      const outcome = await options.callServer(request, context, pace?.relay ?? relay);
      pace?.end();
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

  function countDropped(): void {
    metrics.count("mcp_gateway_progress_dropped_total", labels);
  }

  function refuse({ params }: McpRequest, { signal }: CallContext): Fault | undefined {
    const comesBack = params !== undefined && memberText(params, "requestState") !== undefined;
    // A call that waits is taken back even where its agent left before it came back.
    if (signal.aborted && !comesBack) return cancelled;
    if (isRetired) return unreachable(spec.name, "closed-by-gateway");
    // A call that comes back for its answers has its place already.
    if (comesBack || inFlight + parked.size() < spec.maxInFlight) return undefined;
    return createFault(
      "too-many-in-flight",
      `Server ${spec.name} already has ${spec.maxInFlight} calls in flight, the most allowed`,
      { retryAfterMs: busyRetryAfterMs },
    );
  }

  function note(outcome: Outcome): void {
    if (outcome.kind !== "fault") {
      failures = 0;
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
    options.changes.close();
    parked.close();
    options.tasks.close();
    await Promise.all([sessions.close(), connection.close()]);
    options.closePool();
  }

  return {
    spec,
    call,
    listen: options.changes.listen,
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
        inFlight: inFlight + parked.size(),
        restarts: connection.restarts() + sessions.restarts(),
      };
    },
    parkedCalls: () => parked.size(),
    async retire(drainTimeoutMs) {
      isRetired = true;
      options.changes.close();
      // Their agents can no longer come back to them.
      parked.close();
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
