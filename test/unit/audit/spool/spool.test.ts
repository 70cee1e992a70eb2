/** The calling side of the spool against a thread that answers as the test says: levels, deadlines, refusals. */
import { describe, expect, test } from "bun:test";
import type { RecordDraft } from "../../../../src/audit/record.ts";
import { parseBatch, type ToSpool } from "../../../../src/audit/spool/messages.ts";
import { defaultSpoolOptions, type SpoolOptions } from "../../../../src/audit/spool/options.ts";
import { openSpool, type SpoolDeps } from "../../../../src/audit/spool/spool.ts";
import type { SpoolThreadEvents } from "../../../../src/audit/spool/thread.ts";
import { systemClock } from "../../../../src/lib/clock.ts";
import { silentLog } from "../../../../src/telemetry/log.ts";
import { createMetrics } from "../../../../src/telemetry/metrics.ts";
import type { SealingListener } from "../../../../src/vault/keys.ts";
import { until } from "../../../support/deadline.ts";

/** Every record of this test that has values has the same pair. */
const noKeys = { pairFor: () => 1, listen: () => {} };

async function openOnFake(
  options: Partial<SpoolOptions> = {},
  spoolBytes = 0,
  keys: SpoolDeps["keys"] = noKeys,
) {
  const posted: string[] = [];
  const commands: string[] = [];
  let events: SpoolThreadEvents | undefined;
  const post = (message: ToSpool) => {
    if (typeof message === "string") posted.push(message);
    else if (message.kind === "open") {
      const own = {
        lastSeq: 0,
        lastLeaf: "",
        lastTimeMs: 0,
        openIntents: [],
        damage: [],
        spoolBytes,
      };
      queueMicrotask(() => events?.received({ kind: "opened", ...own }));
    } else if (message.kind === "close") events?.received({ kind: "closed" });
    else if (message.kind === "forget") {
      commands.push(`forget ${message.ref} after ${posted.length}`);
    }
  };
  const metrics = createMetrics();
  const spool = await openSpool({
    dir: "",
    logId: "log-1",
    clock: systemClock,
    log: silentLog,
    metrics,
    options: { ...defaultSpoolOptions, ...options },
    synced: () => {},
    keys,
    startThread: (given) => {
      events = given;
      return { post, terminate: () => {} };
    },
  });
  const say: SpoolThreadEvents["received"] = (message) => events?.received(message);
  const synced = (seq: number) =>
    say({ kind: "synced", seq, seconds: 0, spoolBytes, frames: undefined, written: undefined });
  const die = () => events?.died("test");
  return { spool, posted, say, synced, metrics, die, commands: () => commands };
}

function draft(event: RecordDraft["event"], recordClass: RecordDraft["class"] = "A"): RecordDraft {
  return { event, class: recordClass, timeMs: 1, facts: { tool: "t" }, details: {} };
}

const unavailable = { fault: { name: "audit-unavailable" } };

test("each caller is released at its level, and not before", async () => {
  const { spool, posted, say, synced } = await openOnFake();
  const released: string[] = [];
  for (const level of ["queued", "written", "synced"] as const) {
    spool.append(draft("admin.read"), level).then((ref) => released.push(`${level} ${ref.seq}`));
  }
  const flushed = spool.flush().then(() => released.push("flushed"));
  await Bun.sleep(0);
  expect(released).toEqual(["queued 0"]);
  expect(posted.map((one) => parseBatch(one).length)).toEqual([3]);
  say({ kind: "written", firstSeq: 5, count: 3, isAwaited: false });
  await Bun.sleep(0);
  expect(released).toEqual(["queued 0", "written 6"]);
  synced(7);
  await flushed;
  expect(released).toEqual(["queued 0", "written 6", "synced 7", "flushed"]);
});

test("written and synced in one message release those who wait for either", async () => {
  const { spool, say } = await openOnFake();
  const levels = ["written", "synced"] as const;
  const refs = Promise.all(levels.map((level) => spool.append(draft("admin.read"), level)));
  await Bun.sleep(0);
  const written = { firstSeq: 5, count: 2, isAwaited: false };
  const rest = { seconds: 0.001, spoolBytes: 10, frames: undefined };
  say({ kind: "synced", seq: 6, ...rest, written });
  expect((await refs).map((ref) => ref.seq)).toEqual([5, 6]);
  expect(spool.status()).toMatchObject({ syncedSeq: 6, spoolBytes: 10, writable: true });
});

test("at most two batches are under way; what arrives meanwhile forms the next", async () => {
  const { spool, posted, say } = await openOnFake();
  for (const count of [1, 2, 3, 4]) {
    for (let index = 0; index < count; index += 1) spool.append(draft("admin.read"), "queued");
    await Bun.sleep(0);
  }
  expect(posted.map((one) => parseBatch(one).length)).toEqual([1, 2]);
  say({ kind: "written", firstSeq: 1, count: 1, isAwaited: false });
  await Bun.sleep(0);
  expect(posted.map((one) => parseBatch(one).length)).toEqual([1, 2, 7]);
});

test("ST-10 a disk that hangs is an error by the deadline; class C is never one", async () => {
  const { spool } = await openOnFake({ deadlineMs: 20 });
  const classC = spool.append(draft("traffic.rejected", "C"), "synced");
  await expect(spool.append(draft("call.outcome"), "synced")).rejects.toMatchObject(unavailable);
  expect(await classC).toEqual({ logId: "log-1", seq: 0 });
});

test("an intent refused by its deadline and written later is closed as not executed", async () => {
  const { spool, posted, say } = await openOnFake({ deadlineMs: 10 });
  await expect(spool.append(draft("call.intent"), "synced")).rejects.toMatchObject(unavailable);
  say({ kind: "written", firstSeq: 9, count: 1, isAwaited: false });
  await until("the second batch", () => posted[1] !== undefined);
  const [closing] = parseBatch(posted[1] ?? "");
  expect(closing).toMatchObject({ closesIntent: 9, isUrgent: false });
  expect(closing?.draft.body).toContain('"facts":{"tool":"t","intent":9,"status":"not_executed"}');
});

test("ST-07 records the disk refused reject; dropped ones are counted and a gap record follows", async () => {
  const { spool, posted, say, synced, metrics } = await openOnFake();
  const refused = spool.append(draft("call.outcome"), "written");
  const dropped = spool.append(draft("traffic.rejected", "C"), "queued");
  await Bun.sleep(0);
  say({ kind: "unwritten", count: 2, reason: "ENOSPC" });
  await expect(refused).rejects.toMatchObject({ fault: { reason: "ENOSPC" } });
  await dropped;
  expect(spool.status().dropped).toBe(1);
  synced(0);
  await until("the gap record", () => posted[1] !== undefined);
  expect(posted[1]).toContain('"event":"audit.gap","class":"B","facts":{"dropped":1}');
  expect(await metrics.total("mcp_gateway_audit_dropped_total")).toBe(1);
});

test("ST-09 callers of a group whose sync failed are refused", async () => {
  const { spool, posted, say, synced } = await openOnFake();
  const one = spool.append(draft("call.outcome"), "synced");
  await Bun.sleep(0);
  say({ kind: "written", firstSeq: 1, count: 1, isAwaited: false });
  say({ kind: "unsynced", seq: 1, reason: "EIO" });
  await expect(one).rejects.toMatchObject({ fault: { reason: "EIO" } });
  await until("the record of it", () => posted[1]?.includes("storage.fsync_failed"));
  say({ kind: "written", firstSeq: 2, count: 1, isAwaited: false });
  synced(2);
  await spool.flush();
});

const quota = [
  [0.79, "A B C"],
  [0.8, "A B"],
  [0.95, "A"],
  [1, ""],
] as const;
for (const [used, taken] of quota) {
  test(`ST-08 with ${used} of the quota used the classes taken are: ${taken || "none"}`, async () => {
    const { spool, posted } = await openOnFake({ spoolBytesMax: 1000 }, used * 1000);
    for (const one of ["A", "B", "C"] as const) {
      spool.append(draft("admin.read", one), "written").catch(() => {});
    }
    await Bun.sleep(0);
    expect(parseBatch(posted[0] ?? "").length).toBe(taken.split(" ").filter(Boolean).length);
    expect(spool.status().writable).toBe(used < 1);
  });
}

test("ST-08 the outcome of a call already made is taken whatever the quota says", async () => {
  const { spool, say, synced } = await openOnFake({ spoolBytesMax: 1000 }, 1000);
  const intent = spool.append(draft("call.intent"), "synced").catch((cause) => cause);
  expect(await intent).toMatchObject({ fault: { reason: "spool-full" } });
  const outcome = { ...draft("call.outcome"), facts: { intent: 7 } };
  const taken = spool.append(outcome, "synced");
  await Bun.sleep(0);
  say({ kind: "written", firstSeq: 8, count: 1, isAwaited: false });
  synced(8);
  expect(await taken).toEqual({ logId: "log-1", seq: 8 });
});

test("ST-07 what a full disk refused is said once it takes records again, and outcomes are made good", async () => {
  const { spool, posted, say } = await openOnFake({ probeIntervalMs: 1 });
  const outcome = { ...draft("call.outcome"), facts: { intent: 7 } };
  const refused = spool.append(outcome, "synced").catch((cause) => cause);
  await Bun.sleep(0);
  say({ kind: "unwritten", count: 1, reason: "ENOSPC" });
  expect(await refused).toMatchObject({ fault: { reason: "ENOSPC" } });
  expect(spool.status().writable).toBe(false);
  await until("the gateway to try by itself", () => posted.length === 2);
  expect(posted[1]).toContain('"facts":{"unwritten":1,"reason":"ENOSPC"}');
  say({ kind: "unwritten", count: 1, reason: "ENOSPC" });
  await until("another try", () => posted.length === 3);
  say({ kind: "written", firstSeq: 8, count: 1, isAwaited: false });
  expect(spool.status().writable).toBe(true);
  await until("the outcome", () => posted.length === 4);
  expect(posted[3]).toContain('"intent":7');
});

test("the queue is bounded", async () => {
  const { spool } = await openOnFake({ queueRecordsMax: 10 });
  for (let index = 0; index < 10; index += 1) spool.append(draft("admin.read"), "queued");
  await expect(spool.append(draft("admin.read"), "queued")).rejects.toMatchObject({
    fault: { reason: "queue-full" },
  });
});

test("when the thread dies every caller is refused and the log is not writable", async () => {
  const { spool, die } = await openOnFake();
  const one = spool.append(draft("call.outcome"), "synced");
  die();
  await expect(one).rejects.toMatchObject(unavailable);
  await expect(spool.append(draft("call.outcome"), "synced")).rejects.toMatchObject(unavailable);
  expect(spool.status().writable).toBe(false);
  expect(await spool.died).toBe("test");
  await spool.close();
});

test("a thread that never starts is an error that names the cause", async () => {
  const opening = openSpool({
    dir: "",
    logId: "log-1",
    clock: systemClock,
    log: silentLog,
    metrics: createMetrics(),
    options: { ...defaultSpoolOptions, openTimeoutMs: 5 },
    synced: () => {},
    keys: noKeys,
    startThread: () => ({ post: () => {}, terminate: () => {} }),
  });
  await expect(opening).rejects.toThrow("src/audit/spool/worker.ts");
});

test("a lone caller's record leaves in its own turn; one of many waits for as many as before", async () => {
  const { spool, posted, say } = await openOnFake();
  const append = () => void spool.append(draft("call.outcome"), "queued");
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  append();
  await turn();
  expect(posted.map((batch) => parseBatch(batch).length)).toEqual([1]);
  for (let index = 0; index < 3; index += 1) append();
  await turn();
  say({ kind: "written", firstSeq: 1, count: 1, isAwaited: false });
  say({ kind: "written", firstSeq: 2, count: 3, isAwaited: false });
  append();
  await until("the one that nobody joined", () => posted.length === 3);
  expect(posted.map((batch) => parseBatch(batch).length)).toEqual([1, 3, 1]);
});

describe("records with values need keys", () => {
  const withValues = (event: RecordDraft["event"], recordClass: RecordDraft["class"] = "A") => ({
    ...draft(event, recordClass),
    details: { principal: "ada" },
  });
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  const records = (posted: readonly string[]) => posted.flatMap((batch) => parseBatch(batch));

  test("a record waits for them, and is posted with its pair", async () => {
    const keys = Promise.withResolvers<number>();
    const asked: unknown[][] = [];
    const pairFor = (...owner: string[]) => {
      asked.push(owner);
      return keys.promise;
    };
    const { spool, posted } = await openOnFake({}, 0, { pairFor, listen: () => {} });
    const facts = { tenant: "t", dataClass: "PERSONAL" };
    const timeMs = Date.UTC(2026, 11, 31, 23, 59, 59, 999);
    void spool.append({ ...withValues("admin.read"), facts, timeMs }, "queued");
    void spool.append({ ...withValues("admin.read"), timeMs: timeMs + 1 }, "queued");
    void spool.append(draft("audit.gap"), "queued");
    await turn();
    expect(asked).toEqual([
      ["t", "ada", "PERSONAL", "2026-12"],
      // For refusals, which are of no class (AZ-04).
      ["t", "ada", "UNCLASSIFIED", "2026-12"],
      ["", "ada", "UNCLASSIFIED", "2027-01"],
    ]);
    expect(records(posted).map((record) => record.draft.pair)).toEqual([0]);
    keys.resolve(7);
    await until("the two that waited", () => records(posted).length === 3);
    expect(records(posted).map((record) => record.draft.pair)).toEqual([0, 7, 7]);
  });

  test("K-10 with the vault silent, class A is refused at its deadline and class C dropped", async () => {
    const { spool, posted, metrics } = await openOnFake({ deadlineMs: 20 }, 0, {
      pairFor: () => new Promise<number>(() => {}),
      listen: () => {},
    });
    const refused = spool.append(withValues("admin.read"), "synced").catch((error) => error);
    expect(await spool.append(withValues("traffic.rejected", "C"), "queued")).toMatchObject({
      seq: 0,
    });
    expect(await refused).toMatchObject({ fault: { name: "audit-unavailable" } });
    expect((await refused).fault.reason).toBe("no-sealing-keys");
    await until("the one of class C is dropped", () => spool.status().dropped === 1);
    expect(await metrics.total("mcp_gateway_audit_dropped_total")).toBe(1);
    expect(posted).toEqual([]);
    // What cannot be sealed is refused; what needs no keys goes on.
    void spool.append(draft("storage.down"), "queued");
    await until("a record without values", () => posted.length === 1);
  });

  test("K-10 the outcome of a call that was made stands without its values, and its caller is refused", async () => {
    const { spool, posted } = await openOnFake({}, 0, {
      pairFor: () => Promise.reject(new Error("away")),
      listen: () => {},
    });
    const outcome = { ...withValues("call.outcome"), facts: { tool: "t", intent: 3 } };
    const refused = spool.append(outcome, "synced").catch((error) => error);
    expect(await refused).toMatchObject({ fault: { reason: "no-sealing-keys" } });
    await until("the outcome", () => posted.length === 1);
    const [record] = records(posted);
    expect(record).toMatchObject({ closesIntent: 3, draft: { pair: 0, values: "{}" } });
    expect(JSON.parse(`{${record?.draft.body}}`).facts).toEqual({
      tool: "t",
      intent: 3,
      valuesLost: true,
    });
    expect(posted.join()).not.toContain("ada");
  });

  test("a pair that is given up is forgotten after the last batch that names it", async () => {
    const listening = Promise.withResolvers<SealingListener>();
    const { spool, posted, say, commands } = await openOnFake({}, 0, {
      pairFor: () => 5,
      listen: listening.resolve,
    });
    const listener = await listening.promise;
    void spool.append(withValues("admin.read"), "queued");
    listener.forgotten(5);
    await until("it is forgotten", () => commands().includes("forget 5 after 1"));
    expect(posted).toHaveLength(1);
    say({ kind: "written", firstSeq: 1, count: 1, isAwaited: false });
  });
});
