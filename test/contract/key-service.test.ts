/** KeyService over the wire: who may do what, what is refused and why, and what an operator of a tenant sees. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type ServiceError, status } from "@grpc/grpc-js";
import type { AdminClient } from "../support/admin-plane.ts";
import {
  otherTenant,
  ownTenant,
  startTwoTenants,
  type TwoTenants,
} from "../support/two-tenants.ts";

let world: TwoTenants;
beforeAll(async () => {
  world = await startTwoTenants();
});
afterAll(() => world.plane[Symbol.asyncDispose]());

const ann = { principal: "client:ann" };
const subject = { subject: ann, reason: "asked for it" };

type DestroyRequest = Parameters<AdminClient["call"]>[2];

async function refusal(admin: AdminClient, request: DestroyRequest): Promise<ServiceError> {
  try {
    await admin.call("KeyService", "destroyKeys", request as never);
  } catch (error) {
    return error as ServiceError;
  }
  throw new Error("should have been refused");
}

test("ListKeys counts, narrows by purpose and tenant, and names no subject", async () => {
  const all = await world.everyones.call("KeyService", "listKeys", {});
  expect(all.groups.map((group) => `${group.purpose} ${group.tenant} ${group.label}`)).toEqual([
    "KEY_PURPOSE_KEK  ",
    "KEY_PURPOSE_INDEX  ",
    "KEY_PURPOSE_SUBJECT  ",
    "KEY_PURPOSE_SUBJECT a ",
    "KEY_PURPOSE_SUBJECT a:b ",
    "KEY_PURPOSE_CLASS a CONFIDENTIAL 2026-01",
  ]);
  expect(all.sweeps_pending).toBe(3);
  const narrowed = await world.everyones.call("KeyService", "listKeys", {
    purpose: "KEY_PURPOSE_SUBJECT",
    tenant: otherTenant,
  });
  expect(narrowed.groups.map((group) => group.tenant)).toEqual([otherTenant]);
});

test("AZ-15: an operator of a tenant sees and destroys the tenant's keys alone", async () => {
  const { groups } = await world.own.call("KeyService", "listKeys", {});
  expect(groups.map((group) => [group.purpose, group.tenant])).toEqual([
    ["KEY_PURPOSE_SUBJECT", ownTenant],
    ["KEY_PURPOSE_CLASS", ownTenant],
  ]);
  await world.own.call("KeyService", "destroyKeys", subject);
  expect(world.plane.erasures.at(-1)?.target).toMatchObject({ tenant: ownTenant, ...ann });
  const before = world.plane.erasures.length;
  for (const tenant of [otherTenant, "nowhere"]) {
    const ofOther = await refusal(world.own, { ...subject, tenant });
    expect(ofOther.code).toBe(status.NOT_FOUND);
    const ofClass = { tenant, class: { data_class: "X", month: "2026-01" }, reason: "r" };
    expect((await refusal(world.own, ofClass)).code).toBe(status.NOT_FOUND);
  }
  expect(world.plane.erasures).toHaveLength(before);
});

test("DestroyKeys records who asked and passes everything on; validate_only asks for counts", async () => {
  const answer = await world.everyones.call("KeyService", "destroyKeys", {
    class: { data_class: "SECRET", month: "2026-01" },
    reason: "the month's time is over",
    sweep_now: true,
  });
  expect(answer).toEqual({ keys: 1, records: 2, sweep_due_at_ms: 5 });
  expect(world.plane.erasures.at(-1)).toEqual({
    target: { kind: "class", tenant: "", dataClass: "SECRET", month: "2026-01" },
    by: "operator:bootstrap",
    reason: "the month's time is over",
    isUrgent: true,
    validateOnly: false,
  });
  const change = world.plane.records.findLast(({ event }) => event === "admin.change");
  expect(change?.facts).toMatchObject({ phase: "outcome", status: "OK", keys: 1, records: 2 });
  // Nothing of whom or what in the part that is hashed and stays.
  expect(JSON.stringify(change?.facts)).not.toContain("SECRET");
  const dry = { ...subject, validate_only: true };
  expect(await world.everyones.call("KeyService", "destroyKeys", dry)).toEqual({
    ...{ keys: 1, records: 2, sweep_due_at_ms: undefined },
  });
});

test.each([
  [{ reason: "r" }, "set either subject or class"],
  [{ subject: {}, reason: "r" }, "subject.principal: must be set"],
  [{ subject: ann }, "reason: must be set"],
  [{ subject: ann, reason: "x".repeat(513) }, "at most 512 characters"],
  [{ class: { month: "2026-01" }, reason: "r" }, "class.data_class: must be set"],
])("DestroyKeys %j is refused", async (request, message) => {
  const refused = await refusal(world.everyones, request);
  expect([refused.code, refused.details.includes(message)]).toEqual([
    status.INVALID_ARGUMENT,
    true,
  ]);
});

test("RotateKeys takes the KEK and the index key, and says why no other", async () => {
  const rotated = await world.everyones.call("KeyService", "rotateKeys", {
    purpose: "KEY_PURPOSE_KEK",
  });
  expect(rotated).toEqual({ epoch: 2, rewraps_pending: 4, node_key: "" });
  const node = await world.everyones.call("KeyService", "rotateKeys", {
    purpose: "KEY_PURPOSE_NODE",
  });
  expect(node).toEqual({ epoch: 0, rewraps_pending: 0, node_key: "the new one" });
  const refused = world.everyones
    .call("KeyService", "rotateKeys", { purpose: "KEY_PURPOSE_SUBJECT" })
    .then(
      () => "rotated",
      (error: ServiceError) => error.details,
    );
  expect(await refused).toContain("must be KEY_PURPOSE_KEK, KEY_PURPOSE_INDEX or KEY_PURPOSE_NODE");
});
