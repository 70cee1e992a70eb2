/**
 * Who gets in, what is recorded of it, and what malformed, oversize and unfinished requests meet.
 */
import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { connect } from "node:http2";
import { gzipSync } from "node:zlib";
import { credentials, type ServiceError, status } from "@grpc/grpc-js";
import { createAdminClient, startAdminPlane } from "../support/admin-plane.ts";

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
const viewerToken = "viewer-token-of-at-least-32-characters";
const operators = [{ name: "eve", roles: ["viewer"] as const, tokenSha256: sha256(viewerToken) }];

async function failure(work: Promise<unknown>): Promise<ServiceError> {
  try {
    await work;
  } catch (error) {
    return error as ServiceError;
  }
  throw new Error("should have been refused");
}

/** One gRPC frame: compressed or not, length, bytes. */
function framed(flag: number, bytes: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(flag, 0);
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

/** Sends the bytes as the body of a GetStatus that never ends; resolves with the status. */
async function sendRaw(
  address: string,
  token: string,
  bytes: Uint8Array,
  headers: Readonly<Record<string, string>> = {},
): Promise<number> {
  const session = connect(`http://${address}`);
  const stream = session.request({
    ":method": "POST",
    ":path": "/mcp_gateway.admin.v1.SystemService/GetStatus",
    "content-type": "application/grpc",
    te: "trailers",
    authorization: `Bearer ${token}`,
    ...headers,
  });
  stream.write(bytes);
  const seen = await new Promise<unknown>((resolve, reject) => {
    stream.on("response", (got) => got["grpc-status"] && resolve(got["grpc-status"]));
    stream.on("trailers", (trailers) => resolve(trailers["grpc-status"]));
    stream.on("error", reject);
    stream.resume();
  });
  session.destroy();
  return Number(seen);
}

describe("who may", () => {
  test("AD-05 no token and a wrong token are UNAUTHENTICATED and recorded", async () => {
    await using plane = await startAdminPlane();
    for (const token of ["", "mcpgw_admin_wrong", plane.token.slice(0, -1)]) {
      const refused = await failure(plane.client(token).call("SystemService", "getStatus", {}));
      expect(refused.code).toBe(status.UNAUTHENTICATED);
      expect(refused.metadata.get("error-name")).toEqual(["unauthenticated"]);
      expect(refused.details).not.toContain(plane.token.slice(0, 20));
    }
    expect(plane.events).toEqual(Array(3).fill("admin.denied::queued"));
  });

  test("P13 a viewer reads, is refused a write, and the refusal is recorded with who it was", async () => {
    await using plane = await startAdminPlane({ operators });
    const viewer = plane.client(viewerToken);
    await viewer.call("ClientService", "listClients", {});
    const refused = await failure(
      viewer.call("ClientService", "registerClient", { client: { id: "x" } }),
    );
    expect(refused.code).toBe(status.PERMISSION_DENIED);
    expect(refused.details).toContain("clients.write");
    expect(refused.details).toContain("admin, operator");
    expect(plane.records).toHaveLength(1);
    expect(plane.records[0]).toMatchObject({
      event: "admin.denied",
      class: "B",
      details: { principal: "operator:eve" },
    });
  });

  test("AD-12 a browser's Origin is refused", async () => {
    await using plane = await startAdminPlane();
    const page = createAdminClient(plane.address, plane.token, credentials.createInsecure(), {
      origin: "https://evil.example",
    });
    const refused = await failure(page.call("SystemService", "getStatus", {}));
    page.close();
    expect(refused.code).toBe(status.PERMISSION_DENIED);
    expect(refused.metadata.get("error-name")).toEqual(["origin-refused"]);
  });
});

describe("what is recorded", () => {
  test("a change is synced before it is applied and again after, with the new revision", async () => {
    await using plane = await startAdminPlane();
    let appliedAfter: readonly string[] = [];
    plane.current.subscribe(() => {
      appliedAfter = [...plane.events];
    });
    await plane.client().call("ClientService", "registerClient", { client: { id: "ci" } });
    expect(appliedAfter).toEqual(["admin.change:intent:synced"]);
    expect(plane.events).toEqual(["admin.change:intent:synced", "admin.change:outcome:synced"]);
    expect(plane.records[1]).toMatchObject({
      class: "A",
      facts: { method: "ClientService/RegisterClient", status: "OK", intent: 1, stateRevision: 1 },
      details: { principal: "operator:bootstrap", target: "ci" },
    });
  });

  test("a refused change has an outcome too; a dry run is only a look", async () => {
    await using plane = await startAdminPlane();
    const admin = plane.client();
    await failure(admin.call("ClientService", "deleteClient", { id: "nobody" }));
    expect(plane.records[1]?.facts.status).toBe("NOT_FOUND");
    await admin.call("ClientService", "registerClient", {
      client: { id: "ci" },
      validate_only: true,
    });
    expect(plane.events.at(-1)).toBe("admin.read::written");
    expect(plane.records.at(-1)?.facts.validateOnly).toBe(true);
  });

  test("R-01 without the intent record nothing is changed; without the outcome the answer says so", async () => {
    await using before = await startAdminPlane({ appendFails: () => true });
    await failure(before.client().call("ClientService", "registerClient", { client: { id: "a" } }));
    expect(before.current.get().stateRevision).toBe(0);
    await using after = await startAdminPlane({
      appendFails: (draft) => draft.facts.phase === "outcome",
    });
    const done = await failure(
      after.client().call("ClientService", "registerClient", { client: { id: "a" } }),
    );
    expect(done.metadata.get("error-name")).toEqual(["outcome-unrecorded"]);
    expect(after.current.get().stateRevision).toBe(1);
  });
});

describe("what is malformed", () => {
  test.each([
    ["an unknown field", Buffer.from([0x78, 0x01]), "unknown field 15"],
    ["a field given twice", Buffer.from([0x0a, 0x01, 0x61, 0x0a, 0x01, 0x62]), "given twice"],
    ["a wrong wire type", Buffer.from([0x08, 0x01]), "wrong wire type"],
    ["broken UTF-8", Buffer.from([0x0a, 0x01, 0xff]), "not valid UTF-8"],
    ["a length past the end", Buffer.from([0x0a, 0x7f, 0x61]), "longer than its message"],
  ])("AD-07 %s is INVALID_ARGUMENT", async (_name, bytes, why) => {
    await using plane = await startAdminPlane();
    const refused = await failure(plane.client().callRaw("ClientService", "getClient", bytes));
    expect(refused.code).toBe(status.INVALID_ARGUMENT);
    expect(refused.details).toContain(why);
  });

  test("AD-07 an enumeration value out of range is INVALID_ARGUMENT", async () => {
    await using plane = await startAdminPlane();
    const bytes = Buffer.from([0x20, 0x63]);
    const refused = await failure(plane.client().callRaw("PolicyService", "explain", bytes));
    expect(refused.details).toContain("action: unknown enumeration value");
  });

  test("AD-01 an oversize message is RESOURCE_EXHAUSTED", async () => {
    await using plane = await startAdminPlane();
    const client = { id: "big", display_name: "x".repeat(5 * 1024 * 1024) };
    const refused = await failure(
      plane.client().call("ClientService", "registerClient", { client }),
    );
    expect(refused.code).toBe(status.RESOURCE_EXHAUSTED);
  });

  test.each([
    ["a length of 4 GiB with ten bytes", Buffer.from("00ffffffff00000000000000000000", "hex"), {}],
    [
      "32 MiB in a few KiB of gzip",
      framed(1, gzipSync(Buffer.alloc(32 * 1024 * 1024))),
      { "grpc-encoding": "gzip" },
    ],
  ])("AD-01 %s is RESOURCE_EXHAUSTED", async (_name, bytes, headers) => {
    await using plane = await startAdminPlane();
    const seen = await sendRaw(plane.address, plane.token, bytes, headers);
    expect(seen).toBe(status.RESOURCE_EXHAUSTED);
  });

  test("AD-04 a message just below the limit passes, and a list of megabytes comes back", async () => {
    await using plane = await startAdminPlane();
    const admin = plane.client();
    const allowed_resources = Array.from(
      { length: 3000 },
      (_, i) => `note://${i}/${"r".repeat(1000)}`,
    );
    await admin.call("ClientService", "registerClient", {
      client: { id: "big", allowed_resources },
    });
    const got = await admin.call("ClientService", "getClient", { id: "big" });
    expect(got.client?.allowed_resources).toHaveLength(3000);
  });
});

describe("what never ends", () => {
  test("AD-03 a request that never arrives is ended by the server", async () => {
    await using plane = await startAdminPlane({ server: { limits: { requestTimeoutMs: 100 } } });
    const seen = await sendRaw(plane.address, plane.token, Buffer.from([0]));
    expect(seen).toBe(status.DEADLINE_EXCEEDED);
  });

  test("AD-03 a unary call without a deadline is given one; with one, the client's holds", async () => {
    const { promise: answerable, resolve: letAnswer } = Promise.withResolvers<void>();
    await using plane = await startAdminPlane({
      beforeStatus: () => answerable,
      server: { limits: { unaryTimeoutMs: 50 } },
    });
    const admin = plane.client();
    const unbounded = await failure(admin.call("SystemService", "getStatus", {}));
    expect(unbounded.code).toBe(status.DEADLINE_EXCEEDED);
    expect(unbounded.details).toContain("set a longer deadline");
    const bounded = admin.call("SystemService", "getStatus", {}, { deadline: Date.now() + 30_000 });
    const another = await failure(admin.call("SystemService", "getStatus", {}));
    expect(another.code).toBe(status.DEADLINE_EXCEEDED);
    letAnswer();
    expect((await bounded).store).toBe("sqlite");
  });

  test("AD-03 one operator's calls at once are capped", async () => {
    await using plane = await startAdminPlane({
      server: { limits: { maxInFlightPerOperator: 1 } },
    });
    const tail = plane.client().tailRecords({});
    const first = tail[Symbol.asyncIterator]().next();
    while (plane.tails() === 0) await new Promise((resolve) => setImmediate(resolve));
    const refused = await failure(plane.client().call("SystemService", "getStatus", {}));
    expect(refused.metadata.get("error-name")).toEqual(["too-many-in-flight"]);
    tail.cancel();
    await failure(first);
  });
});
