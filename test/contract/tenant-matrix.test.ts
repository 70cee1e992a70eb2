/**
 * AZ-15 over every RPC of the descriptor: what an operator of a tenant gets by naming what another tenant, or no
 * tenant, has. An RPC without a row here fails the suite.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type ServiceError, status } from "@grpc/grpc-js";
import type { AdminServices } from "../../src/admin/caller.ts";
import { adminServiceFacts } from "../../src/admin/definition.ts";
import { findPermission, functionName } from "../../src/admin/permissions.ts";
import { rpcReach } from "../../src/admin/reach.ts";
import type { AdminClient } from "../support/admin-plane.ts";
import {
  draftOf,
  type Owner,
  otherTenant,
  ownTenant,
  retentionOf,
  ruleOf,
  serverOf,
  startTwoTenants,
  type TwoTenants,
} from "../support/two-tenants.ts";

let world: TwoTenants;
beforeAll(async () => {
  world = await startTwoTenants();
});
afterAll(() => world.plane[Symbol.asyncDispose]());

/** What the row's question is put to: `own`, `other` and `common` things, or one that is nowhere. */
type Whose = Owner | "nobody";

type Row =
  /** About the whole gateway: refused to every operator of a tenant. */
  | { readonly is: "gateway"; readonly request?: object }
  /** Names one thing. `request` by whose it is. */
  | { readonly is: "named"; readonly request: (whose: Whose) => object }
  /** Answers with many; `names` reads whose they are out of the answer. */
  | { readonly is: "list"; readonly names: (answer: never) => readonly string[] }
  /** Makes a new thing, in its own tenant or refused. */
  | { readonly is: "create"; readonly request: (name: string, tenant: string) => object }
  /** Has tests of its own below. */
  | { readonly is: "records" };

const gateway: Row = { is: "gateway" };
const records: Row = { is: "records" };
const named = (request: (whose: Whose) => object): Row => ({ is: "named", request });
const list = (names: (answer: never) => readonly string[]): Row => ({ is: "list", names });
const create = (request: (name: string, tenant: string) => object): Row => ({
  is: "create",
  request,
});
const byName = (noun: string) => named((whose) => ({ name: `${whose}-${noun}` }));
const idsOf = (member: string, key = "name") =>
  list((answer: Readonly<Record<string, readonly Readonly<Record<string, string>>[]>>) =>
    (answer[member] ?? []).map((one) => one[key] ?? ""),
  );
/** Things with a tenant in their key are asked for under each tenant that could be meant. */
const tenantOf = (whose: Whose) => (whose === "other" ? otherTenant : "");
const inTenant = (noun: string) =>
  named((whose) => ({ name: `${whose}-${noun}`, tenant: tenantOf(whose) }));
const tokenOf = (whose: Whose) => (whose === "nobody" ? "nowhere" : world.tokens[whose]);

const rows: { readonly [S in keyof AdminServices]: Readonly<Record<keyof AdminServices[S], Row>> } =
  {
    ClientService: {
      registerClient: create((id, tenant) => ({ client: { id, tenant } })),
      getClient: named((whose) => ({ id: `${whose}-client` })),
      listClients: idsOf("clients", "id"),
      updateClient: named((whose) => ({ client: { id: `${whose}-client`, display_name: "x" } })),
      deleteClient: named((whose) => ({ id: `${whose}-client` })),
      rotateToken: named((whose) => ({ client_id: `${whose}-client` })),
      issueSigningSecret: named((whose) => ({ client_id: `${whose}-client`, key_id: "k1" })),
      revokeToken: named((whose) => ({ token_id: tokenOf(whose) })),
      listTokens: idsOf("tokens", "client_id"),
      listSessions: idsOf("sessions", "id"),
      endSession: named((whose) => ({ id: `${whose}-session` })),
    },
    ServerService: {
      registerServer: create((name, tenant) => ({ server: serverOf(name, tenant) })),
      getServer: byName("server"),
      listServers: idsOf("servers"),
      updateServer: named((whose) => ({ server: serverOf(`${whose}-server`) })),
      deleteServer: byName("server"),
      listTools: named((whose) => ({ server: `${whose}-server` })),
      refreshServer: byName("server"),
      checkServer: byName("server"),
      createVirtualServer: create((name, tenant) => ({ virtual_server: { name, tenant } })),
      getVirtualServer: byName("virtual"),
      listVirtualServers: idsOf("virtual_servers"),
      updateVirtualServer: named((whose) => ({ virtual_server: { name: `${whose}-virtual` } })),
      deleteVirtualServer: byName("virtual"),
    },
    GrantService: {
      listGrants: idsOf("grants", "id"),
      revokeGrant: named((whose) => ({ id: `${whose}-grant` })),
    },
    PolicyService: {
      createRole: create((name, tenant) => ({ role: { name, tenant } })),
      getRole: inTenant("role"),
      listRoles: idsOf("roles"),
      updateRole: named((whose) => ({
        role: { name: `${whose}-role`, tenant: tenantOf(whose), description: "x" },
      })),
      deleteRole: inTenant("role"),
      createBinding: create((name, tenant) => ({ binding: { name, tenant } })),
      getBinding: inTenant("binding"),
      listBindings: idsOf("bindings"),
      updateBinding: named((whose) => ({
        binding: { name: `${whose}-binding`, tenant: tenantOf(whose) },
      })),
      deleteBinding: inTenant("binding"),
      createRule: create((name, tenant) => ({ rule: ruleOf(name, tenant) })),
      getRule: inTenant("rule"),
      listRules: idsOf("rules"),
      updateRule: named((whose) => ({ rule: ruleOf(`${whose}-rule`, tenantOf(whose)) })),
      deleteRule: inTenant("rule"),
      explain: named((whose) => ({
        principal: `client:${whose}-client`,
        server: "common-server",
        target: "add",
        action: "POLICY_ACTION_INVOKE_TOOL",
      })),
      createDraft: create((name, tenant) => ({ draft: draftOf(name, tenant, "") })),
      getDraft: byName("draft"),
      listDrafts: idsOf("drafts"),
      updateDraft: named((whose) => ({ draft: draftOf(`${whose}-draft`, "", "") })),
      deleteDraft: byName("draft"),
      proposeDraft: byName("draft"),
      approveDraft: byName("draft"),
      rejectDraft: byName("draft"),
      activateDraft: byName("draft"),
      retireDraft: byName("draft"),
      rollbackPolicy: gateway,
      listPolicyRevisions: gateway,
      replay: records,
    },
    RetentionService: {
      createRule: create((id, tenant) => ({ rule: retentionOf(id, tenant) })),
      getRule: named((whose) => ({ id: `${whose}-retention` })),
      listRules: idsOf("rules", "id"),
      updateRule: named((whose) => ({ rule: retentionOf(`${whose}-retention`) })),
      deleteRule: named((whose) => ({ id: `${whose}-retention` })),
      processRetention: gateway,
      getStatistics: gateway,
    },
    AuditService: {
      queryRecords: records,
      summarizeRecords: records,
      exportRecords: records,
      tailRecords: records,
      openField: named((whose) => ({
        log_id: "log-1",
        seq: { own: 1, other: 2, common: 3, nobody: 9 }[whose],
        field: "principal",
      })),
      verifyLog: gateway,
      getCheckpoint: gateway,
      getProof: named((whose) => ({ seq: { own: 1, other: 2, common: 3, nobody: 99 }[whose] })),
    },
    LimitService: { listPenalties: gateway, clearPenalty: gateway },
    RevocationService: {
      revokeTokens: gateway,
      listRevocations: gateway,
      deleteRevocation: gateway,
    },
    KeyService: { listKeys: records, rotateKeys: gateway, destroyKeys: records },
    CacheService: { getStatistics: gateway, purge: records },
    SystemService: { getConfig: gateway, getStatus: gateway, drain: gateway },
  };

interface Case {
  readonly service: keyof AdminServices;
  readonly method: string;
  readonly row: Row;
}
const cases: readonly Case[] = Object.entries(rows).flatMap(([service, methods]) =>
  Object.entries(methods).map(([method, row]) => ({
    service: service as keyof AdminServices,
    method,
    row,
  })),
);

test("AZ-15: every RPC of the descriptor has a row, here and in the table of reach", () => {
  const inDescriptor = adminServiceFacts()
    .flatMap(({ rpcs }) => rpcs)
    .map((rpc) => `${rpc.service}/${functionName(rpc.method)}`)
    .sort();
  expect(cases.map(({ service, method }) => `${service}/${method}`).sort()).toEqual(inDescriptor);
  const reached = Object.entries(rpcReach).flatMap(([service, methods]) =>
    Object.entries(methods).map(([method, reach]) => ({ name: `${service}/${method}`, reach })),
  );
  expect(reached.map(({ name }) => name).sort()).toEqual(inDescriptor);
  const ofGateway = cases.filter(({ row }) => row.is === "gateway");
  expect(reached.filter(({ reach }) => reach === "gateway").map(({ name }) => name)).toEqual(
    ofGateway.map(({ service, method }) => `${service}/${method}`),
  );
});

const call = (admin: AdminClient, { service, method }: Case, request: object) =>
  admin.call(service, method as never, request as never) as Promise<object>;

async function refusal(work: Promise<unknown>): Promise<ServiceError> {
  try {
    await work;
  } catch (error) {
    return error as ServiceError;
  }
  throw new Error("should have been refused");
}

const capitalized = (method: string) => method.charAt(0).toUpperCase() + method.slice(1);

/** Everything a stranger could tell two answers apart by, the name itself aside. */
function seen(error: ServiceError, whose: Whose, given: string) {
  const metadata = { ...error.metadata.getMap() };
  delete metadata.date;
  return {
    code: error.code,
    text: error.details.replaceAll(given, whose).replaceAll(whose, "?"),
    metadata,
  };
}

const of = <K extends Row["is"]>(is: K) =>
  cases
    .filter((one) => one.row.is === is)
    .map(
      (one) => [`${one.service}/${one.method}`, one, one.row as Extract<Row, { is: K }>] as const,
    );

describe("AZ-15: an operator of a tenant", () => {
  test.each(of("named"))(
    "%s: what is not the tenant's is NOT_FOUND, as what is nowhere",
    async (_name, one, row) => {
      const before = await world.plane.store.load();
      const ask = async (whose: Whose) => {
        const request = row.request(whose);
        const token = whose === "nobody" ? "nowhere" : world.tokens[whose];
        return seen(await refusal(call(world.own, one, request)), whose, token);
      };
      const unknown = await ask("nobody");
      expect(unknown.code).toBe(status.NOT_FOUND);
      for (const whose of ["other", "common"] as const) {
        expect(await ask(whose)).toEqual(unknown);
        const last = world.plane.records.findLast(({ event }) => event === "admin.denied");
        expect(last).toMatchObject({ class: "A", facts: { status: "denied", tenant: ownTenant } });
      }
      expect(await world.plane.store.load()).toEqual(before);
      const isRead = findPermission(one.service, capitalized(one.method))?.kind === "read";
      if (isRead) await call(world.own, one, row.request("own"));
    },
  );

  test.each(of("list"))(
    "%s: only the tenant's own are listed, page by page too",
    async (_name, one, row) => {
      const names: string[] = [];
      let page_token = "";
      do {
        const answer = await call(world.own, one, { page_size: 1, page_token });
        names.push(...row.names(answer as never));
        page_token = (answer as { readonly next_page_token: string }).next_page_token;
      } while (page_token !== "");
      expect(names.filter((name) => !/^own-/.test(name))).toEqual([]);
      expect(names.length).toBeGreaterThan(0);
      const all = row.names((await call(world.everyones, one, {})) as never);
      expect(all.filter((name) => /^(other|common)-/.test(name)).length).toBeGreaterThan(1);
      const { next_page_token } = (await call(world.everyones, one, { page_size: 1 })) as {
        readonly next_page_token: string;
      };
      const stolen = refusal(call(world.own, one, { page_size: 1, page_token: next_page_token }));
      expect((await stolen).code).toBe(status.INVALID_ARGUMENT);
    },
  );

  test.each(of("create"))(
    "%s: makes its tenant's own, and nothing else",
    async (_name, one, row) => {
      const name = "made";
      const dry = { validate_only: true };
      for (const tenant of ["", ownTenant]) {
        const answer = await call(world.own, one, { ...row.request(name, tenant), ...dry });
        expect(JSON.stringify(answer)).toContain(`"tenant":"${ownTenant}"`);
      }
      for (const tenant of [otherTenant, "A", "nowhere"]) {
        const refused = await refusal(call(world.own, one, row.request(name, tenant)));
        expect([refused.code, refused.details]).toEqual([
          status.INVALID_ARGUMENT,
          `tenant: must be empty or "${ownTenant}", your own`,
        ]);
      }
    },
  );

  test.each(of("gateway"))("%s: needs an operator without a tenant", async (_name, one, row) => {
    const refused = await refusal(call(world.own, one, row.request ?? {}));
    expect(refused.code).toBe(status.PERMISSION_DENIED);
    expect(refused.details).toContain("needs an operator without a tenant");
    expect(world.plane.events).not.toContain("drain");
  });
});
