/**
 * How the use of an RPC gets into the audit: a change is recorded before it is applied and again after, a look at the
 * records before it is answered. Called by `handle.ts` around every RPC.
 */
import type { AuditLog, RecordDraft } from "../audit/record.ts";
import { GatewayError } from "../errors/fault.ts";
import type { Clock } from "../lib/clock.ts";
import type { Operator } from "./caller.ts";
import type { Rpc } from "./definition.ts";
import { statusName, toFault } from "./grpc-status.ts";
import type { RpcKind } from "./permissions.ts";

export interface RpcRecordDeps {
  readonly audit: Pick<AuditLog, "append">;
  readonly clock: Clock;
}

export interface RpcUse {
  readonly rpc: Rpc;
  readonly kind: RpcKind;
  readonly operator: Operator;
  readonly request: object;
  /** What the service noted so far. */
  readonly noted: () => RecordDraft["facts"];
}

const targetLengthMax = 256;

/** Runs `work` with the records its kind asks for. Without the first record nothing runs. */
export async function recordUse<T>(
  deps: RpcRecordDeps,
  use: RpcUse,
  work: () => Promise<T>,
): Promise<T> {
  const { kind } = use;
  if (kind === "read") return work();
  if (kind === "write" && !isValidateOnly(use.request)) return recordTwice(deps, use, work);
  if (kind === "export") return recordTwice(deps, use, work);
  await deps.audit.append(draft(deps, use, "admin.read", "B", {}), "written");
  return work();
}

/** A refusal. Known operators leave a record each; strangers one that is dropped under a flood. */
export async function recordDenial(
  deps: RpcRecordDeps,
  rpc: Rpc,
  operator: Operator | undefined,
  reason: string,
): Promise<void> {
  const isKnown = operator !== undefined;
  await deps.audit.append(
    {
      event: "admin.denied",
      class: isKnown ? "B" : "C",
      timeMs: deps.clock.nowMs(),
      facts: { method: methodName(rpc), status: "denied", reason, tenant: operator?.tenant },
      details: { principal: isKnown ? principalOf(operator) : null },
    },
    isKnown ? "written" : "queued",
  );
}

/**
 * An operator of a tenant asked for what is not the tenant's, or is nowhere. Both leave a record before the answer, so
 * that not even its time tells them apart (AZ-15).
 */
export async function recordMiss(deps: RpcRecordDeps, use: RpcUse, error: unknown): Promise<void> {
  const fault = toFault(error);
  if (use.operator.tenant === undefined || fault?.name !== "resource-not-found") return;
  const facts = { status: "denied", reason: fault.reason ?? "not-found" };
  await deps.audit.append(draft(deps, use, "admin.denied", "A", facts), "synced");
}

async function recordTwice<T>(
  deps: RpcRecordDeps,
  use: RpcUse,
  work: () => Promise<T>,
): Promise<T> {
  const event = use.kind === "write" ? "admin.change" : "admin.export";
  const intent = await deps.audit.append(
    draft(deps, use, event, "A", { phase: "intent" }),
    "synced",
  );
  const close = (status: string) =>
    deps.audit.append(
      draft(deps, use, event, "A", {
        phase: "outcome",
        intent: intent.seq,
        status,
        ...use.noted(),
      }),
      "synced",
    );
  let result: T;
  try {
    result = await work();
  } catch (error) {
    await close(statusName(toFault(error)));
    throw error;
  }
  await close("OK").catch((cause: unknown) => {
    throw new GatewayError("outcome-unrecorded", "Done, but the outcome could not be recorded", {
      cause,
    });
  });
  return result;
}

function draft(
  { clock }: RpcRecordDeps,
  use: RpcUse,
  event: RecordDraft["event"],
  auditClass: RecordDraft["class"],
  facts: RecordDraft["facts"],
): RecordDraft {
  return {
    event,
    class: auditClass,
    timeMs: clock.nowMs(),
    facts: {
      method: methodName(use.rpc),
      validateOnly: isValidateOnly(use.request) || undefined,
      tenant: use.operator.tenant ?? findTenant(use.request),
      ...facts,
    },
    details: { principal: principalOf(use.operator), target: findTarget(use.request) ?? null },
  };
}

function methodName(rpc: Rpc): string {
  return `${rpc.service}/${rpc.method}`;
}

function principalOf(operator: Operator): string {
  return `operator:${operator.name}`;
}

function isValidateOnly(request: object): boolean {
  return "validate_only" in request && request.validate_only === true;
}

/** The tenant that the request names, itself or in the object it carries. */
function findTenant(request: object): string | undefined {
  for (const part of [request, ...Object.values(request)]) {
    if (typeof part !== "object" || part === null || Array.isArray(part)) continue;
    const tenant: unknown = Reflect.get(part, "tenant");
    if (typeof tenant === "string" && tenant !== "") return tenant.slice(0, targetLengthMax);
  }
  return undefined;
}

/** The id or name the request is about: its own, or that of the object it carries. Never another field. */
function findTarget(request: object): string | undefined {
  for (const part of [request, ...Object.values(request)]) {
    if (typeof part !== "object" || part === null || Array.isArray(part)) continue;
    for (const key of ["id", "name", "client_id", "token_id", "server"] as const) {
      const value: unknown = Reflect.get(part, key);
      if (typeof value === "string" && value !== "") return value.slice(0, targetLengthMax);
    }
  }
  return undefined;
}
