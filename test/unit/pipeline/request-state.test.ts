import { describe, expect, test } from "bun:test";
import {
  createRequestStates,
  type StateOwner,
  stateBytesMax,
} from "../../../src/pipeline/request-state.ts";

const owner: StateOwner = {
  tenant: "t",
  principalId: "client:a",
  server: "calc",
  method: "tools/call",
  target: "add",
  paramsText: '{"name":"add"}',
};

function statesAt(nowMs: () => number, key = Buffer.alloc(32, 1)) {
  const clock = { nowMs, monotonicMs: nowMs };
  return createRequestStates({ tokenKey: key, lifetimeMs: 1_000, clock });
}

describe("request state", () => {
  const states = statesAt(() => 5_000);

  test("what was sealed opens for the same call, in the server's own spelling, on any node", () => {
    const stateText = '"a\\u0041\\ud800 é"';
    const sealed = states.seal(owner, stateText, 3) ?? "";
    expect(sealed).toMatch(/^[A-Za-z0-9_-]+$/);
    expect(sealed).not.toContain(Buffer.from("A").toString("base64url").repeat(8));
    expect(statesAt(() => 5_000).open(owner, sealed)).toEqual({ stateText, round: 3 });
  });

  test("two seals of the same state differ", () => {
    expect(states.seal(owner, '"x"', 1)).not.toBe(states.seal(owner, '"x"', 1));
  });

  test("AZ-09: one changed bit anywhere, a cut or an addition, and it does not open", () => {
    const bytes = Buffer.from(states.seal(owner, '"state"', 1) ?? "", "base64url");
    const forged = { reason: "state-forged" };
    for (let at = 0; at < bytes.length; at += 1) {
      for (const bit of [0x01, 0x80]) {
        const changed = Buffer.from(bytes);
        changed[at] = (changed[at] ?? 0) ^ bit;
        expect([at, states.open(owner, changed.toString("base64url"))]).toEqual([at, forged]);
      }
      expect(states.open(owner, bytes.subarray(0, at).toString("base64url"))).toEqual(forged);
    }
  });

  test("AZ-09: one state has one spelling", () => {
    const sealed = states.seal(owner, '"stat"', 1) ?? "";
    const others = [`${sealed}-TAMPERED`, `${sealed}=`, `${sealed} `, `!${sealed}`, "", "AQ"];
    const last = sealed.at(-1) ?? "";
    const spare = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const sibling = sealed.slice(0, -1) + spare[spare.indexOf(last) ^ 1];
    for (const other of [...others, sibling, "A".repeat(1_000_000)]) {
      expect(states.open(owner, other)).toEqual({ reason: "state-forged" });
    }
  });

  test.each<[string, Partial<StateOwner>]>([
    ["state-principal", { principalId: "client:b" }],
    ["state-principal", { tenant: undefined }],
    ["state-target", { server: "other" }],
    ["state-target", { method: "prompts/get" }],
    ["state-target", { target: "sub" }],
    ["state-params", { paramsText: '{"name":"sub"}' }],
  ])("AZ-09: %s: it does not open for another call: %j", (reason, change) => {
    const sealed = states.seal(owner, '"x"', 1) ?? "";
    expect(states.open({ ...owner, ...change }, sealed)).toEqual({ reason });
  });

  test("AZ-09: it opens until its time is over, and under no other key", () => {
    let now = 0;
    const timed = statesAt(() => now);
    const sealed = timed.seal(owner, '"x"', 1) ?? "";
    now = 999;
    expect(timed.open(owner, sealed)).toEqual({ stateText: '"x"', round: 1 });
    now = 1_000;
    expect(timed.open(owner, sealed)).toEqual({ reason: "state-expired" });
    const foreign = statesAt(() => 0, Buffer.alloc(32, 2));
    expect(foreign.open(owner, sealed)).toEqual({ reason: "state-forged" });
  });

  test("the largest state is carried, and none beyond it", () => {
    const largest = `"${"x".repeat(stateBytesMax - 2)}"`;
    const sealed = states.seal(owner, largest, 1) ?? "";
    expect(states.open(owner, sealed)).toEqual({ stateText: largest, round: 1 });
    expect(states.seal(owner, `"${"x".repeat(stateBytesMax - 1)}"`, 1)).toBeUndefined();
  });
});
