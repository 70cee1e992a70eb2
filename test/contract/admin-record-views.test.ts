/**
 * Who reads what of the records (requirements, part 21, item 6): an auditor and a data protection officer see who
 * called and what was said; an admin who is neither sees metadata alone, at every door, and the answer says so.
 */
import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { type ServiceError, status } from "@grpc/grpc-js";
import type { OperatorRole } from "../../src/admin/caller.ts";
import { type AdminClient, type AdminPlane, startAdminPlane } from "../support/admin-plane.ts";
import { auditRow } from "../support/memory-store.ts";

const names = ["admin", "auditor", "dpo"] as const;
type Name = (typeof names)[number];
const rolesOf: Readonly<Record<Name, readonly OperatorRole[]>> = {
  admin: ["admin"],
  auditor: ["auditor"],
  dpo: ["dpo"],
};
const tokenOf = (name: string) => `the-token-of-${name}-is-long-enough-for-anybody`;
const person = "user:https://issuer.example#jane";
const row = auditRow(1, {
  principal: person,
  client: "janes-client",
  session: "janes-session",
  details: '{"v":1}',
  envelope: JSON.stringify({
    v: 2,
    log: "log-1",
    seq: 1,
    prev: "0",
    time: 1,
    event: "call.outcome",
    class: "B",
    facts: {
      binding: "http",
      scope: "calculator",
      durationUs: 1500,
      error: "policy-denied",
      code: 40301,
    },
    commitment: createHash("sha256").digest("hex"),
  }),
});
const personal = [person, "janes-client", "janes-session"];

async function startPlane(): Promise<AdminPlane> {
  return await startAdminPlane({
    rows: [row],
    operators: names.map((name) => ({
      name,
      roles: rolesOf[name],
      tokenSha256: createHash("sha256").update(tokenOf(name)).digest("hex"),
    })),
  });
}

async function readExport(
  client: AdminClient,
  format: "EXPORT_FORMAT_JSON_LINES" | "EXPORT_FORMAT_CSV",
) {
  let text = "";
  for await (const part of client.exportRecords({ format })) {
    if (part.chunk) text += Buffer.from(part.chunk).toString();
  }
  return text;
}

async function refusal(work: Promise<unknown>): Promise<ServiceError> {
  return (await work.then(
    () => {
      throw new Error("it was answered");
    },
    (error: unknown) => error,
  )) as ServiceError;
}

describe("who reads what", () => {
  test("an admin who is no auditor sees metadata only, and is told so: query, tail and export alike", async () => {
    await using plane = await startPlane();
    const admin = plane.client(tokenOf("admin"));
    const { records } = await admin.call("AuditService", "queryRecords", {});
    expect(records).toHaveLength(1);
    expect(records[0]).toMatchObject({
      identities_hidden: true,
      seal_state: "SEAL_STATE_SEALED",
      principal: "",
      client: "",
      session: "",
      details_json: "",
      sealed_json: "",
      arguments_digest: "",
      tool: "add",
      server: "calculator",
      status: "ok",
    });
    const stream = admin.tailRecords({});
    const first = stream[Symbol.asyncIterator]().next();
    while (plane.tails() === 0) await new Promise((resolve) => setImmediate(resolve));
    plane.emit(row);
    const told = (await first).value;
    stream.cancel();
    expect(told?.record).toMatchObject({ identities_hidden: true, principal: "" });
    const exports = [
      await readExport(admin, "EXPORT_FORMAT_JSON_LINES"),
      await readExport(admin, "EXPORT_FORMAT_CSV"),
    ];
    expect(exports[0]).toContain('"hidden":true');
    for (const text of [JSON.stringify(records), JSON.stringify(told), ...exports]) {
      expect(text).toContain("calculator");
      for (const value of personal) expect(text).not.toContain(value);
    }
  });

  test.each(["auditor", "dpo"] as const)("%s sees who called", async (name) => {
    await using plane = await startPlane();
    const client = plane.client(tokenOf(name));
    const { records } = await client.call("AuditService", "queryRecords", {
      filter: { tool: "add" },
    });
    expect(records[0]).toMatchObject({ identities_hidden: false, seal_state: "SEAL_STATE_OPEN" });
  });

  test.each(["principal", "client", "session"] as const)(
    "a filter by %s is refused to whom it would tell who it was",
    async (member) => {
      await using plane = await startPlane();
      const filter = { [member]: "janes-client" };
      const admin = plane.client(tokenOf("admin"));
      const asked = [
        admin.call("AuditService", "queryRecords", { filter }),
        admin.call("AuditService", "summarizeRecords", {
          filter,
          summary: "RECORD_SUMMARY_TOOL_USAGE",
        }),
        admin.tailRecords({ filter })[Symbol.asyncIterator]().next(),
        admin.exportRecords({ filter, format: "EXPORT_FORMAT_CSV" })[Symbol.asyncIterator]().next(),
      ];
      for (const work of asked) {
        const error = await refusal(work);
        expect(error.code).toBe(status.PERMISSION_DENIED);
        expect(error.details).toContain(`by ${member} with one of these roles: auditor, dpo`);
      }
      const answered = await plane
        .client(tokenOf("auditor"))
        .call("AuditService", "queryRecords", { filter });
      expect(answered.records).toEqual([]);
    },
  );

  test("D06: looking is itself recorded, whichever door", async () => {
    await using plane = await startPlane();
    const auditor = plane.client(tokenOf("auditor"));
    await auditor.call("AuditService", "queryRecords", {});
    await auditor.call("AuditService", "summarizeRecords", {
      summary: "RECORD_SUMMARY_RECENT_ACTIVITY",
    });
    await auditor.call("AuditService", "verifyLog", {});
    const stream = auditor.tailRecords({});
    const next = stream[Symbol.asyncIterator]().next();
    while (plane.tails() === 0) await new Promise((resolve) => setImmediate(resolve));
    stream.cancel();
    await next.catch(() => {});
    await readExport(auditor, "EXPORT_FORMAT_CSV");
    while (plane.records.length < 6) await new Promise((resolve) => setImmediate(resolve));
    expect(plane.records.map(({ event, facts }) => `${event} ${facts.method}`)).toEqual([
      "admin.read AuditService/QueryRecords",
      "admin.read AuditService/SummarizeRecords",
      "admin.read AuditService/VerifyLog",
      "admin.read AuditService/TailRecords",
      "admin.export AuditService/ExportRecords",
      "admin.export AuditService/ExportRecords",
    ]);
    expect(plane.records.every(({ details }) => details.principal === "operator:auditor")).toBe(
      true,
    );
  });

  test("D02 D03: what a record says of a call is in fields of its own", async () => {
    await using plane = await startPlane();
    const { records } = await plane
      .client(tokenOf("admin"))
      .call("AuditService", "queryRecords", {});
    expect(records[0]).toMatchObject({
      endpoint_path: "/calculator/mcp",
      duration_ms: 1.5,
      error: "policy-denied",
      error_code: 40301,
      response_status: 403,
      method: "tools/call",
      decision: "allow",
    });
  });

  test("D16: records are counted by what they say; a summary must be named", async () => {
    await using plane = await startPlane();
    const admin = plane.client(tokenOf("admin"));
    const usage = await admin.call("AuditService", "summarizeRecords", {
      filter: { from_ms: 1 },
      summary: "RECORD_SUMMARY_TOOL_USAGE",
    });
    expect(usage).toMatchObject({
      from_ms: 1,
      complete: true,
      lines: [{ server: "calculator", tool: "add", status: "ok", records: 1, event: "" }],
    });
    const denied = await admin.call("AuditService", "summarizeRecords", {
      filter: { from_ms: 1 },
      summary: "RECORD_SUMMARY_POLICY_VIOLATIONS",
    });
    expect(denied.lines).toEqual([]);
    const error = await refusal(admin.call("AuditService", "summarizeRecords", {}));
    expect(error.code).toBe(status.INVALID_ARGUMENT);
    expect(error.details).toContain("RECORD_SUMMARY_TOOL_USAGE");
  });
});
