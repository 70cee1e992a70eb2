/**
 * The fake pipeline with servers that ask: calls named `ask` follow a script, round by round, and
 * `subscriptions/listen` stays open, to be acknowledged, fed and ended by hand. It asserts nothing.
 */
import type { Incoming, Reply, Sink } from "../../src/pipeline/incoming.ts";
import { memberText, readObject, stringMember } from "../../src/protocol/json-view.ts";
import { type ListenFilter, readListenFilter } from "../../src/protocol/listen-filter.ts";
import type { McpRequest, Outcome, RelayedMessage } from "../../src/protocol/messages.ts";
import { createFakeDispatch, type FakeDispatch } from "./fake-dispatch.ts";

/** What the server says to one round: a result, or an outcome as it is. */
type Saying = object | Outcome;

export interface OpenListen {
  readonly filter: ListenFilter;
  readonly request: McpRequest;
  readonly incoming: Incoming;
  /** Tells that `uris` (all, if left out) and all list flags are honoured. */
  acknowledge(uris?: readonly string[]): void;
  changed(method: RelayedMessage["method"], params?: object): void;
  end(): void;
  isOver: boolean;
}

export interface AskingDispatch extends FakeDispatch {
  /** The rounds of `ask`, as they came. */
  readonly rounds: McpRequest[];
  readonly listens: OpenListen[];
  /** False: listens are refused, as by a gateway that has none. */
  hasListens: boolean;
  /** False: a test acknowledges by hand. */
  acknowledgesAtOnce: boolean;
}

/** `say` is called for each round, the first with `round` 0; the answers stand in the request's params. */
export function createAskingDispatch(
  tokens: Readonly<Record<string, string>>,
  say: (
    round: number,
    request: McpRequest,
    incoming: Incoming,
  ) => Saying | Promise<Saying> = () => ({}),
): AskingDispatch {
  const base = createFakeDispatch(tokens);
  const rounds: McpRequest[] = [];
  const listens: OpenListen[] = [];

  function listen(incoming: Incoming, request: McpRequest, sink: Sink): Promise<Outcome> {
    const filter = readListenFilter(request.params);
    if (!dispatch.hasListens || filter === undefined) return Promise.resolve(methodNotFound);
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    const meta = { "io.modelcontextprotocol/subscriptionId": JSON.parse(request.idText) };
    const relay = (method: RelayedMessage["method"], params: object) =>
      sink.relay({ method, params: readObject(JSON.stringify({ ...params, _meta: meta })) });
    const one: OpenListen = {
      filter,
      request,
      incoming,
      isOver: false,
      acknowledge: (uris = filter.resourceSubscriptions) =>
        relay("notifications/subscriptions/acknowledged", {
          notifications: { ...filter, resourceSubscriptions: uris, taskIds: [] },
        }),
      changed: (method, params = {}) => relay(method, params),
      end() {
        one.isOver = true;
        resolve(toResult({}));
      },
    };
    listens.push(one);
    incoming.signal.addEventListener("abort", one.end);
    if (dispatch.acknowledgesAtOnce) one.acknowledge();
    return promise;
  }

  async function answer(incoming: Incoming, sink: Sink): Promise<Outcome | undefined> {
    const { message } = incoming;
    if (message.kind !== "request") return undefined;
    if (message.method === "subscriptions/listen") return listen(incoming, message, sink);
    const target = message.params && (stringMember(message.params, "name") ?? nameOf(message));
    if (target !== "ask") return undefined;
    rounds.push(message);
    const isFirst = message.params && !isRetry(message);
    const round = isFirst ? 0 : rounds.filter(isRetry).length;
    const said = await say(round, message, incoming);
    return "kind" in said ? (said as Outcome) : toResult(said);
  }

  const dispatch: AskingDispatch = {
    ...base,
    rounds,
    listens,
    hasListens: true,
    acknowledgesAtOnce: true,
    async dispatch(incoming, sink): Promise<Reply> {
      const admitted = await base.admit(incoming);
      const outcome = "fault" in admitted ? undefined : await answer(incoming, sink);
      if (outcome === undefined) return base.dispatch(incoming, sink);
      base.seen.push(incoming);
      return { outcome, requestId: "made-up", limit: undefined };
    },
  };
  return dispatch;
}

const methodNotFound: Outcome = {
  kind: "fault",
  fault: { name: "method-not-found", message: "Method not found" },
};

function nameOf({ params }: McpRequest): string | undefined {
  return params && stringMember(params, "uri")?.replace("test:", "");
}

function isRetry({ params }: McpRequest): boolean {
  if (params === undefined) return false;
  return (memberText(params, "inputResponses") ?? memberText(params, "requestState")) !== undefined;
}

function toResult(value: object): Outcome {
  return { kind: "result", result: readObject(JSON.stringify(value)) };
}
