/** Verification: each way to tamper with a log is found and named; lawful deletion is not tampering. */
import { expect, test } from "bun:test";
import { genesisLeaf, leafOf } from "../../../../src/audit/envelope.ts";
import type { RecordDraft } from "../../../../src/audit/record.ts";
import { toAuditRow } from "../../../../src/audit/row.ts";
import {
  createVerifier,
  listLogs,
  type VerifiableRecord,
  verifyStore,
} from "../../../../src/audit/verify/verify.ts";
import { digestLeaves, renderSeqs } from "../../../../src/lib/seqs.ts";
import { createMemoryAuditStore } from "../../../support/memory-audit-store.ts";
import { sealSample } from "../../../support/sealing.ts";

type Facts = RecordDraft["facts"];

function appendTo(
  log: VerifiableRecord[],
  event: RecordDraft["event"],
  facts: Facts,
  id = "log-1",
) {
  const seq = log.length + 1;
  const draft = { event, class: "A", timeMs: seq, facts, details: { principal: "p" } } as const;
  const prev = log.at(-1)?.leaf ?? genesisLeaf;
  const sealed = sealSample({ log: id, seq, prev }, draft);
  log.push({ seq, leaf: leafOf(sealed.envelope), ...sealed });
}

function buildLog(count: number): VerifiableRecord[] {
  const log: VerifiableRecord[] = [];
  for (let index = 0; index < count; index += 1) appendTo(log, "admin.change", { tool: "t" });
  return log;
}

/** Deletes rows and, unless told not to, records the order. */
function prune(log: VerifiableRecord[], seqs: readonly number[], orderedSeqs = seqs): void {
  const leaves = orderedSeqs.map((seq) => log[seq - 1]?.leaf ?? "");
  const facts = { deletedSeqs: renderSeqs(orderedSeqs), digest: digestLeaves(leaves) };
  appendTo(log, "retention.executed", { deletedLog: "log-1", ...facts });
  erase(log, seqs);
}

function erase(log: VerifiableRecord[], seqs: readonly number[]): void {
  for (const seq of seqs) change(log, seq, { envelope: null, details: null });
}

function change(log: VerifiableRecord[], seq: number, to: Partial<VerifiableRecord>): void {
  const record = log[seq - 1];
  if (record !== undefined) log[seq - 1] = { ...record, ...to };
}

function verify(log: readonly VerifiableRecord[]) {
  const verifier = createVerifier("log-1");
  for (const record of log) verifier.push(record);
  return verifier.finish();
}

test("an untouched log is sound", () => {
  const log = buildLog(5);
  expect(verify(log)).toMatchObject({ ok: true, records: 5, lastSeq: 5, lastLeaf: log[4]?.leaf });
});

test("lawfully deleted records are no violation, in several overlapping orders", () => {
  const log = buildLog(9);
  prune(log, [2, 3, 7]);
  prune(log, [4], [4, 7]);
  expect(verify(log)).toMatchObject({ ok: true, pruned: 4, records: 11 });
});

const tamperings: readonly (readonly [
  string,
  string,
  number,
  (log: VerifiableRecord[]) => void,
])[] = [
  ["ST-06 a deleted row", "gap", 3, (log) => log.splice(2, 1)],
  ["ST-06 rows in another order", "gap", 2, (log) => log.reverse().unshift(...log.splice(4, 1))],
  ["ST-06 a row twice", "order", 2, (log) => log.splice(2, 0, ...log.slice(1, 2))],
  [
    "ST-06 an edited envelope",
    "leaf",
    3,
    (log) => change(log, 3, { envelope: log[2]?.envelope?.replace('"t"', '"u"') ?? null }),
  ],
  [
    "an edited envelope with its leaf made new",
    "link",
    4,
    (log) => {
      const envelope = log[2]?.envelope?.replace('"t"', '"u"') ?? "";
      change(log, 3, { envelope, leaf: leafOf(envelope) });
    },
  ],
  [
    "a sealed part that is none",
    "commitment",
    2,
    (log) => change(log, 2, { details: log[1]?.details?.replace('"salt"', '"salz"') ?? null }),
  ],
  [
    "a sealed part said to be empty",
    "commitment",
    2,
    (log) => change(log, 2, { details: '{"v":1}' }),
  ],
  ["details without their order", "details-missing", 2, (log) => change(log, 2, { details: null })],
  ["an envelope that is none", "unreadable", 2, (log) => change(log, 2, { envelope: "{}" })],
  [
    "a row of another log",
    "order",
    1,
    (log) => {
      const other: VerifiableRecord[] = [];
      appendTo(other, "admin.change", {}, "log-2");
      log.splice(0, 1, ...other);
    },
  ],
  ["a deletion nobody ordered", "pruned-without-order", 3, (log) => erase(log, [3])],
  [
    "PV-10 a deletion beyond the order",
    "pruned-without-order",
    4,
    (log) => prune(log, [2, 4], [2]),
  ],
  [
    "an order for other leaves",
    "pruned-without-order",
    2,
    (log) => {
      appendTo(log, "retention.executed", { deletedSeqs: "2", digest: digestLeaves(["x"]) });
      erase(log, [2]);
    },
  ],
];
for (const [what, kind, seq, tamper] of tamperings) {
  test(`${what} is found: ${kind}`, () => {
    const log = buildLog(5);
    tamper(log);
    const report = verify(log);
    expect(report.ok).toBe(false);
    expect(report.violation as unknown).toMatchObject({ kind, seq });
  });
}

test("ST-06 a search column that does not say what the record says is found", async () => {
  const store = createMemoryAuditStore();
  for (const { envelope, details, leaf } of buildLog(3)) {
    const row = toAuditRow({ envelope: envelope ?? "", details: details ?? "", leaf });
    if (row !== undefined) await store.append([row]);
  }
  expect(await verifyStore(store, "log-1")).toMatchObject({ ok: true, records: 3 });
  const second = store.rows[1];
  if (second !== undefined) store.rows[1] = { ...second, principal: "someone else" };
  expect(await verifyStore(store, "log-1")).toMatchObject({
    ok: false,
    violation: { kind: "columns", seq: 2 },
  });
});

test("every log in the database is listed once", async () => {
  const store = createMemoryAuditStore();
  expect(await listLogs(store)).toEqual([]);
  for (const id of ["log-a", "log-b", "log-c"]) {
    const log: VerifiableRecord[] = [];
    for (let index = 0; index < 3; index += 1) appendTo(log, "admin.change", {}, id);
    const rows = log.map(({ envelope, details, leaf }) =>
      toAuditRow({ envelope: envelope ?? "", details: details ?? "", leaf }),
    );
    await store.append(rows.filter((row) => row !== undefined));
  }
  expect(await listLogs(store)).toEqual(["log-a", "log-b", "log-c"]);
});

test("an order that also names records still there is held against their leaves", async () => {
  const store = createMemoryAuditStore();
  const log = buildLog(4);
  prune(log, [2], [2, 3]);
  const sound = log[1];
  for (const record of buildLog(4).concat(log.slice(4))) {
    const { envelope, details, leaf } = record;
    const row = toAuditRow({ envelope: envelope ?? "", details: details ?? "", leaf });
    if (row !== undefined) await store.append([row]);
  }
  await store.prune([{ logId: "log-1", seq: sound?.seq ?? 0 }]);
  expect(await verifyStore(store, "log-1")).toMatchObject({ ok: true, records: 5, pruned: 1 });
});
