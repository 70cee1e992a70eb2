/** Retention on a real audit log: records go from the store, and the log still verifies. */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openAuditLog } from "../../src/audit/log.ts";
import { createFilterTokens } from "../../src/audit/tokens.ts";
import { verifyStore } from "../../src/audit/verify/verify.ts";
import { type Clock, systemClock } from "../../src/lib/clock.ts";
import { createRetention } from "../../src/retention/run.ts";
import type { RetentionRuleResource } from "../../src/state/resources.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";
import { createMemoryAuditStore } from "../support/memory-audit-store.ts";
import { openMemoryVault } from "../support/sealing.ts";

const rule: RetentionRuleResource = {
  id: "two-days",
  description: "",
  policyType: "time_based",
  action: "delete",
  retentionDays: 2,
  dataClass: undefined,
  event: "call.outcome",
  clientId: undefined,
  priority: 0,
  enabled: true,
};

test("PV-10 deletions leave the chain verifiable; one without its order is a violation", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "retention-"));
  const store = createMemoryAuditStore();
  const clock: Clock = systemClock;
  const metrics = createMetrics();
  const vault = await openMemoryVault();
  const log = await openAuditLog({
    dataDir,
    store: { audit: store },
    keys: vault,
    clock,
    log: silentLog,
    metrics,
  });
  const oldMs = clock.nowMs() - 3 * 86_400_000;
  for (let index = 0; index < 12; index += 1) {
    const event = index % 3 === 0 ? "admin.change" : "call.outcome";
    const own = { class: "A", timeMs: oldMs, facts: {}, details: { principal: "p" } } as const;
    await log.append({ ...own, event }, "synced");
  }
  const retention = createRetention({
    store: { audit: store, exclusively: (_name, work) => work() },
    audit: log,
    verifying: { isWitnessed: async () => true, untilRead: async () => {} },
    toStored: createFilterTokens(vault).toStored,
    rules: () => [rule],
    clock,
    log: silentLog,
    metrics,
    options: { intervalMs: 60_000, batchMax: 3 },
  });
  const { logId } = log.status();
  while (log.status().shippedSeq < 12) await Bun.sleep(1);
  expect(await retention.process({ validateOnly: false, by: "ada" })).toEqual([
    { ruleId: "two-days", matched: 8, deleted: 8 },
  ]);
  expect(await verifyStore(store, logId)).toMatchObject({ ok: true, records: 15, pruned: 8 });
  await store.prune([{ logId, seq: 4 }]);
  expect((await verifyStore(store, logId)).violation).toMatchObject({
    kind: "removed-tombstone",
    seq: 4,
  });
  await log.close();
  rmSync(dataDir, { recursive: true });
});
