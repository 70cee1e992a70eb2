/** What an operator of a tenant sees, and that nothing goes past it, whatever a service does. */

import { describe, expect, test } from "bun:test";
import { changeState, type WriteOptions } from "../../../src/admin/change-state.ts";
import { createPolicyHistory } from "../../../src/admin/policy-history.ts";
import type { StateChange } from "../../../src/admin/state-view.ts";
import { needTenant, withOwnTenant } from "../../../src/admin/tenants.ts";
import { GatewayError } from "../../../src/errors/fault.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import { buildSnapshot } from "../../../src/state/build.ts";
import { createCurrentSnapshot } from "../../../src/state/current.ts";
import { createMemoryResourceStore } from "../../support/memory-store.ts";

const compile = () => ({
  decide: () => ({ allowed: false, reason: "", ruleId: "" }),
  seesServer: () => false,
});
const everyones: WriteOptions["by"] = { name: "bootstrap" };
const own: WriteOptions["by"] = { name: "ann", tenant: "a" };

function role(tenant: string | undefined, description = "") {
  const body = { name: "analyst", tenant, description, permissions: [] };
  return { kind: "role", tenant, name: "analyst", body } as const;
}
const token = (id: string, digit: string, clientId: string) => ({
  kind: "token" as const,
  name: id,
  body: { id, clientId, digest: digit.repeat(64), keyId: "0".repeat(16), createdAtMs: 0 },
});
function client(id: string, tenant: string | undefined) {
  const lists = { allowedTools: [], allowedResources: [], allowedPrompts: [], allowedOrigins: [] };
  const body = { id, tenant, displayName: "", enabled: true, roles: [], limits: {}, ...lists };
  return { kind: "client", name: id, body } as const;
}

const history = createPolicyHistory({ twoPerson: false, revisionsMax: 10 });

async function setUp() {
  const store = createMemoryResourceStore();
  const current = createCurrentSnapshot(buildSnapshot(0, [], compile));
  const state = changeState({ store, current, compile, clock: systemClock, history });
  const write = (by: typeof everyones, changes: readonly StateChange[]) =>
    state.write(() => changes, { by, expectedRevision: 0, validateOnly: false });
  await write(everyones, [
    role(undefined),
    role("a"),
    role("a:b"),
    client("mine", "a"),
    client("theirs", "a:b"),
    token("t-mine", "1", "mine"),
    token("t-theirs", "2", "theirs"),
  ]);
  return { store, state, write };
}

describe("P17: the state as an operator of a tenant sees it", () => {
  test("their own, tokens by their client; and everything, where there is no tenant", async () => {
    const { state } = await setUp();
    const view = await state.read(own);
    expect(view.list("role").map(({ tenant }) => tenant)).toEqual(["a"]);
    expect(view.list("token").map(({ name }) => name)).toEqual(["t-mine"]);
    expect(view.find("role", "analyst")).toBeUndefined();
    expect(view.find("role", "analyst", "a:b")).toBeUndefined();
    expect(view.find("token", "t-theirs")).toBeUndefined();
    expect(view.isTaken({ kind: "token", name: "t-theirs" })).toBe(true);
    const whole = await state.read(everyones);
    expect(whole.list("role").map(({ tenant }) => tenant)).toEqual([undefined, "a", "a:b"]);
  });

  test.each<[string, StateChange]>([
    ["overwriting another tenant's", role("a:b", "changed")],
    ["overwriting a common one", role(undefined, "changed")],
    ["deleting another tenant's", { kind: "role", tenant: "a:b", name: "analyst", delete: true }],
    ["ending another tenant's token", { kind: "token", name: "t-theirs", delete: true }],
    ["taking another tenant's client", client("theirs", "a")],
    ["giving a client away", client("mine", "a:b")],
    ["making a client for another tenant", client("new", "a:b")],
    ["making a token for another tenant's client", token("t-new", "3", "theirs")],
    ["moving a token to another tenant's client", token("t-mine", "1", "theirs")],
  ])("AZ-15: %s is refused even where a service forgot to look", async (_name, change) => {
    const { store, write } = await setUp();
    const before = await store.load();
    const refused = await write(own, [client("harmless", "a"), change]).catch((error) => error);
    expect(refused).toBeInstanceOf(GatewayError);
    expect(refused.fault.name).toBe("resource-not-found");
    expect(await store.load()).toEqual(before);
  });

  test("what a change is about is known to its record: one tenant, or none said", async () => {
    const { write } = await setUp();
    expect((await write(own, [client("new", "a"), token("t", "3", "new")])).tenant).toBe("a");
    expect((await write(everyones, [client("b", "a:b")])).tenant).toBe("a:b");
    expect((await write(everyones, [client("c", "a"), client("d", "a:b")])).tenant).toBeUndefined();
    expect((await write(everyones, [client("b", "a")])).tenant).toBeUndefined();
  });
});

test("AZ-17: tenants are compared whole: case, blanks and separators are theirs", () => {
  for (const tenant of ["A", "a ", "a:b", "a/b", "á"]) {
    expect(() => withOwnTenant(own, { tenant })).toThrow('must be empty or "a"');
    expect(() => needTenant(own, tenant)).toThrow("There is no tenant");
  }
  const unsaid: object = { name: "x", tenant: undefined };
  expect(withOwnTenant(own, unsaid)).toEqual({ name: "x", tenant: "a" });
  expect(withOwnTenant(everyones, { tenant: "A" })).toEqual({ tenant: "A" });
  expect(needTenant(own, "")).toBe("a");
  expect(needTenant(everyones, "")).toBeUndefined();
  expect(needTenant(everyones, "A")).toBe("A");
});
