/**
 * The edge's listens on behalf of legacy sessions, over a pipeline that a test scripts, on a clock that bun's fake timers
 * move. It asserts nothing.
 */

import { jest } from "bun:test";
import type { Asking, Caller } from "../../src/agents/conversation.ts";
import { createListening } from "../../src/agents/legacy/listening.ts";
import { createSessions, type LegacySession } from "../../src/agents/legacy/sessions.ts";
import { createSharedListens } from "../../src/agents/legacy/shared-listens.ts";
import { createSubscriptions } from "../../src/agents/legacy/subscriptions.ts";
import type { ErrorName } from "../../src/errors/catalogue.ts";
import { createFault } from "../../src/errors/fault.ts";
import type { Incoming, Reply } from "../../src/pipeline/incoming.ts";
import { readObject } from "../../src/protocol/json-view.ts";
import type { McpRequest } from "../../src/protocol/messages.ts";
import { keptFromOf } from "./kept-from.ts";

export const testCaller: Caller = {
  binding: "websocket",
  scope: "all",
  credential: { kind: "bearer", token: "t" },
  peer: { address: "127.0.0.1" },
  origin: undefined,
  requestId: "r",
  traceparent: undefined,
};

function toReply(outcome: Reply["outcome"]): Reply {
  return { outcome, requestId: "r", limit: undefined };
}

export const ended = toReply({ kind: "result", result: readObject("{}") });

export function refused(name: ErrorName): Reply {
  return toReply({ kind: "fault", fault: createFault(name, "") });
}

export function acknowledgement(notifications: object): string {
  return JSON.stringify({
    method: "notifications/subscriptions/acknowledged",
    params: { notifications },
  });
}

/** Listens go to `run`; where it returns nothing, they last until they are ended. */
export function createTestListens(run: (asking: Asking<Incoming["message"]>) => Reply | undefined) {
  let nowMs = 0;
  const listens: { readonly asking: Asking<Incoming["message"]>; readonly signal: AbortSignal }[] =
    [];
  const losing: (() => void)[] = [];
  const clock = { nowMs: () => nowMs, monotonicMs: () => nowMs };
  const sessions = createSessions({
    clock,
    sessionsMax: 100,
    sessionsPerPrincipalMax: 100,
    sessionIdleMs: 1,
    sessionMaxMs: 1e9,
  });
  const conversation = {
    run(asking: Asking<Incoming["message"]>, signal: AbortSignal): Promise<Reply> {
      listens.push({ asking, signal });
      const reply = run(asking);
      if (reply !== undefined) return Promise.resolve(reply);
      return new Promise((resolve) => {
        signal.addEventListener("abort", () => resolve(ended));
        losing.push(() => resolve(ended));
      });
    },
  };
  const listening = createListening({ conversation, clock });
  const subscriptions = createSubscriptions({ listening, subscriptionsPerSessionMax: 5 });

  function subscription(method: string, session: LegacySession, uri: string): Promise<Reply> {
    const message: McpRequest = {
      kind: "request",
      idText: "1",
      method,
      params: readObject(JSON.stringify({ uri })),
      envelope: {
        revision: "2025-11-25",
        clientInfoText: undefined,
        clientCapabilitiesText: "{}",
        logLevel: undefined,
        progressTokenText: undefined,
      },
    };
    const received = { message, bytes: 1 };
    const asking = {
      caller: testCaller,
      era: "legacy",
      received,
      relay: () => {},
    } as const;
    return subscriptions.change(session, asking, new AbortController().signal);
  }

  return {
    listens,
    shared: createSharedListens({ listening }),
    open(tokenDigest = "t"): { readonly session: LegacySession; readonly heard: string[] } {
      const session = sessions.open({
        binding: "websocket",
        scope: "all",
        revision: "2025-11-25",
        clientInfoText: undefined,
        capabilitiesText: "{}",
        principal: { id: "p" } as LegacySession["principal"],
        from: keptFromOf(tokenDigest),
      });
      if (session === undefined) throw new Error("no session");
      const heard: string[] = [];
      session.tell = (text) => void heard.push(text);
      return { session, heard };
    },
    end: (session: LegacySession) => sessions.end(session, "deleted"),
    subscribe: (session: LegacySession, uri: string) =>
      subscription("resources/subscribe", session, uri),
    unsubscribe: (session: LegacySession, uri: string) =>
      subscription("resources/unsubscribe", session, uri),
    /** Every listen that lasts ends by itself. */
    loseAll() {
      for (const lose of losing.splice(0)) lose();
    },
    async pass(ms: number) {
      for (let passed = 0; passed < ms; passed += 500) {
        nowMs += 500;
        jest.advanceTimersByTime(500);
        for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
      }
    },
  };
}
