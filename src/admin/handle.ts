/**
 * The one adapter between gRPC and the admin services: who is asking, may they, is the message sound, is there room,
 * then the service, with the use recorded and every error rendered through the catalogue. No service sees gRPC; no
 * other file calls a service.
 */
import type {
  handleServerStreamingCall,
  handleUnaryCall,
  ServerUnaryCall,
  ServerWritableStream,
  UntypedServiceImplementation,
} from "@grpc/grpc-js";
import type { RecordDraft } from "../audit/record.ts";
import { GatewayError } from "../errors/fault.ts";
import type { Log } from "../telemetry/log.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { AdminServices, Caller, Operator } from "./caller.ts";
import type { Rpc, ServiceFacts } from "./definition.ts";
import { type Authenticate, authenticateCall, toSignal, writeAll } from "./grpc-call.ts";
import { statusName, toFault, toStatus } from "./grpc-status.ts";
import { findPermission, functionName, mayUse, type RpcKind, rolesHolding } from "./permissions.ts";
import { reachOf } from "./reach.ts";
import { type RpcRecordDeps, recordDenial, recordMiss, recordUse } from "./rpc-record.ts";
import { findWireProblem } from "./wire-check.ts";

export interface HandleDeps extends RpcRecordDeps {
  readonly services: AdminServices;
  readonly authenticate: Authenticate;
  readonly log: Log;
  readonly metrics: Pick<Metrics, "count">;
  /** Aborts when the server takes no new calls. */
  readonly draining: AbortSignal;
  /** Aborts when it gives up waiting for calls to finish. */
  readonly stopping: AbortSignal;
  readonly maxInFlightPerOperator: number;
}

type AnyCall = ServerUnaryCall<Buffer, object> | ServerWritableStream<Buffer, object>;
type ServiceFunction = (request: never, caller: Caller) => Promise<object> | AsyncIterable<object>;

interface Admitted {
  readonly operator: Operator;
  readonly kind: RpcKind;
  readonly request: object;
}

const wireLimits = { depthMax: 32, fieldsMax: 200_000 };

/** Makes the implementation grpc-js wants of each service; they share the limits. */
export function createHandle(
  deps: HandleDeps,
): (facts: ServiceFacts) => UntypedServiceImplementation {
  const takeRoom = createRoom(deps.maxInFlightPerOperator);
  return ({ rpcs }) =>
    Object.fromEntries(
      rpcs.map((rpc) => [
        rpc.method,
        rpc.isStream ? streaming(deps, rpc, takeRoom) : unary(deps, rpc, takeRoom),
      ]),
    );
}

function unary(deps: HandleDeps, rpc: Rpc, takeRoom: TakeRoom): handleUnaryCall<Buffer, object> {
  return (call, callback) => {
    const work = (request: object, caller: Caller) => {
      const answer = needFunction(deps.services, rpc)(request as never, caller);
      if (Symbol.asyncIterator in answer) throw new Error(`${rpc.method} streams, but must not`);
      return answer;
    };
    void serve(deps, rpc, call, takeRoom, work).then(
      (answer) => callback(null, answer),
      (error: unknown) => callback(toStatus(toFault(error))),
    );
  };
}

function streaming(
  deps: HandleDeps,
  rpc: Rpc,
  takeRoom: TakeRoom,
): handleServerStreamingCall<Buffer, object> {
  return (call) => {
    const work = (request: object, caller: Caller) => {
      const answers = needFunction(deps.services, rpc)(request as never, caller);
      if (!(Symbol.asyncIterator in answers)) throw new Error(`${rpc.method} must stream`);
      return writeAll(call, answers, caller.signal);
    };
    void serve(deps, rpc, call, takeRoom, work).then(
      () => call.end(),
      (error: unknown) => call.emit("error", toStatus(toFault(error))),
    );
  };
}

/** Everything between a call and its answer. Rejects with what `toFault` understands, or with a bug. */
async function serve<T>(
  deps: HandleDeps,
  rpc: Rpc,
  call: AnyCall,
  takeRoom: TakeRoom,
  work: (request: object, caller: Caller) => Promise<T>,
): Promise<T> {
  const method = `${rpc.service}/${rpc.method}`;
  try {
    const { operator, kind, request } = await admit(deps, rpc, call);
    using _room = takeRoom(operator.name);
    let noted: RecordDraft["facts"] = {};
    const caller: Caller = {
      ...operator,
      signal: toSignal(call, deps.stopping),
      draining: deps.draining,
      note: (facts) => {
        noted = { ...noted, ...facts };
      },
    };
    const use = { rpc, kind, operator, request, noted: () => noted };
    const result = await recordUse(deps, use, () => work(request, caller)).catch(
      async (error: unknown) => {
        await recordMiss(deps, use, error);
        throw error;
      },
    );
    deps.metrics.count("mcp_gateway_admin_calls_total", { method, status: "OK" });
    return result;
  } catch (error) {
    const fault = toFault(error);
    if (fault === undefined) deps.log.error("admin.bug", { method, error: describeBug(error) });
    deps.metrics.count("mcp_gateway_admin_calls_total", { method, status: statusName(fault) });
    throw error;
  }
}

/** Who, may, sound: in this order, so a stranger's bytes are never decoded. */
async function admit(deps: HandleDeps, rpc: Rpc, call: AnyCall): Promise<Admitted> {
  let operator: Operator | undefined;
  try {
    operator = authenticateCall(call, deps.authenticate);
    const row = needPermission(rpc, operator);
    needReach(rpc, operator);
    return { operator, kind: row.kind, request: decodeStrictly(rpc, call.request) };
  } catch (error) {
    const reason = toFault(error)?.reason ?? "refused";
    await recordDenial(deps, rpc, operator, reason);
    throw error;
  }
}

function needPermission(rpc: Rpc, operator: Operator) {
  const row = findPermission(rpc.service, rpc.method);
  if (row === undefined) {
    throw new GatewayError("policy-denied", `${rpc.method} has no permission row`);
  }
  if (mayUse(operator, row.permission)) return row;
  const roles = rolesHolding(row.permission).join(", ");
  throw new GatewayError(
    "policy-denied",
    `${rpc.method} needs the permission ${row.permission}, which these roles have: ${roles}`,
    { reason: row.permission },
  );
}

function needReach(rpc: Rpc, { tenant }: Operator): void {
  if (tenant === undefined || reachOf(rpc.service, rpc.method) === "tenant") return;
  throw new GatewayError(
    "policy-denied",
    `${rpc.method} is about the whole gateway and needs an operator without a tenant`,
    { reason: "gateway-wide" },
  );
}

function decodeStrictly(rpc: Rpc, bytes: Buffer): object {
  const problem = findWireProblem(rpc.requestType, bytes, wireLimits);
  if (problem === undefined) return rpc.decode(bytes);
  throw new GatewayError("invalid-params", `${rpc.method} request: ${problem}`, {
    reason: "invalid-message",
  });
}

type TakeRoom = (operator: string) => Disposable;

/** At most `max` RPCs of one operator at once; operators are few, so the map is bounded by them. */
function createRoom(max: number): TakeRoom {
  const inFlight = new Map<string, number>();
  return (operator) => {
    const count = inFlight.get(operator) ?? 0;
    if (count >= max) {
      throw new GatewayError("too-many-in-flight", `At most ${max} calls at once for one operator`);
    }
    inFlight.set(operator, count + 1);
    return {
      [Symbol.dispose]: () => {
        const left = (inFlight.get(operator) ?? 1) - 1;
        if (left > 0) inFlight.set(operator, left);
        else inFlight.delete(operator);
      },
    };
  };
}

/** The types of request and function come from the same descriptor; this is where they meet untyped. */
function needFunction(services: AdminServices, rpc: Rpc): ServiceFunction {
  const byName: Readonly<Record<string, Readonly<Record<string, ServiceFunction>>>> = services;
  const found = byName[rpc.service]?.[functionName(rpc.method)];
  if (found === undefined) {
    throw new GatewayError("method-not-found", `${rpc.service}/${rpc.method} is not available`);
  }
  return found;
}

function describeBug(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message).slice(0, 4096) : typeof error;
}
