/**
 * A process without a file descriptor says so on the record, once when it begins and once when it is over (ST-20).
 */
import { afterEach, expect, test } from "bun:test";
import { watchDescriptors } from "../../../src/audit/descriptor-watch.ts";
import type { RecordDraft } from "../../../src/audit/record.ts";
import { silentLog } from "../../../src/telemetry/log.ts";
import { until } from "../../support/deadline.ts";

let stop = () => {};
afterEach(() => stop());

function watch() {
  const drafts: RecordDraft[] = [];
  const state = { codeAt: (_probe: number) => "", probes: 0, nowMs: 1_000 };
  stop = watchDescriptors({
    clock: { nowMs: () => 5, monotonicMs: () => state.nowMs },
    log: silentLog,
    record: (draft) => drafts.push(draft),
    probe: () => {
      state.probes += 1;
      const code = state.codeAt(state.probes);
      if (code !== "") throw Object.assign(new Error(code), { code });
    },
    tickMs: 1,
  });
  const facts = () => drafts.map((draft) => draft.facts);
  /** Waits until it was tried so often more. */
  const tried = async (times: number) => {
    const wanted = state.probes + times;
    await until("probes", () => state.probes >= wanted);
  };
  return { drafts, state, facts, tried };
}

test.each(["EMFILE", "ENFILE"])("ST-20: %s is recorded once, and its end", async (code) => {
  const { drafts, state, facts, tried } = watch();
  await tried(3);
  expect(drafts).toEqual([]);
  state.codeAt = () => code;
  await tried(10);
  expect(drafts).toMatchObject([{ event: "overload.fd", class: "B", timeMs: 5 }]);
  state.codeAt = () => "";
  state.nowMs = 8_500;
  await tried(10);
  expect(facts()).toEqual([
    { state: "none", reason: code },
    { state: "free", goneMs: 7_500 },
  ]);
});

test("ST-20: a descriptor that is free now and then is no end of it", async () => {
  const { state, facts, tried } = watch();
  state.codeAt = (probe) => (probe % 4 === 0 ? "EMFILE" : "");
  await tried(20);
  expect(facts()).toEqual([{ state: "none", reason: "EMFILE" }]);
});

test("ST-20: another error says nothing about descriptors", async () => {
  const { state, facts, tried } = watch();
  state.codeAt = () => "EACCES";
  await tried(5);
  expect(facts()).toEqual([]);
});

test("ST-20: the real probe gives its descriptor back", async () => {
  const drafts: RecordDraft[] = [];
  const clock = { nowMs: () => 0, monotonicMs: () => 0 };
  stop = watchDescriptors({ clock, log: silentLog, record: (one) => drafts.push(one), tickMs: 1 });
  await Bun.sleep(30);
  expect(drafts).toEqual([]);
});
