/**
 * What a running gateway asks of its vault in PostgreSQL again and again reads what it needs and no more, however many
 * keys and sweeps there are and whatever the planner believes of them: an old KEK alone is a reason to ask every few
 * seconds what still lies under it.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { Client } from "pg";
import { openVaultStore } from "../../src/storage/vault-store.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import type { VaultStore } from "../../src/vault/store.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { countRead, forgetStatistics, stopLooking } from "../support/rows-read.ts";

setDefaultTimeout(120_000);

const tables = "vault_%";
/** All under the KEK of epoch 2, which has a successor that nothing lies under. */
const rows = 100_000;
const asked = 100;
/** For each row that is asked for its own, an index entry and its row, read and written. */
const readMax = 10 * asked;

const logId = "log-1";
const idOf = (at: number) => String(at).padStart(16, "0");
const ids = Array.from({ length: asked }, (_, at) => idOf(rows / 2 + at));
const middle = { epoch: 2, id: idOf(rows / 2) };
const rewrapped = ids.map((id) => ({ id, fromEpoch: 2, epoch: 2, wrapped: "anew" }));

const works: Readonly<Record<string, (store: VaultStore) => Promise<unknown>>> = {
  KEKs: (store) => store.list("kek", 10_000),
  "index keys": (store) => store.list("index", 10_000),
  "what lies under older KEKs, where nothing does": (store) =>
    store.listUnderOlder(2, { limit: asked }),
  "whether anything lies under an old KEK": (store) => store.listUnderOlder(3, { limit: 1 }),
  "the first page under older KEKs": (store) => store.listUnderOlder(3, { limit: asked }),
  "a page in the middle": (store) => store.listUnderOlder(3, { after: middle, limit: asked }),
  "keys wrapped anew": (store) => store.rewrap(rewrapped),
  "the keys of an owner": (store) => store.ofOwner(`owner-${rows / 2}`),
  "the active keys of owners": (store) => store.active(ids.map((id) => `owner-${Number(id)}`)),
  "keys by their ids": (store) => store.byIds(ids),
  "a page of sweeps": (store) => store.sweeps.list(asked, middle.id),
  "which of them a node has done": (store) => store.sweeps.sweptBy(ids, logId),
  "that a node has done them": (store) => store.sweeps.swept(ids, logId),
  "that a node lives": (store) =>
    store.sweeps.noteAlive(logId, 10, { liveSinceMs: 5, knownSinceMs: 5 }),
};

let postgres: TestPostgres;
let client: Client;
const stack = new AsyncDisposableStack();
afterAll(() => stack.disposeAsync());
beforeAll(async () => {
  postgres = stack.use(await startPostgres());
  await (await open()).close();
  client = new Client({ connectionString: postgres.url });
  await client.connect();
  stack.defer(() => client.end());
  await stopLooking(client);
  await fill();
  await client.query("analyze");
});

async function open(): Promise<VaultStore> {
  const place = { url: postgres.url, dataDir: "/nonexistent" };
  return await openVaultStore({ ...place, log: silentLog, deadlineMs: 60_000, waitMs: 0 });
}

async function fill(): Promise<void> {
  const from = `from generate_series(1, ${rows}) n`;
  const id = "lpad(n::text, 16, '0')";
  await client.query(`insert into vault_keys
    select ${id}, 'subject', '', '', 'owner-' || n, 2, repeat('w', 80), 'active', n, null ${from}`);
  await client.query(`insert into vault_keys
    select 'kek-' || n, 'kek', '', '', 'kek-' || n, n, 'w', 'decrypt-only', n, null
    from generate_series(1, 3) n`);
  await client.query(`insert into vault_sweeps select ${id}, '{}' ${from}`);
  await client.query(`insert into vault_swept select ${id}, '${logId}' ${from}`);
}

describe.each([
  ["with statistics", true],
  ["without", false],
])("%s", (_, isLookedAt) => {
  beforeAll(async () => {
    if (!isLookedAt) await forgetStatistics(client, tables);
  });

  test.each(Object.entries(works))("%s", async (_name, work) => {
    const before = await countRead(client, tables);
    const store = await open();
    await work(store);
    await store.close();
    expect((await countRead(client, tables)) - before).toBeLessThanOrEqual(readMax);
  });
});
