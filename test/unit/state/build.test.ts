/** What makes a snapshot, and every way of not making one. */
import { describe, expect, test } from "bun:test";
import { GatewayError } from "../../../src/errors/fault.ts";
import { compilePolicy } from "../../../src/policy/compile.ts";
import type { PolicyInput } from "../../../src/policy/rule.ts";
import { toolSettingOf } from "../../../src/servers/spec.ts";
import { buildSnapshot } from "../../../src/state/build.ts";
import type { StoredResource } from "../../../src/storage/store.ts";

const policy = {
  decide: () => ({ allowed: false, reason: "", ruleId: "" }),
  seesServer: () => false,
};
const stored = (kind: string, name: string, body: unknown): StoredResource => ({
  kind,
  name,
  body,
  createdAtMs: 0,
  updatedAtMs: 0,
  stateRevision: 1,
});
const client = (more: object = {}) =>
  stored("client", "ci", {
    id: "ci",
    displayName: "",
    enabled: true,
    allowedTools: ["calc__*"],
    allowedResources: [],
    allowedPrompts: [],
    roles: [],
    allowedOrigins: [],
    limits: {},
    ...more,
  });
const remote = (url: string, kind = "streamable-http") => ({ kind, url, headers: {} });
const server = (more: object = {}, name = "calc") =>
  stored("server", name, {
    name,
    description: "",
    transport: remote("https://calc.example/mcp"),
    era: "auto",
    enabled: true,
    connectTimeoutMs: 1000,
    callTimeoutMs: 1000,
    responseBytesMax: 1024,
    maxInFlight: 1,
    listTtlMs: 0,
    listsPublic: false,
    toolSettings: [],
    allowPrivateNetwork: false,
    dataClass: "INTERNAL",
    ...more,
  });
const token = (id: string, digest: string, clientId = "ci") =>
  stored("token", id, { id, clientId, digest, keyId: "0".repeat(16), createdAtMs: 0 });
const role = stored("role", "analyst", { name: "analyst", description: "", permissions: [] });
const policyOf = (
  kind: "role" | "binding" | "rule",
  tenant: string | undefined,
  more: object = {},
) => {
  const shapes = {
    role: { description: "", permissions: [] },
    binding: { roles: [], users: [], groups: [] },
    rule: { effect: "deny", priority: 0, condition: { ignoreCase: false }, enabled: true },
  };
  return { ...stored(kind, "n", { name: "n", tenant, ...shapes[kind], ...more }), tenant };
};
const virtual = (more: object = {}, name = "bundle") =>
  stored("virtual-server", name, {
    name,
    description: "",
    enabled: true,
    tools: [{ server: "calc", name: "add" }],
    prompts: [],
    resources: [],
    ...more,
  });

describe("buildSnapshot", () => {
  test("builds scopes, tokens and servers, and hands the policy its parts", () => {
    let seen: PolicyInput | undefined;
    const snapshot = buildSnapshot(
      7,
      [
        client({ roles: ["analyst"] }),
        role,
        server(),
        server({ enabled: false }, "off"),
        virtual(),
        token("t1", "a".repeat(64)),
      ],
      (input) => {
        seen = input;
        return policy;
      },
    );
    expect(snapshot.stateRevision).toBe(7);
    expect([...snapshot.scopes.keys()].sort()).toEqual(["all", "bundle", "calc"]);
    expect([...snapshot.servers.keys()]).toEqual(["calc"]);
    expect(snapshot.tokens.get("a".repeat(64))?.clientId).toBe("ci");
    expect(snapshot.policy).toBe(policy);
    expect(seen?.roles.map((one) => one.name)).toEqual(["analyst"]);
  });

  test("nothing stored is a state too", () => {
    expect([...buildSnapshot(0, [], () => policy).scopes.keys()]).toEqual(["all"]);
  });

  test.each([
    ["an unknown kind", [stored("gadget", "g", {})], "gadget: unknown kind of resource"],
    ["an unknown member", [client({ admin: true })], 'unknown member "admin"'],
    ["a missing member", [client({ enabled: undefined })], "enabled: must be true or false"],
    ["a name it is not stored under", [client({ id: "other" })], "stored under"],
    ["a name with capitals", [server({}, "Calc")], "name: must be 1 to 63"],
    ["a name with __", [server({}, "a__b")], "name: must be 1 to 63"],
    ["a server named all", [server({}, "all")], '"all" is reserved'],
    ["a virtual server named all", [server(), virtual({}, "all")], '"all" is reserved'],
    ["a scope taken twice", [server(), virtual({}, "calc")], "a server has this name already"],
    ["a role nobody made", [client({ roles: ["ghost"] })], 'there is no role "ghost"'],
    ["a token of nobody", [token("t", "b".repeat(64))], 'there is no client "ci"'],
    ["a server nobody made", [virtual()], 'there is no server "calc"'],
    [
      "one digest twice",
      [client(), token("t1", "c".repeat(64)), token("t2", "c".repeat(64))],
      "digest is not unique",
    ],
    [
      "one exposed name twice",
      [
        server(),
        virtual({
          tools: [
            { server: "calc", name: "add" },
            { server: "calc", name: "sub", exposedName: "calc__add" },
          ],
        }),
      ],
      "would be exposed twice",
    ],
    ["a partial wildcard", [client({ allowedTools: ["calc__a*"] })], "allowedTools[0]: must be"],
    ["a limit of zero", [client({ limits: { burst: 0 } })], "limits.burst: must be a whole number"],
    ["a path for an origin", [client({ allowedOrigins: ["https://a.example/x"] })], "an origin"],
    [
      "a password in a URL",
      [server({ transport: remote("https://u:p@calc.example/") })],
      "user name or password",
    ],
    ["a file URL", [server({ transport: remote("file:///etc/passwd") })], "scheme http or https"],
    [
      "http for a WebSocket",
      [server({ transport: remote("http://calc.example/", "websocket") })],
      "scheme ws or wss",
    ],
  ])("refuses %s", (_name, resources, why) => {
    expect(refusal(resources)).toContain(why);
  });

  test("AZ-17: one name in several tenants is several roles, bindings and rules", () => {
    const tenants = [undefined, "a", "A", "a:b", "a/b", "null", '["a"]'];
    const kinds = ["role", "binding", "rule"] as const;
    const { policyInput } = buildSnapshot(
      1,
      kinds.flatMap((kind) => tenants.map((tenant) => policyOf(kind, tenant))),
      () => policy,
    );
    for (const list of [policyInput.roles, policyInput.bindings, policyInput.rules]) {
      expect(list.map(({ tenant }) => tenant)).toEqual(tenants);
    }
    expect(refusal([policyOf("role", "a"), policyOf("role", "a")])).toContain("two of this name");
  });

  test.each<[string, readonly StoredResource[], string]>([
    ["under another tenant", [{ ...policyOf("role", "a"), tenant: "b" }], "tenant it is stored"],
    ["under no tenant", [{ ...policyOf("rule", "a"), tenant: undefined }], "tenant it is stored"],
    ["a client under one", [{ ...client({ tenant: "a" }), tenant: "a" }], "tenant it is stored"],
    ["of an unprintable one", [client({ tenant: "a\u0000" })], "without control characters"],
    ["of an empty one", [client({ tenant: "" })], "tenant: must be 1 to 256"],
  ])("AZ-17: refuses what lies %s", (_name, resources, why) => {
    expect(refusal(resources)).toContain(why);
  });

  const calc = (tenant: string | undefined) => server({ tenant });
  const bundle = (tenant: string | undefined) => virtual({ tenant });
  const holder = (tenant: string | undefined) => client({ tenant, roles: ["n"] });
  const binding = (tenant: string | undefined) => policyOf("binding", tenant, { roles: ["n"] });
  const roleOf = (tenant: string | undefined) => policyOf("role", tenant);
  type Of = (tenant: string | undefined) => StoredResource;

  test.each<[string, Of, Of]>([
    ["a client's role", holder, roleOf],
    ["a binding's role", binding, roleOf],
    ["a bundle's server", bundle, calc],
  ])("P17: %s is the tenant's own or common, and never another tenant's", (_name, from, to) => {
    const tenants = [undefined, "a", "a:b"] as const;
    for (const own of tenants) {
      for (const other of tenants) {
        const resources = [from(own), to(other)];
        if (other === undefined || other === own) buildSnapshot(1, resources, () => policy);
        else expect(refusal(resources)).toBe(refusal([from(own)]));
      }
    }
  });

  test("P17: the policy is told whose servers are, and what was said of their tools", () => {
    const setting = { tool: "t", readOnly: false, cacheTtlMs: 0, cachePublic: false };
    const toolSettings = [
      { ...setting, riskTier: "high" },
      { ...setting, tool: "u", requiredRoles: ["r"] },
      { ...setting, tool: "v" },
    ];
    const resources = [server({ tenant: "a", toolSettings, enabled: false }), server({}, "other")];
    expect(buildSnapshot(1, resources, () => policy).policyInput.servers).toEqual([
      {
        name: "calc",
        tenant: "a",
        tools: [
          { tool: "t", riskTier: "high", requiredRoles: [] },
          { tool: "u", riskTier: "low", requiredRoles: ["r"] },
        ],
      },
      { name: "other", tenant: undefined, tools: [] },
    ]);
  });

  test("a tool that a stored server names twice is one: the first counts, the next fills what it left", () => {
    const setting = { readOnly: false, cacheTtlMs: 0, cachePublic: false };
    const first = { ...setting, tool: "t", readOnly: true, cost: 2 };
    const next = { ...setting, tool: "t", cacheTtlMs: 9, cost: 5, requiredRoles: ["r"] };
    const last = { ...setting, tool: "t", riskTier: "high", auditClass: "A+" };
    const other = { ...setting, tool: "u" };
    const resources = [server({ toolSettings: [first, other, next, last] })];
    const { servers, policyInput } = buildSnapshot(1, resources, compilePolicy);
    const calc = servers.get("calc");
    expect(calc?.toolSettings).toEqual([
      { ...first, requiredRoles: ["r"], riskTier: "high", auditClass: "A+" },
      other,
    ]);
    expect(calc && toolSettingOf(calc, "t")).toBe(calc?.toolSettings[0]);
    expect(policyInput.servers?.[0]?.tools).toEqual([
      { tool: "t", riskTier: "high", requiredRoles: ["r"] },
    ]);
  });

  test("P04 refuses an unknown condition instead of matching everything", () => {
    const rule = stored("rule", "r", {
      name: "r",
      effect: "deny",
      priority: 1,
      condition: { ignoreCase: false, tool_name: "x" },
      enabled: true,
    });
    expect(refusal([rule])).toContain('unknown member "tool_name"');
  });
});

function refusal(resources: readonly StoredResource[]): string {
  try {
    buildSnapshot(1, resources, () => policy);
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    expect(error.fault.name).toBe("invalid-params");
    return error.fault.message;
  }
  throw new Error("should have been refused");
}
