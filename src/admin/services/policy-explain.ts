/**
 * Explain: what policy says of any principal and any call, and why, by the policy in force or as if a draft were. It
 * asks the very parts that decide calls, so its answer is the decision and not a second opinion.
 */
import { GatewayError } from "../../errors/fault.ts";
import type { ExplainRequest, ExplainResponse, PolicyService } from "../../gen/types.ts";
import type { Clock } from "../../lib/clock.ts";
import { explain } from "../../policy/explain.ts";
import { splitUser } from "../../policy/recorded-call.ts";
import type { Asker, CallFacts, Question } from "../../policy/rule.ts";
import { resolveName } from "../../route/names.ts";
import type { CurrentSnapshot, Snapshot } from "../../state/snapshot.ts";
import type { Caller } from "../caller.ts";
import type { StateWriter } from "../change-state.ts";
import { orNone, orUndefined, toAction } from "../convert/common.ts";
import { fromExplanation } from "../convert/explanation.ts";
import { isOwn, needTenant, notThere } from "../tenants.ts";
import { snapshotWithDraft } from "./policy-replay.ts";

export interface PolicyExplainDeps {
  readonly state: StateWriter;
  readonly current: CurrentSnapshot;
  readonly clock: Clock;
}

const clientPrincipal = "client:";
const userPrincipal = "user:";
const targetKinds = {
  list_tools: "tool",
  invoke_tool: "tool",
  read_resource: "resource",
  get_prompt: "prompt",
} as const;

export function createExplainRpc(deps: PolicyExplainDeps): Pick<PolicyService<Caller>, "explain"> {
  return {
    async explain(request, caller): Promise<ExplainResponse> {
      const snapshot =
        request.draft === ""
          ? deps.current.get()
          : await snapshotWithDraft(deps.state, request.draft, caller);
      const question = toQuestion(request, snapshot, deps.clock);
      const asker = toAsker(request, snapshot, caller);
      needServerInSight(question.server, snapshot, caller);
      const explanation = explain(snapshot.policyInput, asker, question);
      return fromExplanation(explanation, { asker, question, snapshot });
    },
  };
}

function toQuestion(request: ExplainRequest, snapshot: Snapshot, clock: Clock): Question {
  const action = toAction(request.action, "action");
  if (action === "*") {
    throw new GatewayError("invalid-params", "action: ask for one action, not for any");
  }
  const kind = targetKinds[action];
  return { ...findTarget(request, kind, snapshot), action, kind, call: toCall(request, clock) };
}

/** Undefined where nothing is said of the call: then as a list asks. */
function toCall(
  { arguments_json, peer, time_ms }: ExplainRequest,
  clock: Clock,
): CallFacts | undefined {
  if (arguments_json === "" && peer === "" && time_ms === 0) return undefined;
  return {
    argumentsText: orUndefined(arguments_json),
    peer,
    nowMs: time_ms === 0 ? clock.nowMs() : time_ms,
  };
}

/** The server and the target's own name there; names of a scope are read as authorize reads them. */
function findTarget(
  { server, scope: scopeName, target }: ExplainRequest,
  kind: Question["kind"],
  { scopes, servers }: Snapshot,
): Pick<Question, "server" | "target"> {
  if ((server === "") === (scopeName === "")) {
    throw new GatewayError("invalid-params", "give server or scope, one of the two");
  }
  if (server !== "") return { server, target };
  const scope = scopes.get(scopeName);
  if (scope === undefined) throw notThere("scope", scopeName, false);
  if (kind === "resource") {
    if (scope.kind === "server") return { server: scope.name, target };
    throw new GatewayError(
      "invalid-params",
      "scope: a resource's server is not in its name; give server",
    );
  }
  const resolved = resolveName(scope, kind, target, servers, { find: () => undefined });
  if (resolved === undefined) throw notThere(`${kind} in scope "${scopeName}"`, target, false);
  return { server: resolved.server, target: resolved.name };
}

/** To an operator of a tenant, another tenant's server is as unknown as one that is not there. */
function needServerInSight(name: string, { policyInput }: Snapshot, caller: Caller): void {
  if (caller.tenant === undefined) return;
  const server = policyInput.servers?.find((one) => one.name === name);
  const isInSight = server && (server.tenant === undefined || server.tenant === caller.tenant);
  if (!isInSight) throw notThere("server", name, server !== undefined);
}

/** A registered client brings its own roles, as it would when it calls. */
function toAsker(request: ExplainRequest, snapshot: Snapshot, caller: Caller): Asker {
  const { roles, groups, amr } = request;
  const principal = principalOf(request);
  const token = {
    workspace: orUndefined(request.workspace),
    scopes: orNone(request.scopes),
    acr: orUndefined(request.acr),
    amr,
    authenticatedAtMs: request.authenticated_at_ms || undefined,
    claims: toClaims(request.claims_json),
    groups,
  };
  if (!principal.startsWith(clientPrincipal)) {
    const who = principal.startsWith(userPrincipal)
      ? splitUser(principal.slice(userPrincipal.length))
      : undefined;
    const subject = orUndefined(request.subject) ?? who?.subject;
    const issuer = orUndefined(request.issuer) ?? who?.issuer;
    const tenant = needTenant(caller, request.tenant);
    return { ...token, id: principal, clientId: undefined, subject, issuer, tenant, roles };
  }
  const clientId = principal.slice(clientPrincipal.length);
  const client = snapshot.clients.get(clientId);
  if (client === undefined || !isOwn(caller, client.tenant)) {
    throw notThere("client", clientId, client !== undefined);
  }
  const subject = orUndefined(request.subject);
  const { tenant } = client;
  return { ...token, id: principal, clientId, subject, tenant, roles: [...client.roles, ...roles] };
}

function principalOf({ principal, issuer, subject }: ExplainRequest): string {
  if (principal !== "") return principal;
  if (issuer !== "" && subject !== "") return `${userPrincipal}${issuer}#${subject}`;
  throw new GatewayError("invalid-params", "principal: must be set, or issuer and subject");
}

function toClaims(text: string): Asker["claims"] {
  if (text === "") return undefined;
  try {
    const claims: unknown = JSON.parse(text);
    const isObject = typeof claims === "object" && claims !== null && !Array.isArray(claims);
    if (isObject) return claims as NonNullable<Asker["claims"]>;
  } catch {
    // Told below.
  }
  throw new GatewayError("invalid-params", "claims_json: must be a JSON object");
}
