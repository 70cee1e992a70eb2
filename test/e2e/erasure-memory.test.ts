/**
 * What a running gateway's memory still holds of somebody who was erased: neither keys nor what derives from them, nor
 * the randoms that a guess could be tested with.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { createHmac } from "node:crypto";
import { createOpener } from "../../src/audit/opener.ts";
import { openStore } from "../../src/storage/open-store.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import { createAdminClient } from "../support/admin-client.ts";
import { until } from "../support/deadline.ts";
import { callEcho, erase } from "../support/erasing.ts";
import { type GatewayProcess, startGateway } from "../support/gateway-process.ts";
import { allRecords, registerClient, registerHttpServer } from "../support/operator.ts";
import { countInMemory } from "../support/process-memory.ts";
import { openFolderVault } from "../support/sealing.ts";
import { startTinyServer } from "../support/tiny-server.ts";

setDefaultTimeout(120_000);

const from = process.env.MCP_GATEWAY_TEST_FROM === "source" ? "source" : "executable";
const calls = 2;

test("K-12 PV-02 in memory: no key, no pair derived from it, no record's key or random, though all was read before", async () => {
  await using tiny = startTinyServer();
  await using gateway = await startGateway({ from });
  using admin = createAdminClient(gateway);
  await registerHttpServer(admin, "tiny", tiny.url);
  const tools = { allowed_tools: ["tiny__echo"] };
  const ann = await registerClient(admin, "ann", tools);
  for (let time = 0; time < calls; time += 1) await callEcho(gateway, ann);
  const read = () => allRecords(admin, { client: "ann", event: "call.outcome" });
  await until("copied and read", async () => (await read()).length === calls);
  const needles = await collect(gateway.dataDir, "client:ann");
  expect(needles.randoms).toHaveLength(2 * calls);
  // What serves is in memory; what served for one record is gone with it.
  const before = count(gateway, needles);
  expect(before).toMatchObject({ recordKeys: 0, randoms: 0, randomTexts: 0 });
  expect([before.dek, before.pairs]).not.toContain(0);
  await erase(gateway, admin, "client:ann");
  expect(count(gateway, needles)).toEqual({
    ...{ dek: 0, pairs: 0, padded: 0, recordKeys: 0, randoms: 0, randomTexts: 0 },
  });
});

type Needles = Readonly<Record<string, readonly Uint8Array[]>>;

function count(gateway: GatewayProcess, needles: Needles): Readonly<Record<string, number>> {
  const names = Object.entries(needles).flatMap(([name, some]) => some.map(() => name));
  const found = countInMemory(gateway.pid, Object.values(needles).flat());
  const sums: Record<string, number> = {};
  found.forEach((times, at) => {
    const name = names[at] ?? "";
    sums[name] = (sums[name] ?? 0) + times;
  });
  return sums;
}

/** As only this test may know it. */
async function collect(dataDir: string, principal: string): Promise<Needles> {
  const vault = await openFolderVault(dataDir);
  const store = await openStore({ dataDir, log: silentLog, deadlineMs: 30_000, migrate: false });
  try {
    const [id = ""] = await vault.keysOf({ tenant: "", principal });
    const [stored] = await vault.store.byIds([id]);
    if (stored === undefined) throw new Error("no key");
    const dek = Uint8Array.from(await vault.ring.open(stored));
    const page = await store.audit.scan({ filter: {}, limit: 5_000, order: "ascending" });
    const sealed = page.rows.filter((row) => row.details?.includes(`"subject":"${id}"`));
    const opened = await createOpener(vault).open(sealed, "randoms");
    const parts = sealed.map((row) => JSON.parse(row.details ?? "{}"));
    const pairs = new Map(
      parts.map((part) => [part.class, { subject: part.subject, class: part.class }]),
    );
    const keys = (await vault.openingKeys([...pairs.values()])).filter(
      (key) => typeof key !== "string",
    );
    const [pair = new Uint8Array()] = keys;
    const records = parts.map((part) =>
      createHmac("sha256", pair).update("record\0").update(Buffer.from(part.salt, "hex")).digest(),
    );
    const randoms = opened.map((one) => one.random ?? new Uint8Array());
    return {
      dek: [dek],
      pairs: keys,
      // As HMAC takes a key into its blocks.
      padded: keys.flatMap((key) => [
        key.map((byte) => byte ^ 0x36),
        key.map((byte) => byte ^ 0x5c),
      ]),
      recordKeys: records,
      randoms,
      randomTexts: randoms.map((random) => Buffer.from(random.toHex())),
    };
  } finally {
    await store.close();
    await vault.close();
  }
}
