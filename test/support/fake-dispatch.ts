/**
 * A pipeline small enough to see through: two principals by token, and tools that echo, relay, wait, refuse and
 * flood. For the contract tests of the agents' edge; it asserts nothing.
 */

import { createFault, type Fault } from "../../src/errors/fault.ts";
import type { Credential, Principal } from "../../src/identity/principal.ts";
import type { Dispatch, Incoming, Sink } from "../../src/pipeline/incoming.ts";
import {
  memberText,
  objectMember,
  objectText,
  readObject,
  stringMember,
} from "../../src/protocol/json-view.ts";
import type { McpRequest, Outcome } from "../../src/protocol/messages.ts";
import { clientPrincipal } from "./principals.ts";

export interface FakeDispatch extends Dispatch {
  readonly seen: Incoming[];
  /** Ids (source text) of calls that were aborted. */
  readonly aborted: string[];
  revoke(token: string): void;
  setExpiry(token: string, expiresAtMs: number): void;
  /** Relays one progress notification on every waiting call of `wait`. */
  report(step: number): void;
  /** Lets every waiting call of `wait` finish: with a result, or denied. */
  release(): void;
  fail(): void;
  waiting(): number;
}

const toolNames = ["echo", "progress", "wait", "refuse", "limited", "hidden", "flood", "crash"];
const tools = toolNames.map((name) => ({ name, inputSchema: { type: "object" } }));
const limit = { limit: 10, remaining: 0, resetSeconds: 7, policy: '"per-client";q=10;w=60' };
const floodMessages = 4_000;

export function createFakeDispatch(tokens: Readonly<Record<string, string>>): FakeDispatch {
  const revoked = new Set<string>();
  const expiries = new Map<string, number>();
  const waiters = new Set<(isDenied: boolean) => void>();
  const sinks = new Set<Sink>();
  const seen: Incoming[] = [];
  const aborted: string[] = [];

  function authenticate(credential: Credential): Principal | Fault {
    const token = credential.kind === "bearer" ? credential.token : "";
    const name = tokens[token];
    if (name === undefined || revoked.has(token)) {
      const challenge = 'error="invalid_token"';
      return createFault("unauthenticated", "Authentication required", { challenge });
    }
    return clientPrincipal(name, {
      expiresAtMs: expiries.get(token),
      credentialDigest: token,
    });
  }

  async function wait(incoming: Incoming, request: McpRequest, sink: Sink): Promise<Outcome> {
    sinks.add(sink);
    const isDenied = await new Promise<boolean>((resolve) => {
      waiters.add(resolve);
      incoming.signal.addEventListener("abort", () => {
        aborted.push(request.idText);
        resolve(false);
      });
    });
    sinks.delete(sink);
    if (isDenied) return fault(createFault("policy-denied", "Denied by policy"));
    return incoming.signal.aborted ? fault(createFault("cancelled", "Cancelled")) : text("waited");
  }

  function finish(isDenied: boolean): void {
    for (const resolve of waiters) resolve(isDenied);
    waiters.clear();
  }

  async function flood(incoming: Incoming, sink: Sink): Promise<Outcome> {
    const params = readObject(`{"level":"info","data":"${"x".repeat(64 * 1024)}"}`);
    for (let at = 0; at < floodMessages && !incoming.signal.aborted; at += 1) {
      sink.relay({ method: "notifications/message", params });
      if (at % 16 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    return text("flooded");
  }

  async function call(incoming: Incoming, request: McpRequest, sink: Sink): Promise<Outcome> {
    const { params } = request;
    const token = request.envelope.progressTokenText;
    switch (params && stringMember(params, "name")) {
      case "echo":
        return text(objectText((params && objectMember(params, "arguments")) ?? readObject("{}")));
      case "progress":
        for (const step of token === undefined ? [] : [1, 2, 3]) {
          const body = `{"progressToken":${token},"progress":${step},"total":3}`;
          sink.relay({ method: "notifications/progress", params: readObject(body) });
          // The SDK v1 client loses progress that arrives in one chunk with the result.
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
        return text("done");
      case "wait":
        return wait(incoming, request, sink);
      case "flood":
        return flood(incoming, sink);
      case "refuse":
        return fault(createFault("policy-denied", "Denied by policy"));
      case "limited":
        return fault(createFault("rate-limited", "Rate limited", { retryAfterMs: 1500 }));
      case "hidden":
        return fault(createFault("target-hidden", "Unknown tool"));
      case "crash":
        throw new Error("a bug");
      default:
        return serverError("Unknown tool", undefined);
    }
  }

  async function answer(incoming: Incoming, sink: Sink): Promise<Outcome> {
    const principal = authenticate(incoming.credential);
    if ("name" in principal) return fault(principal);
    const { message } = incoming;
    if (message.kind === "malformed") return fault(message.fault);
    if (message.kind === "notification") return text("");
    switch (message.method) {
      case "server/discover":
        return result({
          supportedVersions: ["2026-07-28"],
          capabilities: {
            tools: { listChanged: true },
            resources: { subscribe: true },
            logging: {},
            extensions: { "io.example/x": {} },
          },
          instructions: "Be kind.",
        });
      case "tools/list":
        return result({ tools });
      case "tools/call":
        return call(incoming, message, sink);
      case "resources/read":
        return serverError(
          "Resource not found",
          `{"uri":${message.params && memberText(message.params, "uri")}}`,
        );
      default:
        return fault(createFault("method-not-found", "Method not found"));
    }
  }

  return {
    seen,
    aborted,
    async dispatch(incoming, sink) {
      seen.push(incoming);
      const outcome = await answer(incoming, sink);
      const isLimited = outcome.kind === "fault" && outcome.fault.name === "rate-limited";
      const requestId = incoming.requestId ?? "made-up";
      return { outcome, requestId, limit: isLimited ? limit : undefined };
    },
    turnedAway() {},
    async admit(request) {
      const principal = authenticate(request.credential);
      if ("name" in principal) return { fault: principal };
      if (request.scope === "nowhere") return { fault: createFault("scope-unknown", "Not found") };
      return { principal };
    },
    endListens() {},
    stillValid: (principal) => !revoked.has(principal.credentialDigest),
    revoke: (token) => revoked.add(token),
    setExpiry: (token, expiresAtMs) => expiries.set(token, expiresAtMs),
    report(step) {
      const params = readObject(`{"progressToken":0,"progress":${step}}`);
      for (const sink of sinks) sink.relay({ method: "notifications/progress", params });
    },
    release: () => finish(false),
    fail: () => finish(true),
    waiting: () => waiters.size,
  };
}

function text(value: string): Outcome {
  return result({ content: [{ type: "text", text: value }] });
}

function result(value: object): Outcome {
  return { kind: "result", result: readObject(JSON.stringify(value)) };
}

function serverError(message: string, dataText: string | undefined): Outcome {
  return { kind: "error", error: { code: -32602, message, dataText } };
}

function fault(value: Fault): Outcome {
  return { kind: "fault", fault: value };
}
