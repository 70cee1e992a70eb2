/**
 * The call itself: hands the request to its server, or to several at once, and collects how it ended. Relies on
 * route's target; must not look at results.
 */
import { createFault } from "../../errors/fault.ts";
import { withinTime } from "../../lib/cancellation.ts";
import type { Clock } from "../../lib/clock.ts";
import { isInputRequired } from "../../protocol/input-required.ts";
import { type JsonObject, readObject } from "../../protocol/json-view.ts";
import type { McpRequest, Outcome, RelayedMessage } from "../../protocol/messages.ts";
import { mergeDiscovery, type ServerSelf } from "../../route/discovery.ts";
import { concatPages, nextCursorOf } from "../../route/merge.ts";
import type { CallContext, Servers } from "../../servers/client.ts";
import type { ServerSpec } from "../../servers/spec.ts";
import {
  type Answer,
  answer,
  answerWith,
  type Exchange,
  type Forwarding,
  type Listened,
  refuse,
  type Verdict,
} from "../exchange.ts";
import type { Listens } from "../listening/listens.ts";
import { callFacts } from "../named-target.ts";
import { listRequest } from "../server-lists.ts";
import type { Stage } from "../stage.ts";
import { type TracedCall, traceCall } from "../trace-context.ts";

export interface ForwardDeps {
  readonly servers: Servers;
  readonly listens: Listens;
  readonly clock: Clock;
  /** Passes a streamed message outward, through the stages to the agent. */
  readonly relay: (x: Exchange, message: RelayedMessage) => void;
  readonly gateway: { readonly name: string; readonly version: string };
  /** Keys of baggage that servers may see. */
  readonly baggageKeys: readonly string[];
  /** Time one server may take while others wait for it in a merged list. */
  readonly mergeTimeoutMs: number;
}

const mergedPagesMax = 50;

/** Stands in until route joins the answers on the way out. */
const notYetJoined = readObject("{}");

export function createForwardStage(deps: ForwardDeps): Stage {
  return {
    name: "forward",
    enter(x: Exchange): Verdict | Promise<Verdict> {
      const { target } = x;
      if (target === undefined) return refuse(createFault("internal", "Internal error"));
      x.forwarded = true;
      switch (target.kind) {
        case "server":
          return callOne(deps, x, target.forwarding, x.deadlineMs, (message) =>
            deps.relay(x, message),
          ).then(answer);
        case "merge":
          return merge(deps, x, target.forwardings);
        case "discover":
          return discover(deps, x, target.servers);
        case "listen":
          return listen(deps, x, target);
        default: {
          const never: never = target;
          return never;
        }
      }
    },
  };
}

async function merge(
  deps: ForwardDeps,
  x: Exchange,
  forwardings: readonly Forwarding[],
): Promise<Verdict> {
  x.answers = await Promise.all(forwardings.map((one) => callAllPages(deps, x, one)));
  return answerWith(notYetJoined);
}

const notThere: Outcome = {
  kind: "fault",
  fault: createFault("upstream-unreachable", "Server unreachable"),
};

/** A list may not ask anything; its server counts as missing. */
const noQuestion: Outcome = {
  kind: "fault",
  fault: createFault("upstream-invalid", "The server asked the agent in a way it may not", {
    reason: "question-not-allowed",
  }),
};

/** One request to one server, which may take until the deadline; the server's own limit is its client's matter. */
function callOne(
  deps: ForwardDeps,
  x: Exchange,
  { server, request }: Forwarding,
  deadlineMs: number,
  relay: (message: RelayedMessage) => void,
): Promise<Outcome> {
  const client = deps.servers.get(server);
  if (client === undefined) return Promise.resolve(notThere);
  const timeoutMs = Math.max(1, deadlineMs - deps.clock.monotonicMs());
  const traced = traceCall(x.incoming, request, deps.baggageKeys);
  return client.call(traced.request, contextOf(x, timeoutMs, traced.headers, client.spec), relay);
}

/** A merged list is one page for the agent, so every page of each server is fetched, up to a bound. */
async function callAllPages(
  deps: ForwardDeps,
  x: Exchange,
  forwarding: Forwarding,
): Promise<Answer> {
  const pages: JsonObject[] = [];
  let request: McpRequest = forwarding.request;
  const deadlineMs = Math.min(x.deadlineMs, deps.clock.monotonicMs() + deps.mergeTimeoutMs);
  for (let count = 0; count < mergedPagesMax; count += 1) {
    const page = { server: forwarding.server, request };
    const outcome = await callOne(deps, x, page, deadlineMs, ignore);
    if (outcome.kind !== "result") return { server: forwarding.server, outcome };
    if (isInputRequired(outcome.result)) return { server: forwarding.server, outcome: noQuestion };
    pages.push(outcome.result);
    const cursor = nextCursorOf(outcome.result);
    if (cursor === undefined) break;
    request = { ...listRequest(request.method, cursor), envelope: request.envelope };
  }
  const result = concatPages(x.method?.listMember ?? "tools", pages);
  return { server: forwarding.server, outcome: { kind: "result", result } };
}

async function discover(
  deps: ForwardDeps,
  x: Exchange,
  servers: readonly string[],
): Promise<Verdict> {
  const asked = await Promise.all(servers.map((server) => askSelf(deps, x, server)));
  const known = asked.flatMap((one) => (one === undefined ? [] : [one]));
  if (x.scope?.kind === "server" && known.length === 0) {
    return refuse(createFault("upstream-unreachable", "Server unreachable"));
  }
  if (x.scope === undefined) return refuse(createFault("internal", "Internal error"));
  return answerWith(mergeDiscovery(x.scope, known, deps.gateway));
}

/** Not bound to the deadline of a call: it ends when somebody ends it. */
async function listen(deps: ForwardDeps, x: Exchange, listened: Listened): Promise<Verdict> {
  const { request, principal, scope, snapshot, incoming } = x;
  if (request === undefined || principal === undefined || scope === undefined) {
    return refuse(createFault("internal", "Internal error"));
  }
  const { filter, plan } = listened;
  const relay = (message: RelayedMessage) => deps.relay(x, message);
  const { idText, envelope } = request;
  const capabilitiesText = envelope.clientCapabilitiesText;
  const asked = {
    idText,
    capabilitiesText,
    filter,
    plan,
    principal,
    scope,
    snapshot,
    incoming,
    relay,
    call: callFacts(x),
  };
  return answer(await deps.listens.run(asked, x.signal));
}

async function askSelf(
  deps: ForwardDeps,
  x: Exchange,
  server: string,
): Promise<ServerSelf | undefined> {
  try {
    const client = deps.servers.get(server);
    const facts =
      client && (await withinTime(x.signal, deps.mergeTimeoutMs, (signal) => client.facts(signal)));
    return (
      facts && {
        server,
        capabilitiesText: facts.capabilitiesText,
        instructions: facts.instructions,
      }
    );
  } catch {
    return undefined;
  }
}

/** The user's own token, for the one kind of server that takes tokens made from it; it goes nowhere else. */
function subjectOf(
  { principal, incoming }: Exchange,
  { auth }: ServerSpec,
): CallContext["subject"] {
  const { credential } = incoming;
  if (auth?.oauth?.grant !== "token-exchange" || credential.kind !== "bearer") return undefined;
  if (principal?.kind !== "user") return undefined;
  const { id, clientId, tenant, workspace, scopes, acr, expiresAtMs } = principal;
  const key = JSON.stringify([id, clientId, tenant, workspace, scopes, acr]);
  return { key, token: credential.token, expiresAtMs };
}

function contextOf(
  x: Exchange,
  timeoutMs: number,
  trace: TracedCall["headers"],
  spec: ServerSpec,
): CallContext {
  return {
    signal: x.signal,
    timeoutMs,
    headers: { "x-request-id": x.id, ...trace },
    principalId: x.principal?.id,
    caller: x.principal,
    subject: subjectOf(x, spec),
  };
}

/** Progress of a part means nothing to who asked for the whole. */
function ignore(): void {}
