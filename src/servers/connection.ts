/**
 * Keeps one server connected: opens on demand, once for all who wait, finds the era, remembers it, and backs off
 * after repeated losses. `server-client.ts` takes the link from here for each call; nobody else opens one.
 */

import { randomInt } from "node:crypto";
import type { Fault } from "../errors/fault.ts";
import { Cancellation, type CancelSignal } from "../lib/cancellation.ts";
import type { Clock } from "../lib/clock.ts";
import type { McpNotification, McpRequest } from "../protocol/messages.ts";
import type { Era } from "../protocol/revisions.ts";
import type { Log } from "../telemetry/log.ts";
import { reconnectDelayMs } from "./backoff.ts";
import type { ServerFacts } from "./client.ts";
import { probeEra } from "./era.ts";
import { cancelled, errorOf, faultOf, invalidAnswer, timedOut, unreachable } from "./faults.ts";
import { legacyHeaders, openLegacySession } from "./legacy/session.ts";
import type { ServerSpec } from "./spec.ts";
import type { OpenWire, Wire, WireEvents } from "./wire.ts";

export interface Link {
  readonly wire: Wire;
  readonly facts: ServerFacts;
}

export interface ServerRequest {
  readonly request: McpRequest;
  /** The call it surely belongs to, by its number on the wire. */
  readonly callId: number | undefined;
  readonly wire: Wire;
  readonly respond: (text: string) => void;
}

export interface Connection {
  /** The open link; undefined where there is none yet or no longer. */
  current(): Link | undefined;
  /** Connects where needed. Rejects with GatewayError; the caller's own limits end only its own wait. */
  open(signal: CancelSignal, timeoutMs: number): Promise<Link>;
  /** Stops using a link; `forgetEra` makes the next opening find the era again. */
  drop(link: Link, options: { readonly forgetEra: boolean }): void;
  /** The server answered: the losses so far no longer count. */
  noteAnswer(): void;
  isConnecting(): boolean;
  lastFault(): Fault | undefined;
  losses(): number;
  restarts(): number;
  close(): Promise<void>;
}

export interface ConnectionOptions {
  readonly spec: ServerSpec;
  readonly openWire: OpenWire;
  readonly ownInfoText: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly legacyVerdictTtlMs: number;
  readonly reconnect: { readonly firstMs: number; readonly maxMs: number };
  /** What a legacy server is told of the agent's side, as source text; `{}` = it can ask nothing. */
  readonly clientCapabilitiesText: string;
  /** A notification that belongs to no call, and the wire it came on. */
  readonly onNotification: (notification: McpNotification, wire: Wire) => void;
  /** A request of the server; the answer goes out by `respond`. */
  readonly onRequest: (asked: ServerRequest) => void;
  /** A connection was replaced by a new one: what was remembered of the server may be stale. */
  readonly onReopened: () => void;
  /** `current()` answers differently from now on. */
  readonly onLinkChanged: () => void;
}

export function createConnection(options: ConnectionOptions): Connection {
  const { spec, clock, log } = options;
  const closing = new Cancellation();
  const isShared = spec.transport.kind !== "streamable-http";
  let link: Link | undefined;
  let opening: Promise<Link> | undefined;
  let verdict: { readonly era: Era; readonly untilMs: number } | undefined;
  let losses = 0;
  let opened = 0;
  let notBeforeMs = Number.NEGATIVE_INFINITY;
  let lastFault: Fault | undefined;

  function use(next: Link | undefined): void {
    link = next;
    options.onLinkChanged();
  }

  function noteLoss(fault: Fault): void {
    losses += 1;
    lastFault = fault;
    const delayMs = reconnectDelayMs(losses, options.reconnect, randomInt(1 << 24) / (1 << 24));
    notBeforeMs = clock.monotonicMs() + delayMs;
    log.info("upstream.lost", { server: spec.name, reason: fault.reason, losses, delayMs });
  }

  function openOnce(): Promise<Link> {
    opening ??= establish().finally(() => {
      opening = undefined;
    });
    return opening;
  }

  async function establish(): Promise<Link> {
    const waitMs = notBeforeMs - clock.monotonicMs();
    if (waitMs > 0) throw errorOf(unreachable(spec.name, lastFault?.reason ?? "backoff", waitMs));
    try {
      const made = await establishEra();
      if (closing.signal.aborted) {
        await made.wire.close();
        throw errorOf(unreachable(spec.name, "closed-by-gateway"));
      }
      use(made);
      opened += 1;
      if (opened > 1) options.onReopened();
      const { era, revision } = made.facts;
      log.info("upstream.ready", { server: spec.name, era, revision });
      return made;
    } catch (error) {
      const fault = faultOf(spec.name, error);
      if (!closing.signal.aborted) noteLoss(fault);
      verdict = undefined;
      throw errorOf(fault);
    }
  }

  async function establishEra(): Promise<Link> {
    const known = knownEra();
    if (known === "legacy") return openLegacy(await openFresh());
    const wire = await openFresh();
    try {
      const found = await probeEra(wire, handshake(isShared ? 0.5 : 1));
      if (found.era === "modern") {
        remember("modern");
        return { wire, facts: found.facts };
      }
    } catch (error) {
      await wire.close();
      throw error;
    }
    if (spec.era === "modern") {
      await wire.close();
      throw errorOf(invalidAnswer(spec.name, "not-a-modern-server"));
    }
    return openAfterProbe(wire);
  }

  /** Some servers end, or fall silent for good, on any request before `initialize`: they get a new connection. */
  async function openAfterProbe(probed: Wire): Promise<Link> {
    if (!isShared) return openLegacy(probed);
    if (probed.isOpen()) {
      const answered = await openLegacySession(probed, handshake(0.5));
      if (answered.kind === "open") {
        remember("legacy");
        return { wire: probed, facts: answered.facts };
      }
    }
    await probed.close();
    return openLegacy(await openFresh());
  }

  async function openLegacy(wire: Wire): Promise<Link> {
    const result = await openLegacySession(wire, handshake(1));
    if (result.kind === "open") {
      remember("legacy");
      return { wire, facts: result.facts };
    }
    await wire.close();
    if (result.kind === "fault") throw errorOf(result.fault);
    verdict = undefined;
    if (spec.era !== "auto") throw errorOf(invalidAnswer(spec.name, "not-a-legacy-server"));
    const modern = await openFresh();
    const found = await probeEra(modern, { ...handshake(1), isShared: false });
    if (found.era === "modern") return { wire: modern, facts: found.facts };
    await modern.close();
    throw errorOf(invalidAnswer(spec.name, "no-common-revision"));
  }

  async function openFresh(): Promise<Wire> {
    let wire: Wire | undefined;
    const events: WireEvents = {
      onNotification(notification) {
        if (wire !== undefined) options.onNotification(notification, wire);
      },
      onRequest(request, callId) {
        const asked = wire;
        if (asked === undefined) return;
        const facts = link?.wire === asked ? link.facts : undefined;
        const headers = facts?.era === "legacy" ? legacyHeaders(facts.revision) : {};
        const respond = (text: string) => void asked.respond(text, headers);
        options.onRequest({ request, callId, wire: asked, respond });
      },
      onClose(fault) {
        if (wire === undefined || link?.wire !== wire) return;
        use(undefined);
        noteLoss(fault);
      },
    };
    wire = await options.openWire(events, closing.signal);
    return wire;
  }

  function handshake(share: number) {
    return {
      server: spec.name,
      ownInfoText: options.ownInfoText,
      clientCapabilitiesText: options.clientCapabilitiesText,
      timeoutMs: spec.connectTimeoutMs * share,
      signal: closing.signal,
      isShared,
    };
  }

  function knownEra(): Era | undefined {
    // The HTTP+SSE transport exists in legacy revisions only.
    if (spec.transport.kind === "http-sse") return "legacy";
    if (spec.era !== "auto") return spec.era;
    return verdict !== undefined && verdict.untilMs > clock.monotonicMs() ? verdict.era : undefined;
  }

  /** A server that learns the new era still answers the old opening, so "legacy" must expire by itself. */
  function remember(era: Era): void {
    const ttlMs = era === "legacy" ? options.legacyVerdictTtlMs : Number.POSITIVE_INFINITY;
    verdict = { era, untilMs: clock.monotonicMs() + ttlMs };
  }

  /**
   * A legacy verdict that expired is checked beside the running connection, which is left to those who use it. A
   * two-way channel keeps its verdict for life: finding out would cost the server's process.
   */
  function recheckEra(checked: Link): void {
    if (isShared || spec.era !== "auto" || verdict === undefined) return;
    if (verdict.untilMs > clock.monotonicMs()) return;
    remember("legacy");
    void (async () => {
      const found = await probeEra(await openFresh(), handshake(1));
      if (found.era !== "modern" || link !== checked) return;
      verdict = undefined;
      use(undefined);
      checked.wire.retire();
    })().catch(() => {});
  }

  function current(): Link | undefined {
    if (link === undefined || !link.wire.isOpen()) return undefined;
    if (link.facts.era === "legacy") recheckEra(link);
    return link;
  }

  return {
    current,
    open: (signal, timeoutMs) => limited(openOnce(), spec.name, signal, timeoutMs),
    drop(dropped, { forgetEra }) {
      if (forgetEra) verdict = undefined;
      if (link !== dropped) return;
      use(undefined);
      dropped.wire.retire();
    },
    noteAnswer() {
      losses = 0;
    },
    isConnecting: () => opening !== undefined,
    lastFault: () => lastFault,
    losses: () => losses,
    restarts: () => Math.max(0, opened - 1),
    async close() {
      closing.abort();
      const last = link;
      link = undefined;
      await Promise.allSettled([last?.wire.close(), opening]);
    },
  };
}

/** Waits for a shared promise within one caller's limits; the promise itself goes on for the others. */
function limited<T>(
  shared: Promise<T>,
  server: string,
  signal: CancelSignal,
  timeoutMs: number,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const finish = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", abandon);
    };
    const abandon = () => {
      finish();
      reject(errorOf(cancelled));
    };
    const timer = setTimeout(() => {
      finish();
      reject(errorOf(timedOut(server, timeoutMs)));
    }, timeoutMs);
    signal.addEventListener("abort", abandon, { once: true });
    if (signal.aborted) abandon();
    shared.then(resolve, reject).finally(finish);
  });
}
