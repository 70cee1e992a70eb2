/** A record counts as signed once both checkpoints that verifiers go by cover it. */
import { expect, test } from "bun:test";
import type { Evidence } from "../../../src/audit/evidence/evidence.ts";
import { createIsWitnessed } from "../../../src/compose/witnessed-record.ts";

const checkpoints = (size: number | undefined) => ({
  last: async (logId: string) =>
    size === undefined ? undefined : { logId, size, root: "", note: "" },
});
const evidence = (size: number) => ({ signedSeq: () => size }) as Evidence;
const record = { logId: "log-1", seq: 7 };

const cases = [
  ["nothing is signed in this log at all", undefined, undefined, true],
  ["signed here and in the database", 7, checkpoints(7), true],
  ["signed here, and the database does not know yet", 7, checkpoints(6), false],
  ["signed here, and the database knows of none", 7, checkpoints(undefined), false],
  ["not signed yet", 6, checkpoints(7), false],
  ["signed here, and another database is the witness", 7, undefined, true],
] as const;

test.each(cases)("%s", async (_, signed, stored, wanted) => {
  const audit = { evidence: signed === undefined ? undefined : evidence(signed) };
  expect(await createIsWitnessed({ audit, checkpoints: stored })(record)).toBe(wanted);
});
