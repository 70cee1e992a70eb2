/**
 * Reads a recorded call back into a question of policy. Says what the record does not tell, and guesses nothing: a
 * principal whose roles were not recorded is not one without roles. Called by `admin/services/policy-replay.ts`.
 */
import type { TargetKind } from "../protocol/methods.ts";
import type { AuditRow } from "../storage/store.ts";
import type { RecordedFacts } from "./recorded-decision.ts";
import type { Action, Asker, ClientGrants, Question } from "./rule.ts";

/** A registered client as a state has it: it brings its own roles. */
export interface KnownClient extends Pick<ClientGrants, "id" | "tenant"> {
  readonly roles: readonly string[];
}

export interface RecordedCall {
  readonly question: Question;
  readonly facts: RecordedFacts;
  /** What decided it when it was made; undefined where that is not recorded. */
  readonly decidedBy: string | undefined;
  /** The principal as a state has it, or why that is not known. */
  asker(clients: ReadonlyMap<string, KnownClient>): Asker | { readonly unknown: string };
}

const targets: Readonly<Record<string, { readonly kind: TargetKind; readonly action: Action }>> = {
  "tools/call": { kind: "tool", action: "invoke_tool" },
  "resources/read": { kind: "resource", action: "read_resource" },
  "prompts/get": { kind: "prompt", action: "get_prompt" },
};

type Values = Readonly<Record<string, unknown>>;

/** Undefined where the row is no call of a target; `unknown` where it does not say of which. */
export function readRecordedCall(
  row: AuditRow,
  facts: Values,
  details: Values,
): RecordedCall | { readonly unknown: string } | undefined {
  const asked = targets[row.method ?? ""];
  if (asked === undefined) return undefined;
  const { server } = row;
  const target = asked.kind === "resource" ? textOf(details.resource) : (row.tool ?? undefined);
  if (server === null || target === undefined) return { unknown: "target not recorded" };
  const durationMs = typeof facts.durationUs === "number" ? facts.durationUs / 1000 : 0;
  return {
    question: { ...asked, server, target },
    facts: { timeMs: row.timeMs - durationMs, peer: textOf(details.peer) },
    decidedBy: row.decision ?? undefined,
    asker: (clients) => readAsker(row, facts, details, clients),
  };
}

function readAsker(
  row: AuditRow,
  facts: Values,
  details: Values,
  clients: ReadonlyMap<string, KnownClient>,
): Asker | { readonly unknown: string } {
  const { principal } = row;
  if (principal === null) return { unknown: "principal not recorded" };
  const [kind = "", ...rest] = principal.split(":");
  const named = rest.join(":");
  if (principal === "anonymous") {
    return { id: principal, clientId: undefined, subject: undefined, roles: [], groups: [] };
  }
  if (kind === "client") {
    const client = clients.get(named);
    if (client === undefined) return { unknown: "client no longer registered" };
    const { tenant, roles } = client;
    return { id: principal, clientId: named, subject: undefined, tenant, roles, groups: [] };
  }
  const who = kind === "user" ? splitUser(named) : undefined;
  if (who === undefined) return { unknown: "principal not understood" };
  const roles = listOf(details.roles);
  const groups = listOf(details.groups);
  if (roles === undefined || groups === undefined || details.askerCut === true) {
    return { unknown: "roles or groups not recorded" };
  }
  const clientId = row.client ?? undefined;
  const tenant = textOf(details.tenant) ?? textOf(facts.tenant);
  const workspace = textOf(details.workspace) ?? textOf(facts.workspace);
  return { id: principal, ...who, clientId, tenant, workspace, roles, groups };
}

/**
 * `<issuer>#<subject>`. An issuer has no fragment (RFC 8414), but a subject may hold anything: the first `#` parts.
 * Also for people, who write principals as the records do.
 */
export function splitUser(
  named: string,
): { readonly issuer: string; readonly subject: string } | undefined {
  const at = named.indexOf("#");
  return at < 1 ? undefined : { issuer: named.slice(0, at), subject: named.slice(at + 1) };
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** A JSON array of texts; undefined for anything else. */
function listOf(value: unknown): readonly string[] | undefined {
  if (typeof value !== "string") return undefined;
  try {
    const parsed: unknown = JSON.parse(value);
    const isList = Array.isArray(parsed) && parsed.every((one) => typeof one === "string");
    return isList ? parsed : undefined;
  } catch {
    return undefined;
  }
}
