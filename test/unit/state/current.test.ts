/** Swapping, telling, and following what other processes write. */
import { describe, expect, test } from "bun:test";
import { buildSnapshot } from "../../../src/state/build.ts";
import { createCurrentSnapshot, followStore } from "../../../src/state/current.ts";
import { silentLog } from "../../../src/telemetry/log.ts";
import { createMemoryResourceStore } from "../../support/memory-store.ts";

const policy = {
  decide: () => ({ allowed: false, reason: "", ruleId: "" }),
  seesServer: () => false,
};
const compile = () => policy;
const at = (revision: number) => buildSnapshot(revision, [], compile);

describe("createCurrentSnapshot", () => {
  test("swaps forward only, and tells with both", () => {
    const current = createCurrentSnapshot(at(3));
    const seen: [number, number][] = [];
    const stop = current.subscribe((next, previous) =>
      seen.push([next.stateRevision, previous.stateRevision]),
    );
    expect(current.swap(at(3))).toBe(false);
    expect(current.swap(at(2))).toBe(false);
    expect(current.swap(at(5))).toBe(true);
    stop();
    current.swap(at(6));
    expect(seen).toEqual([[5, 3]]);
    expect(current.get().stateRevision).toBe(6);
  });
});

describe("followStore", () => {
  const role = { name: "r", description: "", permissions: [] };

  test("serves what another process wrote", async () => {
    const store = createMemoryResourceStore();
    const current = createCurrentSnapshot(at(0));
    const follower = followStore({ store, current, compile, log: silentLog });
    await store.write([{ kind: "role", name: "r", body: role }], 0, 0);
    store.notify();
    await follower.reload();
    expect(current.get().stateRevision).toBe(1);
    follower.stop();
    await store.write([], 1, 0);
    store.notify();
    expect(current.get().stateRevision).toBe(1);
  });

  test("P18 keeps the old state where the new one is invalid or cannot be read", async () => {
    const store = createMemoryResourceStore();
    const current = createCurrentSnapshot(at(0));
    const follower = followStore({ store, current, compile, log: silentLog });
    await store.write([{ kind: "role", name: "r", body: { bad: true } }], 0, 0);
    await follower.reload();
    expect(current.get().stateRevision).toBe(0);
    await store.write([{ kind: "role", name: "r", body: role }], 1, 0);
    await follower.reload();
    expect(current.get().stateRevision).toBe(2);
    follower.stop();
  });
});
