/** What `audit verify` does where proof is not there yet: a checkpoint that follows, a copy that catches up. */
import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { toAuditRow } from "../../src/audit/row.ts";
import { openStore } from "../../src/storage/open-store.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import { toArtefact, writeSpool } from "../support/audit-forge/artefact.ts";
import { type ForgedLog, forgeLog } from "../support/audit-forge/log.ts";
import { createSeededRandom } from "../support/audit-forge/random.ts";
import { runGateway } from "../support/command-line.ts";
import { until } from "../support/deadline.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

function startLog(seed: number): ForgedLog {
  const log = forgeLog(createSeededRandom(seed));
  log.start();
  for (let call = 0; call < 6; call += 1) log.append("admin.change", {}, { principal: "p" });
  return log;
}

test("K-14 --wait: an order that nobody signed yet ends with 3, and with 0 once its checkpoint is there", async () => {
  await using folder = temporaryFolder("verify-wait");
  const dir = folder.path;
  const log = startLog(91);
  const before = log.checkpoint();
  log.order("erased", [3, 4]);
  const artefact = toArtefact(log, [before]);
  writeSpool({ ...artefact, tiles: new Map() }, dir);
  const verify = (...more: string[]) =>
    runGateway(["audit", "verify", "--data-dir", dir, "--key", log.pinned, ...more]);
  const unproved = await verify();
  expect(unproved.exitCode).toBe(3);
  expect(unproved.stdout).toContain("gone     2 records, which is NOT PROVED to be lawful yet");
  expect(unproved.stdout).toContain("not-yet-witnessed");
  expect((await verify("--wait", "1")).exitCode).toBe(3);
  const waiting = verify("--wait", "60");
  const isWaiting = await Promise.race([
    waiting.then(() => false),
    Bun.sleep(1_500).then(() => true),
  ]);
  expect(isWaiting).toBe(true);
  writeFileSync(join(dir, "evidence", "checkpoint"), log.checkpoint());
  const proved = await waiting;
  expect([proved.exitCode, proved.stdout]).toEqual([0, expect.stringContaining("2 erased")]);
  const wrong = await verify("--wait", "soon");
  expect([wrong.exitCode, wrong.stderr]).toEqual([
    2,
    expect.stringContaining("--wait takes whole seconds, 9999 at most"),
  ]);
}, 120_000);

test("ST-01 a database whose copy is behind its checkpoint is waited for, and cut where it stays so", async () => {
  await using folder = temporaryFolder("verify-behind");
  const dataDir = folder.path;
  const log = startLog(92);
  writeSpool(toArtefact(log), dataDir);
  const rows = log.records.map(({ envelope, sealed, leaf }) => {
    const row = toAuditRow({ envelope: envelope ?? "", details: sealed ?? "", leaf });
    if (row === undefined) throw new Error("a forged record cannot be read");
    return row;
  });
  const store = await openStore({ dataDir, log: silentLog, deadlineMs: 30_000, migrate: true });
  await store.audit.append(rows.slice(0, 4));
  const verify = () =>
    runGateway(["audit", "verify", "--data-dir", dataDir, "--database", "--key", log.pinned]);
  const cut = await verify();
  expect([cut.exitCode, cut.stdout]).toEqual([1, expect.stringContaining("cut")]);
  let isDone = false;
  const waiting = verify().finally(() => {
    isDone = true;
  });
  await Bun.sleep(1_000);
  await store.audit.append(rows.slice(4));
  await until("the verifier's end", () => isDone);
  const sound = await waiting;
  expect([sound.exitCode, sound.stdout]).toEqual([0, expect.stringContaining("chain    holds")]);
  await store.close();
}, 120_000);
