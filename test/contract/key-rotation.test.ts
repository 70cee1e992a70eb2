/**
 * R-38, K-18, K-08: keys go round in a tight loop while records are made, read, searched and erased. How many rounds:
 * `MCP_GATEWAY_ROTATIONS`.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { until } from "../support/deadline.ts";
import { openErasingLog } from "../support/erasing-log.ts";
import { findAbsences, readRows } from "../support/lawful-absence.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const rounds = Number(process.env.MCP_GATEWAY_ROTATIONS ?? 4);
// Each round wraps the index keys of all rounds before it anew.
setDefaultTimeout(600_000 + rounds * 10_000);

const callsPerRound = 100;
const by = { by: "operator:ada", reason: "test", isUrgent: true, validateOnly: false } as const;

test("R-38 K-18 rotating without a pause: no record is refused, and all stay readable and found", async () => {
  await using folder = temporaryFolder("rotation");
  await using own = await openErasingLog(folder.path, { keyRetireMinutes: 0 });
  const names = Array.from({ length: 10 }, (_, index) => `client:${index}`);
  let isDone = false;
  let made = 0;
  /** Calls still to be made in this round: rotating goes on under load, whatever the machine can do. */
  let wanted = 0;
  const failures: unknown[] = [];
  const calling = names.map(async (name) => {
    while (!isDone) {
      if (wanted <= 0) {
        await new Promise((resolve) => setImmediate(resolve));
        continue;
      }
      wanted -= 1;
      await own.call(name).then(
        () => (made += 1),
        (error) => failures.push(error),
      );
    }
  });
  const reading = (async () => {
    while (!isDone) await own.readable();
  })();
  for (let round = 0; round < rounds; round += 1) {
    wanted = callsPerRound;
    expect((await own.work.rotation.rotate("kek")).epoch).toBe(round + 2);
    await own.work.rotation.rotate("index");
    await own.work.rotation.run();
    // Somebody's keys go in every round, while readers hold them.
    const target = { kind: "subject", tenant: "", principal: "client:0" } as const;
    expect(await own.work.erasure.destroy({ ...by, target })).toMatchObject({ keys: 1 });
    await until("the round's calls", () => wanted <= 0, 60_000);
  }
  isDone = true;
  await Promise.all([...calling, reading]);
  expect(failures).toEqual([]);
  expect(made).toBe(callsPerRound * rounds);
  await until("swept", () => own.work.erasure.pending() === 0, 60_000);
  await own.shipped();
  const rows = await readRows(own.store, own.log.status().logId);
  const { broken, unlawful, lawful } = findAbsences(rows);
  expect([broken, unlawful]).toEqual([[], []]);
  // What is not erased can be read and found, whichever epoch it was made in.
  const readable = await own.readable();
  const calls = rows.filter((row) => row.envelope?.includes('"event":"call.outcome"'));
  expect(readable.size).toBe(calls.length - lawful.length);
  for (const name of names.slice(1)) {
    const its = [...readable].filter(([, of]) => of === name).map(([seq]) => seq);
    expect(await own.found(name)).toEqual(its);
  }
});

test("K-08 a new KEK wraps the same keys anew; the old one is destroyed once nothing lies under it", async () => {
  await using folder = temporaryFolder("rotation");
  const seqs: number[] = [];
  {
    await using own = await openErasingLog(folder.path);
    for (const name of ["client:ann", "client:bob"]) seqs.push(await own.call(name));
    await own.shipped();
    const before = await readRows(own.store, own.log.status().logId);
    const { rewraps } = await own.work.rotation.rotate("kek");
    // Two subjects, one class of one month, the index key.
    expect(rewraps).toBe(4);
    await own.work.rotation.run();
    const after = await readRows(own.store, own.log.status().logId);
    expect(after.slice(0, before.length)).toEqual([...before]);
    // Nodes that share the vault have yet to hear of it.
    expect(await epochs(own, "decrypt-only")).toEqual([1]);
  }
  await using own = await openErasingLog(folder.path, { keyRetireMinutes: 0 });
  await own.work.rotation.run();
  expect(await epochs(own, "destroyed")).toEqual([1]);
  expect(await epochs(own, "active")).toEqual([2]);
  expect([...(await own.readable()).keys()]).toEqual(seqs);
  await own.shipped();
  const rows = await readRows(own.store, own.log.status().logId);
  const told = rows.filter((row) => row.envelope?.includes('"event":"keys.rotated"'));
  expect(told.map((row) => JSON.parse(row.envelope ?? "{}").facts.state)).toEqual([
    "rotated",
    "retired",
  ]);
});

test("an index key goes once no record holds a token of its time", async () => {
  await using folder = temporaryFolder("rotation");
  await using own = await openErasingLog(folder.path, { keyRetireMinutes: 0 });
  await own.call("client:ann");
  await own.shipped();
  await own.work.rotation.rotate("index");
  await own.call("client:ann");
  await own.shipped();
  await own.work.rotation.run();
  expect([(await own.found("client:ann")).length, (await own.vault.indexKeys()).length]).toEqual([
    2, 2,
  ]);
  const target = { kind: "subject", tenant: "", principal: "client:ann" } as const;
  await own.work.erasure.destroy({ ...by, target });
  await until("swept", () => own.work.erasure.pending() === 0);
  await own.work.rotation.run();
  expect(await own.vault.indexKeys()).toHaveLength(1);
});

async function epochs(
  own: Awaited<ReturnType<typeof openErasingLog>>,
  state: "active" | "decrypt-only" | "destroyed",
) {
  const keks = await own.vault.store.list("kek", 100);
  return keks.filter((key) => key.state === state).map((key) => key.epoch);
}
