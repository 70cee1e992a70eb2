/**
 * An operator of a tenant beyond naming things: references inside what is written, names that are taken, records,
 * cache, and what a tenant may not have at all (AZ-15, AZ-17, P17).
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type ServiceError, status } from "@grpc/grpc-js";
import type { AdminClient } from "../support/admin-plane.ts";
import { auditRow } from "../support/memory-store.ts";
import {
  otherTenant,
  ownTenant,
  startTwoTenants,
  type TwoTenants,
} from "../support/two-tenants.ts";

let world: TwoTenants;
let own: AdminClient;
let everyones: AdminClient;
beforeAll(async () => {
  world = await startTwoTenants();
  ({ own, everyones } = world);
});
afterAll(() => world.plane[Symbol.asyncDispose]());

async function refusal(work: Promise<unknown>): Promise<ServiceError> {
  try {
    await work;
  } catch (error) {
    return error as ServiceError;
  }
  throw new Error("should have been refused");
}

/** Code and words of a refusal, with the name that was tried taken out. */
async function answerTo(name: string, work: Promise<unknown>) {
  const { code, details } = await refusal(work);
  return { code, details: details.replaceAll(name, "…") };
}

const dry = { validate_only: true };
const explainAsked = {
  principal: "client:own-client",
  target: "add",
  action: "POLICY_ACTION_INVOKE_TOOL",
} as const;

describe("AZ-15: references inside what is written", () => {
  const references: readonly (readonly [string, string, (name: string) => Promise<unknown>])[] = [
    [
      "a client's roles",
      "role",
      (name) =>
        own.call("ClientService", "registerClient", { client: { id: "x", roles: [name] }, ...dry }),
    ],
    [
      "a binding's roles",
      "role",
      (name) =>
        own.call("PolicyService", "createBinding", {
          binding: { name: "x", roles: [name] },
          ...dry,
        }),
    ],
    [
      "a bundle's tools",
      "server",
      (server) =>
        own.call("ServerService", "createVirtualServer", {
          virtual_server: { name: "x", tools: [{ server, name: "t" }] },
          ...dry,
        }),
    ],
    [
      "a bundle's prompts",
      "server",
      (server) =>
        own.call("ServerService", "createVirtualServer", {
          virtual_server: { name: "x", prompts: [{ server, name: "t" }] },
          ...dry,
        }),
    ],
    [
      "a bundle's resources",
      "server",
      (server) =>
        own.call("ServerService", "createVirtualServer", {
          virtual_server: { name: "x", resources: [{ server, uri_pattern: "file:///*" }] },
          ...dry,
        }),
    ],
    [
      "the server explained",
      "server",
      (server) => own.call("PolicyService", "explain", { ...explainAsked, server }),
    ],
  ];

  test.each(references)(
    "%s: another tenant's is as unknown as none; own and common are not",
    async (_name, noun, ask) => {
      const unknown = await answerTo("nowhere", ask("nowhere"));
      expect([status.INVALID_ARGUMENT, status.NOT_FOUND]).toContain(unknown.code);
      expect(await answerTo(`other-${noun}`, ask(`other-${noun}`))).toEqual(unknown);
      await ask(`own-${noun}`);
      await ask(`common-${noun}`);
    },
  );

  test("a common bundle, open to all tenants, holds no tenant's server", async () => {
    const virtual_server = { name: "x", tools: [{ server: "own-server", name: "t" }] };
    const asked = everyones.call("ServerService", "createVirtualServer", {
      virtual_server,
      ...dry,
    });
    expect(await refusal(asked)).toMatchObject({ code: status.INVALID_ARGUMENT });
  });

  test("a filter by another tenant's client finds nothing, as by none", async () => {
    for (const client_id of ["other-client", "common-client", "nowhere"]) {
      const { tokens } = await own.call("ClientService", "listTokens", { client_id });
      const { sessions } = await own.call("ClientService", "listSessions", { client_id });
      expect([tokens, sessions]).toEqual([[], []]);
    }
  });

  test("explaining for another tenant's users is as unknown as for no tenant's", async () => {
    const explain = (tenant: string) =>
      own.call("PolicyService", "explain", {
        ...explainAsked,
        principal: "user:i#s",
        server: "own-server",
        tenant,
      });
    const unknown = await answerTo("nowhere", explain("nowhere"));
    expect(unknown.code).toBe(status.NOT_FOUND);
    expect(await answerTo(otherTenant, explain(otherTenant))).toEqual(unknown);
    await explain("");
    await explain(ownTenant);
  });
});

describe("names and moves", () => {
  test.each(["registerServer", "createVirtualServer"] as const)(
    "%s: a name that anybody's server or bundle has is taken, and no more is said",
    async (method) => {
      const make = (name: string) => {
        const remote = {
          kind: "REMOTE_KIND_STREAMABLE_HTTP",
          url: "https://x.example/mcp",
        } as const;
        return method === "registerServer"
          ? own.call("ServerService", method, { server: { name, remote }, ...dry })
          : own.call("ServerService", method, { virtual_server: { name }, ...dry });
      };
      const noun = method === "registerServer" ? "server" : "virtual server";
      const names = ["own", "other", "common"].flatMap((who) => [
        `${who}-server`,
        `${who}-virtual`,
      ]);
      for (const name of names) {
        expect(await answerTo(name, make(name))).toEqual({
          code: status.ALREADY_EXISTS,
          details: `There is a ${noun} "…" already`,
        });
      }
    },
  );

  test("nothing is moved out of the tenant, and nothing is moved in", async () => {
    const client = { id: "own-client", tenant: otherTenant };
    const moved = await refusal(own.call("ClientService", "updateClient", { client }));
    expect(moved.code).toBe(status.INVALID_ARGUMENT);
    const taken = { id: "other-client", tenant: ownTenant };
    const claimed = await refusal(own.call("ClientService", "updateClient", { client: taken }));
    expect(claimed.code).toBe(status.NOT_FOUND);
  });

  test("P17: a tenant's things are the tenant's after an update that does not say so", async () => {
    const client = { id: "own-client", display_name: "changed" };
    const { client: after } = await own.call("ClientService", "updateClient", { client });
    expect(after).toMatchObject({ tenant: ownTenant, display_name: "changed" });
    const role = { name: "own-role", description: "changed" };
    const { role: changed } = await own.call("PolicyService", "updateRole", { role });
    expect(changed).toMatchObject({ tenant: ownTenant, description: "changed" });
  });

  test("a tenant gets no command on the gateway's machine and no way into its network", async () => {
    const remote = { kind: "REMOTE_KIND_STREAMABLE_HTTP", url: "http://10.0.0.1/mcp" } as const;
    const inside = { name: "x", remote, allow_private_network: true };
    const intruder = await refusal(own.call("ServerService", "registerServer", { server: inside }));
    expect(intruder.code).toBe(status.PERMISSION_DENIED);
    expect(intruder.details).toContain("server.allow_private_network: needs");
    const stdio = { name: "x", stdio: { command: "/bin/sh" } };
    for (const asked of [
      own.call("ServerService", "registerServer", { server: stdio }),
      own.call("ServerService", "updateServer", { server: { ...stdio, name: "own-server" } }),
    ]) {
      const refused = await refusal(asked);
      expect(refused.code).toBe(status.PERMISSION_DENIED);
      expect(refused.details).toContain("server.stdio: needs an operator without a tenant");
    }
  });
});

describe("AZ-15: records and the cache", () => {
  const serversOf = (records: readonly { readonly server: string }[]) =>
    records.map(({ server }) => server);

  test("queries find the tenant's records, and another tenant's are a tenant that is not there", async () => {
    const { records } = await own.call("AuditService", "queryRecords", {});
    expect(serversOf(records)).toEqual(["own-server"]);
    const aimed = { filter: { server: "other-server" }, include_pruned: true };
    expect((await own.call("AuditService", "queryRecords", aimed)).records).toEqual([]);
    const query = (tenant: string) =>
      own.call("AuditService", "queryRecords", { filter: { tenant } });
    const unknown = await answerTo("nowhere", query("nowhere"));
    expect(unknown.code).toBe(status.NOT_FOUND);
    expect(await answerTo(otherTenant, query(otherTenant))).toEqual(unknown);
    const of = await everyones.call("AuditService", "queryRecords", {
      filter: { tenant: otherTenant },
    });
    expect(serversOf(of.records)).toEqual(["other-server"]);
    expect(
      serversOf((await everyones.call("AuditService", "queryRecords", {})).records),
    ).toHaveLength(3);
  });

  test("exports hold the tenant's records alone", async () => {
    let text = "";
    for await (const part of own.exportRecords({ format: "EXPORT_FORMAT_JSON_LINES" })) {
      text += part.chunk?.toString() ?? "";
      if (part.manifest) expect(part.manifest.count).toBe(1);
    }
    expect(text).toContain("own-server");
    expect(text).not.toMatch(/other-server|common-server/);
  });

  test("a tail tells of the tenant's records alone", async () => {
    const tail = own.tailRecords({});
    const heard = (async () => {
      for await (const { record } of tail) return record;
    })();
    while (world.plane.tails() === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    world.plane.emit(auditRow(7, { tenant: otherTenant }));
    world.plane.emit(auditRow(8, { tenant: null }));
    world.plane.emit(auditRow(9, { tenant: ownTenant }));
    expect(await heard).toMatchObject({ seq: 9, tenant: ownTenant });
    tail.cancel();
  });

  test("a purge, of everything too, reaches the tenant's entries alone", async () => {
    await own.call("CacheService", "purge", { all: true });
    await own.call("CacheService", "purge", { server: "other-server" });
    const nothing = { server: undefined, tool: undefined, principal: undefined };
    expect(world.plane.purges).toEqual([
      { ...nothing, tenant: ownTenant },
      { ...nothing, server: "other-server", tenant: ownTenant },
    ]);
    const purge = own.call("CacheService", "purge", { all: true, tenant: otherTenant });
    expect((await refusal(purge)).code).toBe(status.NOT_FOUND);
    expect(world.plane.purges).toHaveLength(2);
  });

  test("P17: what an operator changes is on record under the tenant it was changed for", async () => {
    await own.call("ClientService", "rotateToken", { client_id: "own-client" });
    await everyones.call("ClientService", "rotateToken", { client_id: "other-client" });
    await everyones.call("ClientService", "rotateToken", { client_id: "common-client" });
    const ends = world.plane.records.filter(
      ({ facts }) => facts.method === "ClientService/RotateToken" && facts.phase === "outcome",
    );
    expect(ends.map(({ facts }) => facts.tenant)).toEqual([ownTenant, otherTenant, undefined]);
  });
});
