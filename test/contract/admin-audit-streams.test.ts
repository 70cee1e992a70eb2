/**
 * AuditService over a real connection: pages, exports with their manifest, following, and readers that go away.
 */
import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { type ServiceError, status } from "@grpc/grpc-js";
import type { ExportManifest } from "../../src/gen/types.ts";
import { type AdminClient, startAdminPlane } from "../support/admin-plane.ts";
import { auditRow } from "../support/memory-store.ts";

const rows = Array.from({ length: 1200 }, (_, index) => auditRow(index + 1));

async function readExport(
  admin: AdminClient,
  format: "EXPORT_FORMAT_JSON_LINES" | "EXPORT_FORMAT_CSV",
): Promise<{ readonly text: string; readonly sha256: string; readonly manifest: ExportManifest }> {
  const chunks: Uint8Array[] = [];
  let manifest: ExportManifest | undefined;
  for await (const part of admin.exportRecords({ format })) {
    if (part.manifest) manifest = part.manifest;
    else if (part.chunk) chunks.push(part.chunk);
  }
  if (manifest === undefined) throw new Error("no manifest");
  const bytes = Buffer.concat(chunks);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  return { text: bytes.toString(), sha256, manifest };
}

async function until(condition: () => boolean): Promise<void> {
  const signal = AbortSignal.timeout(30_000);
  while (!condition()) {
    signal.throwIfAborted();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe("AuditService", () => {
  test("queries in pages, newest first, and records that it was read", async () => {
    await using plane = await startAdminPlane({ rows });
    const admin = plane.client();
    const seqs: number[] = [];
    let page_token = "";
    do {
      const request = { filter: { from_ms: 2000 }, page_size: 150, page_token };
      const page = await admin.call("AuditService", "queryRecords", request);
      seqs.push(...page.records.map((one) => one.seq));
      page_token = page.next_page_token;
    } while (page_token !== "");
    expect(seqs).toEqual(Array.from({ length: 201 }, (_, index) => 1200 - index));
    expect(plane.events.every((event) => event === "admin.read::written")).toBe(true);
    expect(plane.events).toHaveLength(2);
  });

  test("AD-13 filters are compared whole, never as patterns", async () => {
    await using plane = await startAdminPlane({ rows });
    for (const tool of ["%", "a_d", "add' OR 1=1 --", ".*", "$1"]) {
      const found = await plane.client().call("AuditService", "queryRecords", { filter: { tool } });
      expect(found.records).toEqual([]);
    }
  });

  test.each(["EXPORT_FORMAT_JSON_LINES", "EXPORT_FORMAT_CSV"] as const)(
    "AD-11 %s: chunks, then a manifest that matches them, recorded with the row count",
    async (format) => {
      await using plane = await startAdminPlane({ rows });
      const { text, sha256, manifest } = await readExport(plane.client(), format);
      expect(manifest).toEqual({
        count: 1200,
        sha256,
        ranges: [{ log_id: "log-1", first_seq: 1, last_seq: 1200 }],
      });
      const lines = text.trimEnd().split("\n");
      // A heading, or what says which export it is and, last, its manifest.
      expect(lines).toHaveLength(format === "EXPORT_FORMAT_CSV" ? 1201 : 1202);
      await until(() => plane.records.length === 2);
      expect(plane.events).toEqual(["admin.export:intent:synced", "admin.export:outcome:synced"]);
      expect(plane.records[1]?.facts).toMatchObject({
        ...{ rows: 1200, opened: 0, logs: "log-1:1-1200", sha256, status: "OK" },
      });
    },
  );

  test("PV-01 nothing is taken out of the log while an export is under way", async () => {
    const many = Array.from({ length: 30_000 }, (_, index) => auditRow(index + 1));
    await using plane = await startAdminPlane({ rows: many });
    let parts = 0;
    for await (const _part of plane.client().exportRecords({ format: "EXPORT_FORMAT_CSV" })) {
      if (parts === 0) expect(plane.exports()).toBe(1);
      parts += 1;
    }
    expect(parts).toBeGreaterThan(1);
    await until(() => plane.exports() === 0);
  });

  test("AD-11 a cancelled export stops and is recorded as cancelled", async () => {
    const many = Array.from({ length: 30_000 }, (_, index) => auditRow(index + 1));
    await using plane = await startAdminPlane({ rows: many });
    const stream = plane.client().exportRecords({ format: "EXPORT_FORMAT_JSON_LINES" });
    const seen = await stream[Symbol.asyncIterator]()
      .next()
      .then(() => {
        stream.cancel();
        return "first";
      });
    expect(seen).toBe("first");
    await until(() => plane.records.length === 2);
    await until(() => plane.exports() === 0);
    // What had gone out by then is said as well.
    expect(plane.records[1]?.facts).toMatchObject({
      ...{ status: "CANCELLED", logs: expect.stringMatching(/^log-1:1-\d+$/) },
    });
  });

  test("an export needs a format", async () => {
    await using plane = await startAdminPlane();
    const read = async () => {
      for await (const _part of plane.client().exportRecords({}));
    };
    const refused = await read().catch((error: ServiceError) => error.code);
    expect(refused).toBe(status.INVALID_ARGUMENT);
  });

  test("tails what matches from now on, and stops listening when the reader goes", async () => {
    await using plane = await startAdminPlane({ rows });
    const stream = plane.client().tailRecords({ filter: { tool: "add" } });
    const records = stream[Symbol.asyncIterator]();
    const first = records.next();
    await until(() => plane.tails() === 1);
    plane.emit(auditRow(1, { tool: "sub" }));
    plane.emit(auditRow(2));
    const answer = (await first).value;
    expect(answer).toMatchObject({ record: { seq: 2 }, dropped_before: 0 });
    stream.cancel();
    await until(() => plane.tails() === 0);
  });

  test("stopping ends a tail at once, without waiting out the grace", async () => {
    await using plane = await startAdminPlane();
    const stream = plane.client().tailRecords({});
    const ended = stream[Symbol.asyncIterator]().next();
    await until(() => plane.tails() === 1);
    const stopped = plane.server.stop(60_000);
    expect((await ended).done).toBe(true);
    await stopped;
  });

  test("verifies the log", async () => {
    await using plane = await startAdminPlane();
    const answer = await plane.client().call("AuditService", "verifyLog", {});
    expect(answer).toMatchObject({ ok: true, logs: [{ log_id: "log-1", problem: "" }] });
  });
});
