/**
 * R-10 in the database's copy: single bits flipped at random in each column of audit_records, and the verifier, with the
 * vault at hand, must find each of them. FAULT_FLIPS sets how many a column (12), FAULT_SEED where to begin; a failure
 * names the seed that shows it again.
 */
import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { join } from "node:path";
import { originOf } from "../../src/audit/evidence/checkpoint.ts";
import { evidenceFolder } from "../../src/audit/evidence/checkpoint-file.ts";
import { loadNodeKey } from "../../src/audit/evidence/node-key.ts";
import { openAuditLog } from "../../src/audit/log.ts";
import { createOpener } from "../../src/audit/opener.ts";
import { readEvidence } from "../../src/audit/verify/read-spool.ts";
import { verifyStore } from "../../src/audit/verify/verify.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { openStore } from "../../src/storage/open-store.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";
import { createSeededRandom, type SeededRandom } from "../support/audit-forge/random.ts";
import { openFolderVault } from "../support/sealing.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const flips = Number(process.env.FAULT_FLIPS ?? 12);
const firstSeed = Number(process.env.FAULT_SEED ?? 1);
const records = 12;

test(`R-10 ST-06 each of ${flips} single bits in each column is found`, async () => {
  await using folder = temporaryFolder("database-flips");
  const dataDir = folder.path;
  const logId = await leaveLog(dataDir);
  const store = await openStore({ dataDir, log: silentLog, deadlineMs: 5_000, migrate: false });
  const vault = await openFolderVault(dataDir);
  using database = new Database(join(dataDir, "gateway.sqlite"));
  const { certificates, checkpoints } = readEvidence(evidenceFolder(dataDir));
  const keys = [(await loadNodeKey(dataDir, originOf(logId))).verifier];
  const signed = { keys, certificates, checkpoints, opener: createOpener(vault) };
  const look = () => verifyStore(store.audit, logId, signed);
  expect(await look()).toMatchObject({ ok: true, verdicts: { ok: records + 2, okSealed: 0 } });
  const kinds = new Map<string, Map<string, number>>();
  for (const [nth, column] of columnsOf(database).entries()) {
    const seen = new Map<string, number>();
    for (let index = 0; index < flips; index += 1) {
      const seed = firstSeed * 104_729 + nth * 10_007 + index;
      using flipped = flip(database, column, createSeededRandom(seed));
      const found = await look().catch((error: Error) => error.message);
      const said = typeof found === "string" ? found : (found.violation?.kind ?? "sound");
      const what = { column, seed, ...flipped.what };
      expect({ ...what, said }).not.toEqual({ ...what, said: "sound" });
      seen.set(said, (seen.get(said) ?? 0) + 1);
    }
    kinds.set(column, seen);
  }
  console.log(
    JSON.stringify([...kinds].map(([column, seen]) => [column, Object.fromEntries(seen)])),
  );
  expect(await look()).toMatchObject({ ok: true });
  await vault.close();
  await store.close();
}, 600_000);

/** A signed log of one life, all of it in the database. */
async function leaveLog(dataDir: string) {
  const store = await openStore({ dataDir, log: silentLog, deadlineMs: 5_000, migrate: true });
  const keys = await openFolderVault(dataDir);
  const own = {
    dataDir,
    store,
    keys,
    clock: systemClock,
    log: silentLog,
    metrics: createMetrics(),
  };
  const log = await openAuditLog({ ...own, life: { version: "test" } });
  const facts = {
    ...{ server: "calc", scope: "all", tool: "add", method: "tools/call", status: "success" },
    ...{ decision: "client", reason: "allowed", dataClass: "SECRET", correlationId: "c-1" },
    tenant: "acme",
  };
  for (let count = 0; count < records; count += 1) {
    const details = { principal: `client:${count % 3}`, client: `${count % 3}`, session: "s-1" };
    const timeMs = systemClock.nowMs();
    await log.append({ event: "call.outcome", class: "A", timeMs, facts, details }, "synced");
  }
  const { logId } = log.status();
  const closing = { event: "lifecycle.stopped", class: "A", facts: {}, details: {} } as const;
  await log.close({ ...closing, timeMs: systemClock.nowMs() });
  await keys.close();
  await store.close();
  return logId;
}

function columnsOf(database: Database): readonly string[] {
  const all = database.query<{ name: string }, []>("pragma table_info(audit_records)").all();
  return all.map(({ name }) => name);
}

interface Cell {
  readonly id: number;
  readonly kind: string;
  readonly bytes: Uint8Array;
}

/** Flips one bit of one row's value, as it is stored; disposing puts the row back. */
function flip(database: Database, column: string, random: SeededRandom) {
  const cells = database
    .query<Cell, []>(
      `select rowid as id, typeof(${column}) as kind, cast(cast(${column} as text) as blob) as bytes
       from audit_records where ${column} is not null and length(${column}) > 0`,
    )
    .all();
  for (;;) {
    const { id, kind, bytes } = random.pick(cells);
    const write = (value: Uint8Array) =>
      database
        .query(
          `update or ignore audit_records set ${column} = cast(?1 as ${kind}) where rowid = ?2`,
        )
        .run(value, id).changes;
    const changed = kind === "integer" ? flipInteger(bytes, random) : flipText(bytes, random);
    // Two rows cannot have one number: the table has no such state.
    if (write(changed) === 0) continue;
    const what = { row: id, became: Buffer.from(changed).toString() };
    return { what, [Symbol.dispose]: () => void write(bytes) };
  }
}

function flipInteger(bytes: Uint8Array, random: SeededRandom): Uint8Array {
  const value = BigInt(Buffer.from(bytes).toString());
  // Numbers of the log are below 2^53.
  return Buffer.from(String(value ^ (1n << BigInt(random.below(52)))));
}

function flipText(bytes: Uint8Array, random: SeededRandom): Uint8Array {
  const changed = Uint8Array.from(bytes);
  const at = random.below(bytes.length);
  changed[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
  return changed;
}
