/**
 * AZ-04: policy that its database no longer confirms serves for a while, and then denies everything.
 */
import { expect, test } from "bun:test";
import type { RecordDraft } from "../../../src/audit/record.ts";
import { compilePolicy } from "../../../src/policy/compile.ts";
import { buildSnapshot } from "../../../src/state/build.ts";
import { createCurrentSnapshot } from "../../../src/state/current.ts";
import { createFreshness } from "../../../src/state/freshness.ts";
import type { Metrics } from "../../../src/telemetry/metrics.ts";

const maxStaleMs = 60_000;

function world() {
  const current = createCurrentSnapshot(buildSnapshot(3, [], compilePolicy));
  const records: RecordDraft[] = [];
  const said: string[] = [];
  const log = (event: string) => said.push(event);
  const state = { nowMs: 0, revision: async () => 3, reload: async () => {} };
  let staleSeconds: Parameters<Metrics["gauge"]>[1] = () => 0;
  const freshness = createFreshness({
    store: { revision: () => state.revision() },
    current,
    reload: () => state.reload(),
    maxStaleMs,
    audit: {
      append: async (draft) => {
        records.push(draft);
        return { logId: "l", seq: 1 };
      },
    },
    clock: { nowMs: () => state.nowMs, monotonicMs: () => state.nowMs },
    log: { debug: log, info: log, warn: log, error: log },
    metrics: {
      gauge: (_name, read) => {
        staleSeconds = read;
      },
    },
  });
  return { current, records, said, state, freshness, staleSeconds: () => staleSeconds() };
}

test("AZ-04: with the database lost the last good policy serves, then nothing is allowed, then it does again", async () => {
  const { current, records, said, state, freshness, staleSeconds } = world();
  state.revision = async () => {
    throw new Error("gone");
  };
  state.nowMs = maxStaleMs;
  await freshness.check();
  expect([current.isFresh(), staleSeconds()]).toEqual([true, 60]);
  state.nowMs += 1;
  await freshness.check();
  await freshness.check();
  expect(current.isFresh()).toBe(false);
  expect(records).toMatchObject([
    { event: "authz.policy_unavailable", class: "A", facts: { reason: "policy_unavailable" } },
  ]);
  state.revision = async () => 3;
  await freshness.check();
  expect([current.isFresh(), staleSeconds()]).toEqual([true, 0]);
  expect(said).toEqual(["policy.unconfirmed", "policy.unavailable", "policy.confirmed"]);
});

test("AZ-04: a newer state that cannot be loaded is no confirmation, one that can is", async () => {
  const { current, state, freshness } = world();
  state.revision = async () => 4;
  state.nowMs = maxStaleMs + 1;
  await freshness.check();
  expect(current.isFresh()).toBe(false);
  state.reload = async () => {
    current.swap(buildSnapshot(4, [], compilePolicy));
  };
  await freshness.check();
  expect(current.isFresh()).toBe(true);
});
