/** Every RPC has a row, a service function and somebody who may use it; nobody holds too much. */
import { describe, expect, test } from "bun:test";
import { operatorRoles } from "../../../src/admin/caller.ts";
import { adminServiceFacts } from "../../../src/admin/definition.ts";
import {
  findPermission,
  functionName,
  mayUse,
  rolesHolding,
  rpcPermissions,
} from "../../../src/admin/permissions.ts";

const rpcs = adminServiceFacts().flatMap((facts) => facts.rpcs);

describe("permissions", () => {
  test("every RPC of the descriptor has a row, and no row is left over", () => {
    const inDescriptor = rpcs.map((rpc) => `${rpc.service}/${functionName(rpc.method)}`);
    const inTable = Object.entries(rpcPermissions).flatMap(([service, rows]) =>
      Object.keys(rows).map((method) => `${service}/${method}`),
    );
    expect(inTable.sort()).toEqual(inDescriptor.sort());
    for (const rpc of rpcs) expect(findPermission(rpc.service, rpc.method)).toBeDefined();
  });

  test("what is not in the table has no row, inherited names included", () => {
    expect(findPermission("ClientService", "ToString")).toBeUndefined();
    expect(findPermission("constructor", "Name")).toBeUndefined();
  });

  test("P13 viewers change nothing; only admins may do all but open people's values", () => {
    const writes = rpcs.filter((rpc) => findPermission(rpc.service, rpc.method)?.kind === "write");
    expect(writes.length).toBeGreaterThan(20);
    for (const role of operatorRoles) {
      const may = rpcs.filter((rpc) => {
        const row = findPermission(rpc.service, rpc.method);
        return row !== undefined && mayUse({ name: "x", roles: [role] }, row.permission);
      });
      const mayNot = rpcs.filter((rpc) => !may.includes(rpc)).map((rpc) => rpc.method);
      // Whose acts are on record may not let go what records hold of people.
      if (role === "admin") expect(mayNot).toEqual(["OpenField"]);
      else expect(may.length).toBeLessThan(rpcs.length);
      if (role === "viewer") for (const rpc of writes) expect(may).not.toContain(rpc);
    }
    expect(rolesHolding("retention.write")).not.toContain("operator");
  });

  test("every write that changes state carries the two conditions", async () => {
    const { default: wire } = await import("../../../src/gen/wire.json");
    const messages: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> =
      wire.messages;
    const others = [
      "EndSession",
      "RevokeGrant",
      "ProcessRetention",
      "Purge",
      "Drain",
      "ClearPenalty",
      // Keys are no part of the state.
      "RotateKeys",
      "DestroyKeys",
    ];
    for (const rpc of rpcs) {
      if (findPermission(rpc.service, rpc.method)?.kind !== "write") continue;
      if (others.includes(rpc.method)) continue;
      const names = Object.values(messages[rpc.requestType] ?? {}).map(([name]) => name);
      expect(names).toContain("expected_state_revision");
      expect(names).toContain("validate_only");
    }
  });
});
