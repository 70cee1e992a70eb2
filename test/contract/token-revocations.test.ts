/** RevocationService over a real gRPC connection: revoking other issuers' tokens (fault AN-14). */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type ServiceError, status } from "@grpc/grpc-js";
import { type AdminClient, type AdminPlane, startAdminPlane } from "../support/admin-plane.ts";

const issuer = "https://issuer.example";
let plane: AdminPlane;
let admin: AdminClient;

beforeAll(async () => {
  plane = await startAdminPlane();
  admin = plane.client();
});
afterAll(() => plane[Symbol.asyncDispose]());

const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => "done",
    (error: ServiceError) => error.code,
  );
const served = () => plane.current.get().revocations.get(issuer);

test("tokens by id and by subject, in force with the answer", async () => {
  const { revocations } = await admin.call("RevocationService", "revokeTokens", {
    issuer,
    token_ids: ["t1", "t2"],
    subjects: ["ann"],
    reason: "laptop lost",
  });
  expect(revocations.map(({ token_id, subject }) => token_id || subject)).toEqual([
    "t1",
    "t2",
    "ann",
  ]);
  expect([...(served()?.tokenIds ?? [])].sort()).toEqual(["t1", "t2"]);
  expect(served()?.subjects.get("ann")).toBe(revocations[2]?.issued_until_ms as number);
});

test("the same again is the same entry, and deleting it lets the token in again", async () => {
  const again = { issuer, token_ids: ["t1"], reason: "once more" };
  const { revocations } = await admin.call("RevocationService", "revokeTokens", again);
  const listed = await admin.call("RevocationService", "listRevocations", {});
  expect(listed.revocations).toHaveLength(3);
  const id = revocations[0]?.id ?? "";
  expect(listed.revocations.find((one) => one.id === id)?.reason).toBe("once more");
  await admin.call("RevocationService", "deleteRevocation", { id });
  expect(served()?.tokenIds.has("t1")).toBe(false);
  expect(await codeOf(admin.call("RevocationService", "deleteRevocation", { id }))).toBe(
    status.NOT_FOUND,
  );
});

test("what can revoke nothing any more goes with the next write; a dry run writes nothing", async () => {
  const past = { issuer, token_ids: ["old"], expires_at_ms: 1 };
  await admin.call("RevocationService", "revokeTokens", past);
  await admin.call("RevocationService", "revokeTokens", {
    issuer,
    token_ids: ["dry"],
    validate_only: true,
  });
  expect(served()?.tokenIds.has("old")).toBe(true);
  expect(served()?.tokenIds.has("dry")).toBe(false);
  await admin.call("RevocationService", "revokeTokens", { issuer, token_ids: ["next"] });
  expect(served()?.tokenIds.has("old")).toBe(false);
});

test.each<[string, object]>([
  ["nothing named", { issuer }],
  ["an issuer nobody believes", { issuer: "https://other.example", token_ids: ["t"] }],
  ["a blank id", { issuer, token_ids: [""] }],
  ["too many", { issuer, token_ids: Array.from({ length: 1001 }, (_, at) => `t${at}`) }],
])("%s is refused", async (_name, request) => {
  expect(await codeOf(admin.call("RevocationService", "revokeTokens", request))).toBe(
    status.INVALID_ARGUMENT,
  );
});
