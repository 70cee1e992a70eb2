/** What is erased leaves SQLite's journal as well, also where somebody was reading just then (K-12). */
import { Database } from "bun:sqlite";
import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { openStore } from "../../src/storage/open-store.ts";
import { type Log, silentLog } from "../../src/telemetry/log.ts";
import { auditRow } from "../support/audit-row.ts";
import { until } from "../support/deadline.ts";
import { sealedPart } from "../support/sealed-spool.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

setDefaultTimeout(60_000);

const secret = "quite-unmistakable-secret";

test("K-12: a reader keeps the journal from being emptied; that is said, and made up for once it is gone", async () => {
  await using folder = temporaryFolder("journal");
  const said: string[] = [];
  const log: Log = {
    ...silentLog,
    warn: (event) => void said.push(event),
    info: (event) => void said.push(event),
  };
  const store = await openStore({ dataDir: folder.path, deadlineMs: 5_000, migrate: true, log });
  const row = auditRow(1, { details: sealedPart("a".repeat(16), secret) });
  await store.audit.append([row]);
  const path = join(folder.path, "gateway.sqlite");
  const journalHolds = () => readFileSync(`${path}-wal`).includes(secret);
  expect(journalHolds()).toBe(true);

  const reader = new Database(path, { readonly: true });
  reader.run("begin");
  reader.query("select count(*) from audit_records").get();
  expect(await store.audit.erase([row])).toBe(1);
  said.splice(0, said.indexOf("storage.journal_not_emptied"));
  expect(said).toEqual(["storage.journal_not_emptied"]);
  expect(journalHolds()).toBe(true);
  reader.run("commit");
  reader.close();
  await until("an empty journal", () => !journalHolds());
  await until("the news", () => said.length === 2);
  expect(said).toEqual(["storage.journal_not_emptied", "storage.journal_emptied"]);
  expect(readFileSync(path).includes(secret)).toBe(false);
  await store.close();
});
