/**
 * What the log says about a call: its durability class, the facts in the hashed envelope and the personal details
 * that are only committed to: of bodies their sizes and digests. Where bodies themselves are kept, `stored-bodies.ts`
 * adds them.
 */
import { type AuditClass, auditClasses, type RecordDraft } from "../audit/record.ts";
import { catalogue } from "../errors/catalogue.ts";
import type { Principal } from "../identity/principal.ts";
import { recordedName } from "../policy/reasons.ts";
import type { Obligations } from "../policy/rule.ts";
import { isInputRequired } from "../protocol/input-required.ts";
import { memberText, objectText } from "../protocol/json-view.ts";
import type { Outcome } from "../protocol/messages.ts";
import type { DataClass } from "../servers/spec.ts";
import type { CallRecord, Exchange } from "./exchange.ts";
import { settingOf } from "./stages/cache.ts";

/** As the call's nature has it, or stricter where policy or the tool's setting asks for that. */
export function classOf(x: Exchange): AuditClass {
  const owed = stricter(natureOf(x), x.decision?.obligations?.auditClass);
  return stricter(owed, x.method?.target === "tool" ? settingOf(x)?.auditClass : undefined);
}

function stricter(own: AuditClass, asked: AuditClass | undefined): AuditClass {
  if (asked === undefined) return own;
  return auditClasses.indexOf(asked) < auditClasses.indexOf(own) ? asked : own;
}

/**
 * A: tools, and what makes a tool's task go on or stop, unless the operator vouched that they only read harmless data.
 * B: those, calls that never went out for their arguments, resource and prompt reads, and refusals of known principals. C: lists, discovery, listens, answers from
 * memory, notifications.
 */
function natureOf(x: Exchange): AuditClass {
  const method = x.method?.method;
  if (x.request === undefined || method === undefined || x.cached) return "C";
  const isList = x.method?.listMember !== undefined && x.method.nameMember === undefined;
  if (isList || x.method?.lasts || method === "server/discover") return "C";
  if (x.argumentsInvalid || !actingMethods.has(method)) return "B";
  return settingOf(x)?.readOnly === true && isHarmless(dataClassOf(x)) ? "B" : "A";
}

const actingMethods = new Set(["tools/call", "tasks/update", "tasks/cancel"]);

function isHarmless(dataClass: DataClass | undefined): boolean {
  return dataClass === "PUBLIC" || dataClass === "INTERNAL";
}

export function dataClassOf(x: Exchange): DataClass | undefined {
  return x.resolved && x.snapshot.servers.get(x.resolved.server)?.dataClass;
}

/** What is known before the call and said in both of its records. */
export function callRecord(x: Exchange, auditClass = classOf(x)): CallRecord {
  return { class: auditClass, facts: callFacts(x), details: callDetails(x) };
}

/** What is asked of whom, under which state. */
function callFacts(x: Exchange): RecordDraft["facts"] {
  return {
    correlationId: x.id,
    binding: x.incoming.binding,
    revision: x.incoming.revision,
    scope: x.incoming.scope,
    tenant: x.principal?.tenant,
    workspace: x.principal?.workspace,
    method: x.request?.method.slice(0, 128) ?? x.incoming.message.kind,
    server: x.resolved?.server,
    dataClass: dataClassOf(x),
    tool: x.method?.target === "resource" ? undefined : x.resolved?.name,
    decision: x.decision && recordedName(x.decision.ruleId),
    owed: owedText(x.decision?.obligations),
    stateRevision: x.snapshot.stateRevision,
    requestBytes: x.incoming.bodyBytes,
  };
}

/** Which obligations the decision brought, by their short names; what each asks is in the rules of the revision. */
function owedText(owed: Obligations | undefined): string | undefined {
  if (owed === undefined) return undefined;
  const names = [
    owed.scopes.length > 0 && "scopes",
    owed.stepUp.length > 0 && "step-up",
    owed.approval && "approval",
    owed.redaction !== undefined && `redaction:${owed.redaction}`,
    owed.auditClass !== undefined && `audit:${owed.auditClass}`,
    owed.rateTier !== undefined && `tier:${owed.rateTier}`,
    owed.rateLimits.length > 0 && "rate",
  ].filter((name) => name !== false);
  return names.length === 0 ? undefined : names.join(",").slice(0, 256);
}

function callDetails(x: Exchange): RecordDraft["details"] {
  const argumentsText = x.request?.params && memberText(x.request.params, "arguments");
  return {
    principal: x.principal?.id,
    client: x.principal?.clientId,
    session: x.incoming.sessionId,
    peer: x.incoming.peer.address,
    resource: x.method?.target === "resource" ? x.resolved?.name : undefined,
    argumentsDigest: argumentsText === undefined ? undefined : digest(argumentsText),
  };
}

/** Longest list kept, as JSON text: a record has room for more things than groups. */
const listCharsMax = 2_048;

interface Asker {
  readonly roles?: string | undefined;
  readonly groups?: string | undefined;
  readonly askerCut?: true | undefined;
}

const nobody: Asker = Object.freeze({});

/** A principal is one object for as long as its credential is remembered. */
const askers = new WeakMap<Principal, Asker>();

/**
 * What policy saw of the principal, so that another policy can be asked the same: once a call, in the record of how it
 * ended. Lists are JSON, cut at whole names. A client's roles are its registration's, so its empty lists say nothing
 * new; a user's are only here.
 */
function askerOf(principal: Principal | undefined): Asker {
  if (principal === undefined) return nobody;
  const known = askers.get(principal);
  if (known !== undefined) return known;
  const details = describeAsker(principal);
  askers.set(principal, details);
  return details;
}

function describeAsker(principal: Principal): Asker {
  const isKept = (names: readonly string[]) => names.length > 0 || principal.kind === "user";
  const roles = isKept(principal.roles) ? listText(principal.roles) : {};
  const groups = isKept(principal.groups) ? listText(principal.groups) : {};
  return {
    roles: roles.text,
    groups: groups.text,
    askerCut: roles.isCut || groups.isCut || undefined,
  };
}

function listText(names: readonly string[]): { readonly text?: string; readonly isCut?: true } {
  const whole = JSON.stringify(names);
  if (whole.length <= listCharsMax) return { text: whole };
  const kept: string[] = [];
  let chars = 2;
  for (const name of names) {
    chars += JSON.stringify(name).length + 1;
    if (chars > listCharsMax) break;
    kept.push(name);
  }
  return { text: JSON.stringify(kept), isCut: true };
}

/** What both the counters and the record say of the end. */
export interface Ended {
  readonly status: string;
  readonly durationMs: number;
}

/** The facts known before it and those known after it: how it ended. One literal, since joining two costs more. */
export function outcomeFacts(
  x: Exchange,
  before: RecordDraft["facts"],
  outcome: Outcome,
  { status, durationMs }: Ended,
): RecordDraft["facts"] {
  return {
    ...before,
    intent: x.intentSeq,
    status,
    error: outcome.kind === "fault" ? outcome.fault.name : undefined,
    reason: reasonOf(x, outcome),
    code: codeOf(outcome),
    cached: x.cached || undefined,
    redactions: x.redactions === 0 ? undefined : x.redactions,
    resultBytes: outcome.kind === "result" ? outcome.result.end - outcome.result.start : undefined,
    durationUs: Math.round(durationMs * 1000),
  };
}

function reasonOf(x: Exchange, outcome: Outcome): string | undefined {
  if (outcome.kind === "fault") {
    // A refusal's reason may be the decision behind it.
    const { reason } = outcome.fault;
    return reason === undefined ? undefined : recordedName(reason);
  }
  return x.argumentsInvalid ? "arguments-invalid" : undefined;
}

/** The details known before it, what policy saw of the caller, and what came of it; one literal here too. */
export function outcomeDetails(
  x: Exchange,
  before: RecordDraft["details"],
  outcome: Outcome,
  bodies: RecordDraft["details"] | undefined,
): RecordDraft["details"] {
  const { roles, groups, askerCut } = askerOf(x.principal);
  const details = { ...before, roles, groups, askerCut, resultDigest: resultDigest(outcome) };
  return bodies === undefined ? details : { ...details, ...bodies };
}

/** Digest of the result, committed to so that a kept copy can be matched later. */
function resultDigest(outcome: Outcome): string | undefined {
  return outcome.kind === "result" ? digest(objectText(outcome.result)) : undefined;
}

/** One word for how a call ended, for filters and metrics. */
export function statusOf(outcome: Outcome): string {
  switch (outcome.kind) {
    case "result":
      if (isInputRequired(outcome.result)) return "input_required";
      return memberText(outcome.result, "isError") === "true" ? "tool_error" : "success";
    case "error":
      return "error";
    case "fault":
      return faultStatus(outcome.fault.name);
    default: {
      const never: never = outcome;
      return never;
    }
  }
}

function faultStatus(name: keyof typeof catalogue): string {
  switch (name) {
    case "unauthenticated":
      return "unauthenticated";
    case "target-hidden":
    case "policy-denied":
    case "insufficient-scope":
    case "step-up-required":
    case "approval-required":
    case "origin-refused":
    case "scope-unknown":
      return "denied";
    case "rate-limited":
    case "too-many-in-flight":
      return "rate_limited";
    case "upstream-timeout":
      return "timeout";
    case "cancelled":
      return "cancelled";
    default:
      return catalogue[name].http >= 500 ? "failed" : "rejected";
  }
}

function codeOf(outcome: Outcome): number | undefined {
  if (outcome.kind === "error") return outcome.error.code;
  return outcome.kind === "fault" ? catalogue[outcome.fault.name].code : undefined;
}

function digest(text: string): string {
  return Bun.SHA256.hash(text, "hex");
}
