/** A record is signed once both checkpoints that verifiers go by cover it; who reads the log is waited for. */
import { expect, test } from "bun:test";
import type { Evidence } from "../../../src/audit/evidence/evidence.ts";
import { createVerifying } from "../../../src/compose/verifying.ts";

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
  expect(await createVerifying({ audit, checkpoints: stored }).isWitnessed(record)).toBe(wanted);
});

test("PV-01 those who read when it is asked are waited for, and nobody who begins later", async () => {
  const verifying = createVerifying({ audit: { evidence: undefined }, checkpoints: undefined });
  await verifying.untilRead();
  const said: string[] = [];
  const first = verifying.begin();
  const waiting = verifying.untilRead().then(() => said.push("waited"));
  const later = verifying.begin();
  await Bun.sleep(0);
  expect(said).toEqual([]);
  first[Symbol.dispose]();
  await waiting;
  expect(said).toEqual(["waited"]);
  later[Symbol.dispose]();
  await verifying.untilRead();
});
