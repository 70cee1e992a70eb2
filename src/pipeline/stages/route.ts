/**
 * Where the call goes, under which names; and back: lists and discovery under the names the scope exposes. A tool
 * its server does not list ends here with the very answer that policy gives for a hidden one.
 */
import { createFault } from "../../errors/fault.ts";
import {
  findMember,
  objectMember,
  objectText,
  stringMember,
  withMembers,
} from "../../protocol/json-view.ts";
import type { McpRequest, Outcome } from "../../protocol/messages.ts";
import { type ListMember, lists } from "../../protocol/methods.ts";
import { asPrivate, joinHints, readHints } from "../../route/hints.ts";
import { filterList, mergeLists } from "../../route/merge.ts";
import { serversOf } from "../../route/names.ts";
import type { Servers } from "../../servers/client.ts";
import type { Scope } from "../../state/snapshot.ts";
import {
  type Answer,
  type Exchange,
  type Forwarding,
  proceed,
  refuse,
  type Verdict,
} from "../exchange.ts";
import type { LongNameMemory } from "../long-names.ts";
import { declaredBy } from "../remembered-tools.ts";
import { readList } from "../server-lists.ts";
import { offersSkills } from "../skills.ts";
import type { Stage } from "../stage.ts";
import { nameTask, withServerTask } from "../task-access.ts";
import type { TaskIds } from "../task-ids.ts";
import { targetHidden } from "./authorize.ts";
import { checkParamHeaders, type ParamHeadersDeps } from "./param-headers.ts";
import { checkArguments, type ValidateDeps } from "./validate.ts";

export interface RouteDeps extends Pick<ParamHeadersDeps, "paramHeaders">, ValidateDeps {
  readonly servers: Servers;
  readonly longNames: LongNameMemory;
  readonly taskIds: TaskIds;
}

export function createRouteStage(deps: RouteDeps): Stage {
  return {
    name: "route",
    enter(x: Exchange): Verdict | Promise<Verdict> {
      const { request, method, scope, principal, resolved } = x;
      if (
        request === undefined ||
        method === undefined ||
        scope === undefined ||
        principal === undefined
      ) {
        return refuse(createFault("internal", "Internal error"));
      }
      if (x.listened !== undefined) {
        x.target = { kind: "listen", ...x.listened };
        return proceed;
      }
      if (x.taskId !== undefined && resolved !== undefined) {
        const { server } = resolved;
        x.target = {
          kind: "server",
          forwarding: { server, request: withServerTask(request, x.taskId) },
        };
        return proceed;
      }
      if (method.isAboutSkills) return routeSkills(deps, x, scope.name, request);
      if (resolved !== undefined) {
        x.target = {
          kind: "server",
          forwarding: { server: resolved.server, request: renamed(request, resolved.name) },
        };
        return method.method === "tools/call"
          ? requireListed(deps, x, resolved.server, resolved.name)
          : proceed;
      }
      const visible = serversOf(scope, x.snapshot.servers).filter((server) =>
        x.snapshot.policy.seesServer(principal, server),
      );
      if (method.method === "server/discover") {
        x.target = { kind: "discover", servers: visible };
        return proceed;
      }
      if (method.listMember === undefined)
        return refuse(createFault("method-not-found", "Method not found"));
      return routeList(x, request, visible);
    },
    leave(x: Exchange): void | Promise<void> {
      const list = x.method?.listMember;
      if (x.outcome !== undefined) x.outcome = nameTask(deps.taskIds, x, x.outcome);
      if (x.outcome?.kind === "error") return hideUnknown(deps, x, x.outcome.error.code);
      if (list === undefined || x.scope === undefined || x.target?.kind !== "merge") return;
      if (x.outcome?.kind === "result") x.outcome = joinAnswers(deps, x, x.scope, list);
    },
  };
}

/** Skills are asked of a server's own scope alone, and only where the server announces them. */
async function routeSkills(
  deps: RouteDeps,
  x: Exchange,
  server: string,
  request: McpRequest,
): Promise<Verdict> {
  x.target = { kind: "server", forwarding: { server, request } };
  if (await offersSkills(deps.servers, server, request.method, x.signal)) return proceed;
  return refuse(createFault("method-not-found", "Method not found"));
}

/** A list of one server keeps its pages; a list of several is one page, so it has no cursor to come back with. */
function routeList(x: Exchange, request: McpRequest, visible: readonly string[]): Verdict {
  if (x.scope?.kind === "server") {
    const [server] = visible;
    if (server === undefined) return refuse(createFault("scope-unknown", "Not found"));
    x.target = { kind: "server", forwarding: { server, request } };
    return proceed;
  }
  if (request.params !== undefined && findMember(request.params, "cursor") !== undefined) {
    return refuse(createFault("invalid-params", "Invalid params: unknown cursor"));
  }
  const forwardings: readonly Forwarding[] = visible.map((server) => ({ server, request }));
  x.target = { kind: "merge", forwardings };
  return proceed;
}

/** The request under the target's own name. URIs stay; a completion's prompt is named inside its `ref`. */
function renamed(request: McpRequest, name: string): McpRequest {
  const { params } = request;
  if (params === undefined) return request;
  if (request.method === "completion/complete") {
    const ref = objectMember(params, "ref");
    if (ref === undefined || findMember(ref, "name") === undefined) return request;
    const refText = objectText(withMembers(ref, { name: JSON.stringify(name) }));
    return { ...request, params: withMembers(params, { ref: refText }) };
  }
  if ((stringMember(params, "name") ?? name) === name) return request;
  return { ...request, params: withMembers(params, { name: JSON.stringify(name) }) };
}

function requireListed(
  deps: RouteDeps,
  x: Exchange,
  server: string,
  name: string,
): Promise<Verdict> | Verdict {
  const known = deps.servers.knowsTool(server, name, declaredBy(x), x.principal);
  if (known === true) return proceed;
  return confirmListed(deps, x, server, name);
}

/** Asks the server once more before calling a tool unknown: it may be newer than what is remembered. */
async function confirmListed(
  deps: RouteDeps,
  x: Exchange,
  server: string,
  name: string,
): Promise<Verdict> {
  try {
    const clientCapabilitiesText = declaredBy(x);
    const asked = { signal: x.signal, clientCapabilitiesText, caller: x.principal };
    const tools = await deps.servers.tools(server, { ...asked, refresh: false });
    if (tools.has(name)) return checkListed(deps, x);
    const fresh = await deps.servers.tools(server, { ...asked, refresh: true });
    if (fresh.has(name)) return checkListed(deps, x);
  } catch {
    // The server cannot be asked: forward finds out and says so.
    return proceed;
  }
  const { request } = x;
  const given = request?.params && stringMember(request.params, "name");
  return refuse(targetHidden("tool", given ?? "", "not-listed"));
}

/** What earlier stages could not check while the tool was unknown. */
function checkListed(deps: RouteDeps, x: Exchange): Verdict {
  const verdict = checkParamHeaders(deps, x);
  return verdict === proceed ? checkArguments(deps, x) : verdict;
}

const invalidParamsCode = -32602;

/**
 * A server's own words for a resource or prompt it does not have become the gateway's, so that a denied name cannot
 * be told from a missing one (I-09). A prompt that exists keeps the server's error: it is about its arguments.
 */
function hideUnknown(deps: RouteDeps, x: Exchange, code: number): void | Promise<void> {
  const { request, resolved, method } = x;
  if (code !== invalidParamsCode || resolved === undefined || request?.params === undefined) return;
  const given = stringMember(request.params, method?.nameMember ?? "name") ?? "";
  if (method?.target === "resource") {
    x.outcome = { kind: "fault", fault: targetHidden("resource", given, "not-found") };
    return;
  }
  if (method?.method !== "prompts/get") return;
  const prompts = { method: "prompts/list", listMember: "prompts", member: "name" };
  return readList(deps.servers, resolved.server, prompts, declaredBy(x), x.principal).then(
    (names) => {
      if (names.includes(resolved.name)) return;
      x.outcome = { kind: "fault", fault: targetHidden("prompt", given, "not-listed") };
    },
  );
}

/**
 * Resources do not say whose they are once lists are joined, so what each server lists is filtered by what the
 * principal may read from that very server (P23).
 */
function readableAnswers(x: Exchange): readonly Answer[] {
  const { principal, snapshot, method } = x;
  const list = method?.listMember;
  if (principal === undefined || list === undefined || method?.target !== "resource")
    return x.answers;
  const member = lists[list].key;
  return x.answers.map(({ server, outcome }) => {
    if (outcome.kind !== "result") return { server, outcome };
    const result = filterList(outcome.result, list, (element) => {
      const target = stringMember(element, member) ?? "";
      const asked = { server, kind: "resource", target, action: "read_resource" } as const;
      return snapshot.policy.decide(principal, asked).allowed;
    });
    const isWhole = result === outcome.result;
    return { server, outcome: { kind: "result", result: isWhole ? result : asPrivate(result) } };
  });
}

/** One down server never breaks the list of the others; only when all failed does the list fail. */
function joinAnswers(deps: RouteDeps, x: Exchange, scope: Scope, list: ListMember): Outcome {
  const answers = readableAnswers(x);
  const parts = answers.flatMap(({ server, outcome }) =>
    outcome.kind === "result" ? [{ server, result: outcome.result }] : [],
  );
  const failure = answers.find(({ outcome }) => outcome.kind === "fault");
  if (parts.length === 0 && failure !== undefined) return failure.outcome;
  const ttlOf = (server: string) => x.snapshot.servers.get(server)?.listTtlMs ?? 0;
  const { ttlMs = 0, isPublic } = joinHints(
    parts.map(({ server, result }) => {
      const hints = readHints(result);
      return { ...hints, ttlMs: Math.min(hints.ttlMs ?? ttlOf(server), ttlOf(server)) };
    }),
  );
  const hints = { ttlMs, isPublic };
  return { kind: "result", result: mergeLists(scope, list, parts, hints, deps.longNames) };
}
