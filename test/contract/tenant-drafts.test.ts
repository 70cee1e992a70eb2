/**
 * What an operator of a tenant reaches through a draft of policy: the tenant's own, and nothing else by any name
 * (AZ-15).
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type ServiceError, status } from "@grpc/grpc-js";
import type { AdminClient } from "../support/admin-plane.ts";
import { otherTenant, startTwoTenants, type TwoTenants } from "../support/two-tenants.ts";

let world: TwoTenants;
let own: AdminClient;
beforeAll(async () => {
  world = await startTwoTenants();
  ({ own } = world);
});
afterAll(() => world.plane[Symbol.asyncDispose]());

/** Code and words of a refusal, with the name that was tried taken out. */
async function answerTo(name: string, work: Promise<unknown>) {
  const error = await work.then(
    () => undefined,
    (reason: ServiceError) => reason,
  );
  if (error === undefined) throw new Error("should have been refused");
  return { code: error.code, details: error.details.replaceAll(name, "…") };
}

describe("AZ-15: objects inside a draft", () => {
  const draft = (change: object) => {
    const asked = { name: "x", changes: [change] };
    return own.call("PolicyService", "createDraft", { draft: asked, validate_only: true } as never);
  };
  const kind = (noun: string) => `POLICY_OBJECT_KIND_${noun}`;
  const changes: readonly (readonly [string, string, (name: string) => object])[] = [
    ["grants of a client", "client", (id) => ({ put: { client_grants: { id } } })],
    ["tools of a server", "server", (server) => ({ put: { server_tools: { server } } })],
    ["a rule to be deleted", "rule", (name) => ({ delete: { kind: kind("RULE"), name } })],
  ];

  test.each(changes)(
    "%s: another tenant's and common ones are as unknown as none",
    async (_name, noun, change) => {
      const unknown = await answerTo("nowhere", draft(change("nowhere")));
      expect(unknown.code).toBe(status.NOT_FOUND);
      for (const whose of ["other", "common"]) {
        const name = `${whose}-${noun}`;
        expect(await answerTo(name, draft(change(name)))).toEqual(unknown);
      }
      await draft(change(`own-${noun}`));
    },
  );

  test("another tenant's by its tenant: as unknown as a tenant that is nowhere", async () => {
    const gone = (tenant: string) =>
      draft({ delete: { kind: kind("ROLE"), name: "other-role", tenant } });
    const made = (tenant: string) => draft({ put: { role: { name: "other-role", tenant } } });
    for (const ask of [gone, made]) {
      const unknown = await answerTo("nowhere", ask("nowhere"));
      expect(await answerTo(otherTenant, ask(otherTenant))).toEqual(unknown);
    }
  });
});
