/** When a request may be sent a second time (UP-13, UP-14). */
import { expect, test } from "bun:test";
import { readObject } from "../../../src/protocol/json-view.ts";
import type { Link } from "../../../src/servers/connection.ts";
import {
  cancelled,
  connectionLost,
  failed,
  timedOut,
  unreachable,
} from "../../../src/servers/faults.ts";
import { whyAgain } from "../../../src/servers/repeat.ts";
import type { WireAnswer } from "../../../src/servers/wire.ts";
import { requestOf } from "./support.ts";

const spec = {
  toolSettings: [{ tool: "look", readOnly: true, cacheTtlMs: 0, cachePublic: false }],
};

function linkOf(
  era: "legacy" | "modern",
  isOpen = true,
): Pick<Link, "facts"> & { wire: { isOpen(): boolean } } {
  const facts = {
    era,
    revision: era === "legacy" ? "2025-11-25" : "2026-07-28",
    capabilitiesText: "{}",
    instructions: undefined,
    serverInfoText: undefined,
  } as const;
  return { facts, wire: { isOpen: () => isOpen } };
}

const error = (code: number, status?: number): WireAnswer => ({
  kind: "error",
  body: readObject(`{"code":${code},"message":"m"}`),
  status,
});

const rows: readonly [string, "legacy" | "modern", string, WireAnswer, string | undefined][] = [
  ["a result", "legacy", "act", { kind: "result", body: readObject("{}") }, undefined],
  ["a session that ended", "legacy", "act", error(-32001, 404), "session"],
  ["an unknown method", "modern", "act", error(-32601, 404), undefined],
  ["another revision", "modern", "act", error(-32022, 400), "era"],
  ["a missing header", "modern", "act", error(-32020, 400), "headers"],
  ["a refusal by status", "legacy", "act", failed(unreachable("s", "x"), false, 404), "session"],
  ["a refusal by status", "modern", "act", failed(unreachable("s", "x"), false, 405), "era"],
  ["a lost connection", "legacy", "act", failed(connectionLost("s", "x"), true), undefined],
  ["a lost connection", "legacy", "look", failed(connectionLost("s", "x"), true), "harmless"],
  ["a time-out", "legacy", "look", failed(timedOut("s", 1), true), undefined],
  ["a cancellation", "legacy", "look", failed(cancelled, true), undefined],
];

test.each(rows)("%s, %s era, tool %s", (_name, era, tool, answer, why) => {
  const request = requestOf("tools/call", `{"name":"${tool}"}`);
  expect(whyAgain(spec, linkOf(era), request, answer)).toBe(why as undefined);
});

test("what never left is sent again only on a new connection", () => {
  const request = requestOf("tools/call", '{"name":"act"}');
  const unsent = failed(unreachable("s", "x"), false);
  expect(whyAgain(spec, linkOf("legacy", false), request, unsent)).toBe("session");
  expect(whyAgain(spec, linkOf("legacy", true), request, unsent)).toBeUndefined();
});
