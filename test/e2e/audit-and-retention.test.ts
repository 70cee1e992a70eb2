/**
 * The log as auditors use it: searched, exported, followed, verified while the gateway runs and after it stopped;
 * tampering found and named; old records deleted by rule, on the record, with the chain still whole.
 */
import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { cpSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openAuditLog } from "../../src/audit/log.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { openStore } from "../../src/storage/open-store.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";
import { type AdminClient, type AdminMessage, createAdminClient } from "../support/admin-client.ts";
import { runGateway } from "../support/command-line.ts";
import { until } from "../support/deadline.ts";
import { type GatewayProcess, startGateway } from "../support/gateway-process.ts";
import { modernCall } from "../support/modern-agent.ts";
import {
  allRecords,
  type RecordView,
  registerClient,
  registerHttpServer,
} from "../support/operator.ts";
import { openFolderVault } from "../support/sealing.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { startTinyServer, type TinyServer } from "../support/tiny-server.ts";

const dayMs = 86_400_000;

interface Verification {
  readonly ok: boolean;
  readonly logs: readonly { readonly problem: string; readonly records: number }[];
}

const verify = (admin: AdminClient) => admin.call<Verification>("AuditService", "VerifyLog");

/** Waits until the database's copy holds all that is synced. */
async function untilShipped(admin: AdminClient): Promise<void> {
  await until("the database's copy", async () => {
    const { audit } = await admin.call<{ audit: { synced_seq: number; shipped_seq: number } }>(
      "SystemService",
      "GetStatus",
    );
    return audit.shipped_seq >= audit.synced_seq;
  });
}

const echo = (gateway: GatewayProcess, token: string, text: string) =>
  modernCall({
    base: gateway.agents,
    scope: "tiny",
    token,
    method: "tools/call",
    params: { name: "echo", arguments: { text } },
    headers: { "X-Request-ID": `request-${text}` },
  });

describe("search, export and tail", () => {
  let gateway: GatewayProcess;
  let admin: AdminClient;
  let tiny: TinyServer;
  const tokens: Record<string, string> = {};

  beforeAll(async () => {
    tiny = startTinyServer();
    gateway = await startGateway();
    admin = createAdminClient(gateway);
    await registerHttpServer(admin, "tiny", tiny.url);
    for (const id of ["one", "two"]) {
      tokens[id] = await registerClient(admin, id, { allowed_tools: ["tiny__echo"] });
      for (let call = 0; call < 5; call += 1)
        await echo(gateway, tokens[id] ?? "", `${id}-${call}`);
    }
    await modernCall({
      base: gateway.agents,
      scope: "tiny",
      token: tokens.two,
      method: "tools/call",
      params: { name: "slow" },
    });
    await untilShipped(admin);
  });
  afterAll(async () => {
    admin[Symbol.dispose]();
    await gateway[Symbol.asyncDispose]();
    await tiny[Symbol.asyncDispose]();
  });

  test("each filter keeps exactly the records that match it", async () => {
    const all = await allRecords(admin);
    const [sample] = all.filter(
      ({ event, client }) => event === "call.outcome" && client === "one",
    );
    const middle = sample?.time_ms ?? 0;
    const last = all.at(-1)?.seq ?? 0;
    const rows: readonly (readonly [AdminMessage, (record: RecordView) => boolean])[] = [
      [{ principal: "client:one" }, (one) => one.principal === "client:one"],
      [{ client: "two" }, (one) => one.client === "two"],
      [{ tool: "echo" }, (one) => one.tool === "echo"],
      [{ server: "tiny" }, (one) => one.server === "tiny"],
      [{ scope: "tiny" }, (one) => one.scope === "tiny"],
      [{ event: "call.intent" }, (one) => one.event === "call.intent"],
      [{ status: "success" }, (one) => one.status === "success"],
      [{ decision: "client" }, (one) => one.decision === "client"],
      [{ correlation_id: "request-one-3" }, (one) => one.correlation_id === "request-one-3"],
      [{ from_ms: middle }, (one) => one.time_ms >= middle],
      [{ until_ms: middle }, (one) => one.time_ms < middle],
      [
        { client: "two", event: "call.outcome", status: "denied" },
        (one) => one.client === "two" && one.event === "call.outcome" && one.status === "denied",
      ],
    ];
    for (const [filter, keeps] of rows) {
      // Each question leaves a record of its own, so only those asked about at first count.
      const found = (await allRecords(admin, filter))
        .map(({ seq }) => seq)
        .filter((seq) => seq <= last);
      expect([filter, found]).toEqual([filter, all.filter(keeps).map(({ seq }) => seq)]);
      expect(found.length).toBeGreaterThan(0);
    }
    for (const filter of [
      { tool: "ech_" },
      { tool: "%" },
      { client: "' OR 1=1 --" },
      { tool: "ECHO" },
    ]) {
      expect(await allRecords(admin, filter)).toEqual([]);
    }
  });

  test("AD-13: pages join without gap or overlap, in both orders, and a token fits its question only", async () => {
    const filter = { server: "tiny" };
    const expected = (await allRecords(admin, filter)).map(({ seq }) => seq);
    for (const order of ["RECORD_ORDER_OLDEST_FIRST", "RECORD_ORDER_NEWEST_FIRST"]) {
      const seqs: number[] = [];
      let page_token = "";
      do {
        const page = await admin.call<{ records: RecordView[]; next_page_token: string }>(
          "AuditService",
          "QueryRecords",
          { filter, order, page_size: 4, page_token },
        );
        expect(page.records.length).toBeLessThanOrEqual(4);
        seqs.push(...page.records.map(({ seq }) => seq));
        page_token = page.next_page_token;
      } while (page_token !== "");
      expect(seqs).toEqual(order.includes("OLDEST") ? expected : expected.toReversed());
    }
    const { next_page_token } = await admin.call("AuditService", "QueryRecords", {
      filter,
      page_size: 1,
    });
    const misused = await admin
      .call("AuditService", "QueryRecords", {
        filter: { server: "other" },
        page_token: next_page_token,
      })
      .catch(({ code }: { code: number }) => code);
    expect(misused).toBe(3);
  });

  for (const format of ["JSON_LINES", "CSV"] as const) {
    test(`AD-11: an export as ${format} matches its manifest and is itself recorded`, async () => {
      const filter = { client: "one" };
      const expected = await allRecords(admin, filter);
      const chunks: Buffer[] = [];
      let manifest: { count: number; sha256: string; ranges: object[] } | undefined;
      const request = { filter, format: `EXPORT_FORMAT_${format}` };
      const parts = admin.stream<{ part: string; chunk?: Buffer; manifest?: typeof manifest }>(
        "AuditService",
        "ExportRecords",
        request,
      );
      for await (const part of parts) {
        if (part.part === "manifest") manifest = part.manifest;
        else if (part.chunk !== undefined) chunks.push(part.chunk);
      }
      const text = Buffer.concat(chunks).toString();
      expect(manifest).toMatchObject({
        count: expected.length,
        sha256: createHash("sha256").update(text).digest("hex"),
        ranges: [{ first_seq: expected[0]?.seq, last_seq: expected.at(-1)?.seq }],
      });
      if (format === "JSON_LINES") {
        const seqs = text
          .trimEnd()
          .split("\n")
          .map((line) => JSON.parse(line))
          .filter(({ kind }) => kind === "record")
          .map(({ seq }) => seq);
        expect(seqs.map(Number)).toEqual(expected.map(({ seq }) => seq));
      } else {
        // Envelopes hold no line breaks, so a line is a row; the first one is the heading.
        expect(text.trimEnd().split("\r\n")).toHaveLength(expected.length + 1);
        expect(text).toContain("request-one-3");
      }
      const exports = await until("the export's record", async () => {
        const found = await allRecords(admin, { event: "admin.export" });
        return found.length >= 2 ? found : undefined;
      });
      expect(exports[0]).toMatchObject({ durability: "A", principal: "operator:bootstrap" });
    });
  }

  test("tail shows matching records as they are made, and nothing older", async () => {
    const tail = admin
      .stream<{ record: RecordView }>("AuditService", "TailRecords", {
        filter: { client: "two", event: "call.outcome" },
      })
      [Symbol.asyncIterator]();
    const first = tail.next();
    let told = false;
    void first.then(() => {
      told = true;
    });
    // The stream is open at some moment after the call: calls go on until one of them shows.
    let calls = 0;
    await until("a record on the tail", async () => {
      calls += 1;
      await echo(gateway, tokens.one ?? "", `unseen-${calls}`);
      await echo(gateway, tokens.two ?? "", `live-${calls}`);
      return told;
    });
    const { value } = await first;
    expect(value.record.correlation_id).toMatch(/^request-live-/);
    await tail.return?.();
  });

  test("I-08: the log verifies while it is written", async () => {
    expect(await verify(admin)).toMatchObject({ ok: true, logs: [{ problem: "" }] });
  });
});

describe("tampering", () => {
  /** A stopped gateway's data folder with a few calls in it; every test has a copy. */
  const left = temporaryFolder("tampered");
  beforeAll(async () => {
    await using tiny = startTinyServer();
    await using gateway = await startGateway({ dataDir: left.path });
    using admin = createAdminClient(gateway);
    await registerHttpServer(admin, "tiny", tiny.url);
    const token = await registerClient(admin, "one", { allowed_tools: ["*"] });
    for (let call = 0; call < 5; call += 1) await echo(gateway, token, String(call));
    await untilShipped(admin);
  });
  afterAll(() => left[Symbol.asyncDispose]());
  const leaveLog = (dataDir: string) => cpSync(left.path, dataDir, { recursive: true });
  const verifyOffline = async (dataDir: string) => {
    const { exitCode, stdout } = await runGateway([
      "audit",
      "verify",
      "--data-dir",
      dataDir,
      "--json",
    ]);
    return { exitCode, report: JSON.parse(stdout) };
  };

  test("ST-14 I-08: one changed byte in the spool is found offline, and the record named", async () => {
    await using folder = temporaryFolder("tamper");
    leaveLog(folder.path);
    const sound = await verifyOffline(folder.path);
    expect(sound).toMatchObject({ exitCode: 0, report: { ok: true } });
    expect(sound.report.records).toBeGreaterThan(10);

    const spool = join(folder.path, "spool");
    const segment = join(
      spool,
      readdirSync(spool).filter((name) => name.endsWith(".seg"))[0] ?? "",
    );
    const bytes = readFileSync(segment);
    const at = bytes.indexOf('"correlationId":"request-2"');
    expect(at).toBeGreaterThan(0);
    bytes.write("9", at + '"correlationId":"request-'.length);
    writeFileSync(segment, bytes);
    const changed = await verifyOffline(folder.path);
    expect(changed).toMatchObject({ exitCode: 1, report: { ok: false } });
    expect(changed.report.violation.seq).toBeGreaterThan(0);
  });

  const edits: readonly (readonly [string, string])[] = [
    [
      "an envelope",
      "UPDATE audit_records SET envelope = replace(envelope, 'success', 'failure') WHERE seq = $seq",
    ],
    [
      "a sealed part",
      "UPDATE audit_records SET details = replace(details, '\"salt\"', '\"salz\"') WHERE seq = $seq",
    ],
    ["a search column", "UPDATE audit_records SET status = 'error' WHERE seq = $seq"],
    ["a leaf", "UPDATE audit_records SET leaf = lower(hex(zeroblob(32))) WHERE seq = $seq"],
    ["a deleted row", "DELETE FROM audit_records WHERE seq = $seq"],
    [
      "a row emptied like retention's",
      "UPDATE audit_records SET envelope = NULL, details = NULL WHERE seq = $seq",
    ],
  ];
  for (const [what, statement] of edits) {
    test(`I-08: ${what} changed in the database is found by VerifyLog, and the record named`, async () => {
      await using folder = temporaryFolder("tamper");
      leaveLog(folder.path);
      const db = new Database(join(folder.path, "gateway.sqlite"));
      const row = db
        .query<{ seq: number }, []>(
          "SELECT seq FROM audit_records WHERE event = 'call.outcome' AND status = 'success' ORDER BY seq LIMIT 1",
        )
        .get();
      const seq = row?.seq ?? 0;
      expect(db.query(statement).run({ $seq: seq }).changes).toBe(1);
      db.close();

      await using gateway = await startGateway({ dataDir: folder.path });
      using admin = createAdminClient(gateway);
      const found = await verify(admin);
      expect(found.ok).toBe(false);
      expect(found.logs[0]?.problem).toMatch(new RegExp(`\\b${seq}\\b|\\b${seq + 1}\\b`));
    });
  }
});

describe("retention", () => {
  /** Records of a gateway that ran on this folder so many days ago, through the log's own door. */
  async function leaveOldRecords(dataDir: string, agesDays: readonly number[]): Promise<void> {
    const deps = { dataDir, log: silentLog, clock: systemClock, metrics: createMetrics() };
    const store = await openStore({ ...deps, deadlineMs: 30_000, migrate: true });
    const keys = await openFolderVault(dataDir);
    const audit = await openAuditLog({ ...deps, store, keys });
    for (const days of agesDays) {
      await audit.append(
        {
          event: "call.outcome",
          class: "A",
          timeMs: systemClock.nowMs() - days * dayMs,
          facts: { method: "tools/call", server: "tiny", tool: "echo", status: "success" },
          details: { principal: "client:past", client: days > 50 ? "held" : "past" },
        },
        "synced",
      );
    }
    await audit.close();
    await keys.close();
    await store.close();
  }

  test("N04 N08: a rule deletes what is due, on the record, and the chain still verifies", async () => {
    await using folder = temporaryFolder("retention");
    await leaveOldRecords(folder.path, [60, 40, 35, 10, 1]);
    await using gateway = await startGateway({ dataDir: folder.path });
    using admin = createAdminClient(gateway);
    await untilShipped(admin);
    const rule = { policy_type: "RETENTION_POLICY_TYPE_TIME_BASED", enabled: true };
    await admin.call("RetentionService", "CreateRule", {
      rule: { ...rule, id: "month", action: "RETENTION_ACTION_DELETE", retention_days: 30 },
    });
    await admin.call("RetentionService", "CreateRule", {
      rule: {
        ...rule,
        id: "hold",
        action: "RETENTION_ACTION_RETAIN",
        retention_days: 90,
        client_id: "held",
      },
    });
    const past = () => allRecords(admin, { tool: "echo" });

    const dry = await admin.call<{ deleted: number; outcomes: object[] }>(
      "RetentionService",
      "ProcessRetention",
      { validate_only: true },
    );
    expect(dry.deleted).toBe(0);
    expect(dry.outcomes).toContainEqual({ rule_id: "month", matched: 2, deleted: 0 });
    expect(await past()).toHaveLength(5);

    const real = await admin.call("RetentionService", "ProcessRetention");
    expect(real).toMatchObject({ deleted: 2 });
    expect((await past()).map(({ client }) => client)).toEqual(["held", "past", "past"]);
    const { deleted } = await admin.call("RetentionService", "ProcessRetention");
    expect(deleted).toBe(0);

    const order = await until("the deletion's record", async () => {
      const [found] = await allRecords(admin, { event: "retention.executed" });
      return found;
    });
    expect(order).toMatchObject({ durability: "A" });
    expect(JSON.parse(order.envelope_json).facts).toMatchObject({ deletedSeqs: "2-3" });
    await untilShipped(admin);
    expect(await verify(admin)).toMatchObject({ ok: true, logs: [{ problem: "" }] });

    // The places of the deleted records stay, empty.
    const statistics = await admin.call("RetentionService", "GetStatistics");
    expect(statistics).toMatchObject({ deleted: 2, failures: 0, rules_enabled: 2 });
    const pruned = await admin.call<{ records: RecordView[] }>("AuditService", "QueryRecords", {
      include_pruned: true,
      order: "RECORD_ORDER_OLDEST_FIRST",
      page_size: 3,
    });
    expect(pruned.records.map(({ envelope_json }) => envelope_json === "")).toEqual([
      false,
      true,
      true,
    ]);
  });
});
