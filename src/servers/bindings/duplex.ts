/**
 * A wire over one two-way channel (stdio, WebSocket, HTTP+SSE): numbers requests, finds the call a message belongs
 * to, hands the server's own requests on. A stray answer is dropped and counted; an answer to a number we never used
 * means that the two sides disagree about the numbering, so the connection goes and its callers are told (UP-19).
 */
import type { Fault } from "../../errors/fault.ts";
import type { McpNotification, McpResponse } from "../../protocol/messages.ts";
import { parseMessage } from "../../protocol/parse-message.ts";
import type { ScanLimits } from "../../protocol/scan.ts";
import type { Log } from "../../telemetry/log.ts";
import { toAnswer } from "../answer.ts";
import { cancelled, connectionLost, failed, invalidAnswer, timedOut } from "../faults.ts";
import { listenId, progressId } from "../relayed.ts";
import type { Channel, ChannelEvents, Wire, WireAnswer, WireEvents, WireRequest } from "../wire.ts";

interface Pending {
  readonly request: WireRequest;
  readonly settle: (answer: WireAnswer) => void;
}

export interface DuplexOptions {
  readonly server: string;
  readonly scanLimits: ScanLimits;
  readonly events: WireEvents;
  readonly log: Log;
  readonly countStray: () => void;
  readonly open: (events: ChannelEvents) => Promise<Channel>;
}

export async function openDuplex(options: DuplexOptions): Promise<Wire> {
  const { server, log } = options;
  const pending = new Map<number, Pending>();
  let lastId = 0;
  /** How many of the pending are listens. */
  let listens = 0;
  let isOpen = true;
  let channel: Channel | undefined;

  function takeText(text: string): void {
    const message = parseMessage(text, options.scanLimits);
    switch (message.kind) {
      case "response":
        takeResponse(message);
        break;
      case "notification":
        takeNotification(message);
        break;
      case "request":
        options.events.onRequest(message, undefined);
        break;
      case "malformed":
        takeMalformed(text, message.idText);
        break;
    }
  }

  function takeResponse(response: McpResponse): void {
    const id = Number(response.idText);
    const call = pending.get(id);
    if (call !== undefined) {
      call.settle(toAnswer(server, response, undefined, call.request.resultTypes));
      return;
    }
    options.countStray();
    const isAsked = response.idText === undefined || (id >= 1 && id <= lastId);
    if (!isAsked) fail(invalidAnswer(server, "unknown-id"));
  }

  function takeNotification(notification: McpNotification): void {
    if (notification.method === "notifications/progress") {
      const call = callOf(progressId(notification) ?? 0);
      if (call === undefined) options.countStray();
      else call.request.onNotification(notification);
    } else if (notification.method === "notifications/message") {
      // A shared channel does not say whose log message it is: it is passed on only where there is no doubt.
      const only = onlyPending();
      only?.request.onNotification(notification);
    } else takeChange(notification);
  }

  /** The call a progress token stands for: it may have become a task, and another request waits for that. */
  function callOf(token: number): Pending | undefined {
    const call = pending.get(token);
    if (call !== undefined) return call;
    for (const one of pending.values()) if (one.request.progressOf === token) return one;
    return undefined;
  }

  /** A modern server tells changes on a listen, and names it; a legacy one tells them to the connection. */
  function takeChange(notification: McpNotification): void {
    const id = listenId(notification);
    const listen = id === undefined ? undefined : pending.get(id);
    if (listen?.request.isListen) listen.request.onNotification(notification);
    // What still comes for a listen that we ended is nobody's.
    else if (id === undefined || notification.method === "notifications/cancelled") {
      options.events.onNotification(notification);
    }
  }

  function takeMalformed(text: string, idText: string | undefined): void {
    const call = idText === undefined ? undefined : pending.get(Number(idText));
    const isChatter = call === undefined && !text.trimStart().startsWith("{");
    log.debug("upstream.malformed", { server, isChatter });
    options.countStray();
    // Servers print banners on stdout; those answer nobody. A broken message with one call open is its answer.
    const owner = call ?? (isChatter ? undefined : onlyPending());
    owner?.settle(failed(invalidAnswer(server, "malformed-message"), true));
  }

  /** The one call in flight, where there is exactly one; a listen is none. */
  function onlyPending(): Pending | undefined {
    if (pending.size - listens !== 1) return undefined;
    for (const call of pending.values()) if (!call.request.isListen) return call;
    return undefined;
  }

  function fail(fault: Fault): void {
    if (!isOpen) return;
    endAll(fault);
    options.events.onClose(fault);
    void channel?.close();
  }

  function endAll(fault: Fault): void {
    isOpen = false;
    const isViolation = fault.name === "upstream-invalid";
    const lost = isViolation ? fault : connectionLost(server, fault.reason ?? "closed");
    for (const call of [...pending.values()]) call.settle(failed(lost, true));
  }

  function request(wireRequest: WireRequest): Promise<WireAnswer> {
    const { id, signal, timeoutMs, isListen } = wireRequest;
    if (signal?.aborted) return Promise.resolve(failed(cancelled, false));
    if (!isOpen) return Promise.resolve(failed(connectionLost(server, "closed"), false));
    return new Promise((resolve) => {
      const settle = (answer: WireAnswer) => {
        if (!pending.delete(id)) return;
        if (isListen) listens -= 1;
        clearTimeout(timer);
        signal?.removeEventListener("abort", abandon);
        resolve(answer);
      };
      const giveUp = (fault: Fault) => {
        if (!pending.has(id)) return;
        if (wireRequest.cancellation !== undefined) void channel?.send(wireRequest.cancellation);
        settle(failed(fault, true));
      };
      const abandon = () => giveUp(cancelled);
      const timer =
        timeoutMs === undefined
          ? undefined
          : setTimeout(() => giveUp(timedOut(server, timeoutMs)), timeoutMs);
      signal?.addEventListener("abort", abandon, { once: true });
      pending.set(id, { request: wireRequest, settle });
      if (isListen) listens += 1;
      void sendFor(wireRequest, settle);
    });
  }

  async function tell(text: string, headers: WireRequest["headers"]): Promise<void> {
    await channel?.send(text, headers);
  }

  async function sendFor(
    { text, headers }: WireRequest,
    settle: (answer: WireAnswer) => void,
  ): Promise<void> {
    const unsent = await channel?.send(text, headers);
    if (unsent !== undefined) settle(failed(unsent, false));
  }

  const events: ChannelEvents = {
    onText: takeText,
    onClose: fail,
  };
  channel = await options.open(events);
  return {
    nextId: () => ++lastId,
    request,
    notify: tell,
    respond: tell,
    // Whoever waits here is better told at once than left with a connection nobody tends.
    retire: () => void close(),
    isOpen: () => isOpen,
    close,
  };

  async function close(): Promise<void> {
    endAll(connectionLost(server, "closed-by-gateway"));
    await channel?.close();
  }
}
