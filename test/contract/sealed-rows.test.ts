/** Finding what is sealed under a key, in both databases: the oldest first whoever's it is, and the next from a time on. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { openStore } from "../../src/storage/open-store.ts";
import type { AuditStore } from "../../src/storage/store.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import { auditRow } from "../support/audit-row.ts";
import { startPostgres } from "../support/postgres.ts";
import { sealedPart } from "../support/sealed-spool.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

setDefaultTimeout(60_000);

const [ann, bob, cat] = ["a", "b", "d"].map((letter) => letter.repeat(16)) as [
  string,
  string,
  string,
];
const people = [
  { key: ann, principal: "token-ann" },
  { key: bob, principal: "token-bob" },
  { key: cat, principal: "token-cat" },
];

/** Everybody in turn, and twins in time. */
async function fill(store: AuditStore): Promise<void> {
  const rows = Array.from({ length: 30 }, (_, index) => {
    const { key = "", principal = "" } = people[index % people.length] ?? {};
    const timeMs = 1_000 + Math.floor(index / 2);
    return auditRow(index + 1, { timeMs, principal, details: sealedPart(key, "secret") });
  });
  await store.append(rows);
}

async function expectFound(store: AuditStore): Promise<void> {
  const of = { of: "subject", keys: [ann, bob] } as const;
  const both = { ...of, principals: ["token-ann", "token-bob"] };
  const first = await store.sealed({ ...both, limit: 5 });
  expect(first.map(({ seq }) => seq)).toEqual([1, 2, 4, 5, 7]);
  expect(first.at(-1)).toEqual({ logId: "log-a", seq: 7, leaf: "leaf-7", timeMs: 1_003 });
  const next = await store.sealed({ ...both, fromMs: 1_003, limit: 3 });
  expect(next.map(({ seq }) => seq)).toEqual([7, 8, 10]);
  // Nobody knows under which tokens: all rows are looked at, in the same order.
  const unknown = await store.sealed({ ...of, limit: 5 });
  expect(unknown).toEqual(first);
  // More than are asked for one by one.
  const crowd = Array.from({ length: 40 }, (_, index) => `token-${index}`);
  const many = await store.sealed({
    ...both,
    principals: [...both.principals, ...crowd],
    limit: 5,
  });
  expect(many).toEqual(first);
  expect(await store.sealed({ ...of, principals: [], limit: 5 })).toEqual([]);
  expect(await store.erase(first)).toBe(5);
  const rest = await store.sealed({ ...both, limit: 2 });
  expect(rest.map(({ seq }) => seq)).toEqual([8, 10]);
  expect(await store.countSealed(both)).toBe(15);
}

test("PV-14 SQLite: the rows of several subjects come mixed, in the order of their time", async () => {
  await using folder = temporaryFolder("sealed-rows");
  const own = { dataDir: folder.path, log: silentLog, deadlineMs: 30_000, migrate: true };
  const store = await openStore(own);
  await fill(store.audit);
  await expectFound(store.audit);
  await store.close();
});

test("PV-14 PostgreSQL: the rows of several subjects come mixed, in the order of their time", async () => {
  await using folder = temporaryFolder("sealed-rows");
  await using postgres = await startPostgres();
  const own = { dataDir: folder.path, log: silentLog, deadlineMs: 30_000, migrate: true };
  const store = await openStore({ ...own, databaseUrl: postgres.url });
  await fill(store.audit);
  await expectFound(store.audit);
  await store.close();
});
