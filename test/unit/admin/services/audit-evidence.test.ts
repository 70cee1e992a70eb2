/** Checkpoints and proofs over RPC: whose log, which records, and what is said where there is none. */
import { describe, expect, test } from "bun:test";
import type { Caller } from "../../../../src/admin/caller.ts";
import {
  type AuditEvidenceDeps,
  createAuditEvidence,
} from "../../../../src/admin/services/audit-evidence.ts";
import { auditRow, createMemoryAuditScan } from "../../../support/memory-store.ts";
import {
  createSampleEvidence,
  nothingStored,
  sampleLogStatus,
} from "../../../support/sample-evidence.ts";

const rows = [auditRow(1, { tenant: "a" }), auditRow(2, { tenant: "b" }), auditRow(3)];

function serve(more: Partial<AuditEvidenceDeps> = {}) {
  return createAuditEvidence({
    store: createMemoryAuditScan(rows),
    log: { status: () => sampleLogStatus },
    evidence: createSampleEvidence(),
    stored: nothingStored,
    ...more,
  });
}

function caller(tenant?: string): Caller {
  const { signal } = new AbortController();
  return { name: "ann", roles: ["auditor"], tenant, signal, draining: signal, note: () => {} };
}

const proofOf = (seq: number, more: { log_id?: string; old_size?: number } = {}) => ({
  log_id: "",
  seq,
  ...more,
});

const refusal = (work: Promise<unknown>) =>
  work.then(
    () => "answered",
    ({ fault }: { fault: { name: string; message: string } }) => `${fault.name}: ${fault.message}`,
  );

describe("GetCheckpoint", () => {
  test("answers with this node's, by its name or without", async () => {
    for (const log_id of ["", "log-1"]) {
      const { checkpoint } = await serve().getCheckpoint({ log_id }, caller());
      expect(checkpoint).toEqual({
        log_id: "log-1",
        note: "a note",
        size: 5,
        root: "00",
        certificate: "a certificate",
      });
    }
  });

  test("says who has another log's tree", async () => {
    const refused = await refusal(serve().getCheckpoint({ log_id: "log-2" }, caller()));
    expect(refused).toStartWith("resource-not-found: log_id: no checkpoint of log-2 is in");
  });

  test("says that nothing is signed", async () => {
    const none = { ...createSampleEvidence(), checkpoint: () => undefined };
    expect(await refusal(serve({ evidence: none }).getCheckpoint({ log_id: "" }, caller()))).toBe(
      "not-signed-yet: Nothing was signed yet: ask again in a second",
    );
    const without = serve({ evidence: undefined }).getCheckpoint({ log_id: "" }, caller());
    expect(await refusal(without)).toStartWith("not-signed-yet: This node signs nothing");
  });
});

describe("GetProof", () => {
  test("proves a record, from an older checkpoint where asked", async () => {
    const answer = await serve().getProof(proofOf(4, { old_size: 2 }), caller());
    expect(answer).toMatchObject({
      proof: "a proof of 4",
      index: 3,
      leaf: "11",
      consistency: ["from 2"],
      checkpoint: { size: 5 },
    });
  });

  test("refuses numbers that are not there, and sizes that never were", async () => {
    for (const seq of [0, -1, 6]) {
      expect(await refusal(serve().getProof(proofOf(seq), caller()))).toBe(
        "resource-not-found: seq: this log has no such record",
      );
    }
    for (const old_size of [-1, 6]) {
      expect(await refusal(serve().getProof(proofOf(1, { old_size }), caller()))).toBe(
        "invalid-params: old_size: must be the size of an older checkpoint",
      );
    }
  });

  test("AZ-15: gives a tenant's operator proofs of the tenant's records alone", async () => {
    expect(await serve().getProof(proofOf(1), caller("a"))).toMatchObject({ index: 0 });
    for (const seq of [2, 3, 4, 0, 99]) {
      expect(await refusal(serve().getProof(proofOf(seq), caller("a")))).toBe(
        "resource-not-found: seq: this log has no such record",
      );
    }
  });
});
