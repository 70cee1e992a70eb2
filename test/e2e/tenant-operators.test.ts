/**
 * What the operators of two tenants find on one gateway: the records of their own agents on every transport, their own
 * policy explained, and nothing of the other's by any name (P17, AZ-15, AZ-18).
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { ServiceError } from "@grpc/grpc-js";
import { until } from "../support/deadline.ts";
import { executable, type GatewayProcess } from "../support/gateway-process.ts";
import { allRecords } from "../support/operator.ts";
import { agentKinds } from "../support/sdk-agents.ts";
import {
  otherOf,
  refusalOf,
  startTenantGateway,
  type TenantGateway,
  tenantNames,
  tenants,
} from "../support/tenant-gateway.ts";

let world: TenantGateway;
let gateway: GatewayProcess;
let of: TenantGateway["of"];
beforeAll(async () => {
  world = await startTenantGateway();
  ({ gateway, of } = world);
});
afterAll(() => world[Symbol.asyncDispose]());

describe("AZ-15: what operators find", () => {
  test.each(tenantNames)(
    "%s: records of every transport, and none but their tenant's",
    async (name) => {
      const { operator, token } = of[name];
      for (const kind of agentKinds) {
        await using agent = await kind.connect({ base: gateway.agents, token });
        await agent.callTool(`${name}-tools__echo`, { text: kind.name });
        await refusalOf(agent.callTool(`${otherOf(name)}-tools__echo`, { text: "stolen" }));
      }
      const isComplete = async () => {
        const calls = await allRecords(operator, { tool: "echo", event: "call.outcome" });
        return new Set(calls.map(({ envelope_json }) => JSON.parse(envelope_json).facts.binding))
          .size;
      };
      await until(
        "calls of all three transports on record",
        async () => (await isComplete()) === 3,
      );
      const records = await allRecords(operator);
      const theirs = otherOf(name);
      for (const { envelope_json, details_json } of records) {
        expect(JSON.parse(envelope_json).facts.tenant).toBe(tenants[name]);
        expect(details_json).not.toContain(`${theirs}-agent`);
        expect(envelope_json).not.toContain(`"server":"${theirs}-tools"`);
      }
      // Told by the tenant, and found by it.
      const found = await allRecords(world.everyones, { tenant: tenants[name] });
      expect(found.length).toBeGreaterThanOrEqual(records.length);
      expect(records.some(({ event }) => event === "admin.change")).toBe(true);
    },
  );

  test.each(tenantNames)("%s: tenantNames of the other tenant lead nowhere", async (name) => {
    const theirs = otherOf(name);
    const asked: readonly (readonly [string, string, object])[] = [
      ["ClientService", "GetClient", { id: `${theirs}-agent` }],
      ["ClientService", "RotateToken", { client_id: `${theirs}-agent` }],
      ["ServerService", "ListTools", { server: `${theirs}-tools` }],
      ["ServerService", "DeleteServer", { name: "shared" }],
      ["PolicyService", "DeleteRole", { name: "analyst", tenant: tenants[theirs] }],
    ];
    for (const [service, method, request] of asked) {
      const error = await of[name].operator
        .call(service, method, { ...request })
        .catch((reason: ServiceError) => reason);
      expect(error).toMatchObject({ code: 5 });
    }
    const { role } = await of[theirs].operator.call<{ role: { tenant: string } }>(
      "PolicyService",
      "GetRole",
      { name: "analyst" },
    );
    expect(role.tenant).toBe(tenants[theirs]);
  });

  test("the command line tenantNames tenants as the RPCs do, and no member that they do not have", async () => {
    const run = async (...args: string[]) => {
      const tokenFile = join(gateway.dataDir, "admin.token");
      const command = [
        executable,
        "policy",
        ...args,
        "--admin",
        gateway.admin,
        "--token-file",
        tokenFile,
      ];
      const child = Bun.spawn(command, { stdout: "pipe", stderr: "pipe" });
      const said =
        (await new Response(child.stdout).text()) + (await new Response(child.stderr).text());
      return { code: await child.exited, said };
    };
    for (const name of tenantNames) {
      const found = await run("get-role", "analyst", "--tenant", tenants[name], "--json");
      expect(JSON.parse(found.said)).toMatchObject({ role: { tenant: tenants[name] } });
    }
    expect((await run("get-role", "analyst")).said).toContain('There is no role "analyst"');
    const invented = { name: "analyst", tenant: "acme", is_admin: true };
    const refused = await run("update-role", "--params", JSON.stringify({ role: invented }));
    expect(refused).toMatchObject({
      code: 2,
      said: expect.stringContaining('no member "is_admin"'),
    });
  });

  test("Explain says what holds for the tenant's own", async () => {
    for (const name of tenantNames) {
      const explain = (server: string, target: string) =>
        of[name].operator.call<{ allowed: boolean; decided_by: string }>(
          "PolicyService",
          "Explain",
          {
            principal: `client:${name}-agent`,
            server,
            target,
            action: "POLICY_ACTION_INVOKE_TOOL",
          },
        );
      expect(await explain("shared", "echo")).toMatchObject({ allowed: true });
      const slow = await explain("shared", "slow");
      expect(slow.allowed).toBe(false);
      expect(slow.decided_by).toBe(name === "acme" ? "rule:closed" : "default");
      expect((await explain(`${name}-tools`, "echo")).allowed).toBe(true);
      expect(await refusalOf(explain(`${otherOf(name)}-tools`, "echo"))).toContain("no server");
    }
  });
});
