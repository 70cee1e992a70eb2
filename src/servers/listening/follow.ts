/**
 * Keeps one server followed while somebody listens: takes the link, asks in its era's way, asks again where more is
 * wanted, and starts over, with backoff and jitter, when the link or the listen ends. `changes.ts` says what is
 * wanted and hears what came of it; nothing is opened while nothing is wanted.
 */

import { randomInt } from "node:crypto";
import { Cancellation } from "../../lib/cancellation.ts";
import type { Clock } from "../../lib/clock.ts";
import { createPause } from "../../lib/pause.ts";
import type { McpNotification } from "../../protocol/messages.ts";
import type { Log } from "../../telemetry/log.ts";
import { reconnectDelayMs } from "../backoff.ts";
import type { Connection, Link } from "../connection.ts";
import { faultOf } from "../faults.ts";
import { followLegacy } from "../legacy/subscribe.ts";
import type { ServerSpec } from "../spec.ts";
import type { Follower } from "./followers.ts";
import { followModern } from "./modern-listen.ts";
import type { Topics } from "./topics.ts";

export interface FollowOptions {
  readonly spec: ServerSpec;
  readonly connection: Connection;
  readonly ownInfoText: string;
  readonly reconnect: { readonly firstMs: number; readonly maxMs: number };
  readonly clock: Clock;
  readonly log: Log;
  readonly onNotification: (notification: McpNotification) => void;
  /** The topics wanted now; none ends everything. */
  readonly wanted: () => Topics;
  /** The server was asked for these topics and honours those; `hasGap` says that it was not followed for a while. */
  readonly onAnswered: (asked: Topics, honoured: Topics, hasGap: boolean) => void;
  /** Something may have been missed, and the server is followed all the same. */
  readonly onGap: () => void;
  /** Nothing is asked of the server any more. */
  readonly onStopped: () => void;
}

export interface Follow {
  /** What is wanted has changed. */
  wantedChanged(): void;
  /** The connection has another link, or none. */
  linkChanged(): void;
  /** How long the server could not be followed, in milliseconds; 0 while it is. */
  troubleMs(): number;
  close(): void;
}

/** A server followed for this long is well again: the next trouble starts with short waits. */
const stableAfterMs = 10_000;
/** An opening may take several connections (a probe, then the era found), each with its own time limit. */
const openingsMax = 3;

interface Followed {
  readonly link: Link;
  readonly follower: Follower;
}

export function createFollow(options: FollowOptions): Follow {
  const { spec, connection, clock, log, wanted } = options;
  const closing = new Cancellation();
  let followed: Followed | undefined;
  let isRunning = false;
  let hasGap = false;
  let hasEnded = false;
  let failures = 0;
  let troubleSinceMs: number | undefined;
  let stable: ReturnType<typeof setTimeout> | undefined;
  let isWoken = false;
  let wake: (() => void) | undefined;
  const waiting = createPause();

  async function run(): Promise<void> {
    do {
      while (isWanted()) {
        isWoken = false;
        if (hasEnded || !(await step())) await pause();
        else if (!isWoken) await woken();
      }
      await stop();
    } while (isWanted());
    isRunning = false;
  }

  function isWanted(): boolean {
    return !closing.signal.aborted && wanted().size > 0;
  }

  /** Makes the server tell what is wanted; false where that must be tried again later. */
  async function step(): Promise<boolean> {
    const link = connection.current() ?? (await connect());
    if (link === undefined) return false;
    const { follower } = take(link);
    const topics = new Set(wanted());
    if (follower.suits(topics)) return true;
    const honoured = await follower.ask(topics);
    if (closing.signal.aborted) return true;
    if (honoured === undefined) return false;
    if (troubleSinceMs !== undefined) log.info("upstream.followed-again", { server: spec.name });
    settle();
    options.onAnswered(topics, honoured, hasGap);
    hasGap = false;
    return true;
  }

  function take(link: Link): Followed {
    if (followed?.link === link) return followed;
    if (followed !== undefined) hasGap = true;
    void followed?.follower.close();
    const { spec, connection, ownInfoText, onNotification, onGap } = options;
    const start = link.facts.era === "modern" ? followModern : followLegacy;
    const follower = start({
      spec,
      connection,
      link,
      ownInfoText,
      onNotification,
      onGap,
      onEnd() {
        if (followed?.follower !== follower) return;
        hasGap = true;
        hasEnded = true;
        signal();
      },
    });
    followed = { link, follower };
    return followed;
  }

  async function connect(): Promise<Link | undefined> {
    try {
      return await connection.open(closing.signal, spec.connectTimeoutMs * openingsMax);
    } catch (error) {
      log.debug("upstream.not-followed", {
        server: spec.name,
        reason: faultOf(spec.name, error).reason,
      });
      return undefined;
    }
  }

  function settle(): void {
    troubleSinceMs = undefined;
    clearTimeout(stable);
    stable = setTimeout(() => {
      failures = 0;
      connection.noteAnswer();
    }, stableAfterMs);
  }

  function pause(): Promise<void> {
    hasEnded = false;
    hasGap = true;
    failures += 1;
    troubleSinceMs ??= clock.monotonicMs();
    clearTimeout(stable);
    // The first wait is short, but never nothing: many gateways may follow the same server.
    const random = randomInt(1 << 24) / (1 << 24);
    const delayMs = reconnectDelayMs(failures + 1, options.reconnect, random);
    return waiting.wait(delayMs);
  }

  function woken(): Promise<void> {
    return new Promise((resolve) => {
      wake = resolve;
    });
  }

  function signal(): void {
    isWoken = true;
    wake?.();
    wake = undefined;
  }

  /** Nobody listens: the server is told, and what happens until somebody does is not made up for. */
  async function stop(): Promise<void> {
    const last = followed;
    clearTimeout(stable);
    followed = undefined;
    hasGap = false;
    hasEnded = false;
    troubleSinceMs = undefined;
    options.onStopped();
    // Whoever listens again meanwhile must not be overtaken by this.
    await last?.follower.close();
  }

  return {
    wantedChanged() {
      if (!isRunning && isWanted()) {
        isRunning = true;
        void run();
      } else if (isRunning && !isWanted()) waiting.end();
      signal();
    },
    linkChanged() {
      if (connection.current() !== undefined) waiting.end();
      signal();
    },
    troubleMs: () => (troubleSinceMs === undefined ? 0 : clock.monotonicMs() - troubleSinceMs),
    close() {
      closing.abort();
      waiting.end();
      signal();
      void followed?.follower.close();
      followed = undefined;
    },
  };
}
