/** Decisions on grants, denies and defaults, by table. The laws are in `decide.test.ts`, conditions in `expression.test.ts`. */
import { describe, expect, test } from "bun:test";
import { compilePolicy } from "../../../src/policy/compile.ts";
import type { Asker, PolicyInput, Question, Rule } from "../../../src/policy/rule.ts";

const nothing: PolicyInput = { clients: [], roles: [], bindings: [], rules: [] };
const nobody: Asker = { id: "x", clientId: undefined, subject: undefined, roles: [], groups: [] };
const ci: Asker = { ...nobody, id: "client:ci", clientId: "ci" };

function client(grants: Partial<PolicyInput["clients"][number]>): PolicyInput {
  const none = { allowedTools: [], allowedResources: [], allowedPrompts: [] };
  return { ...nothing, clients: [{ id: "ci", enabled: true, ...none, ...grants }] };
}

function role(
  resource: string,
  actions: PolicyInput["roles"][number]["permissions"][number]["actions"] = ["*"],
) {
  return { ...nothing, roles: [{ name: "r", permissions: [{ resource, actions }] }] };
}

function rule(more: Partial<Rule["condition"]>, rest: Partial<Omit<Rule, "condition">> = {}): Rule {
  const any = {
    server: undefined,
    targetPattern: undefined,
    ignoreCase: false,
    principal: undefined,
    action: undefined,
  };
  return {
    name: "no",
    effect: "deny",
    priority: 0,
    enabled: true,
    ...rest,
    condition: { ...any, ...more },
  };
}

const call = (server: string, target: string): Question => ({
  server,
  kind: "tool",
  target,
  action: "invoke_tool",
});
const read = (target: string): Question => ({
  server: "s",
  kind: "resource",
  target,
  action: "read_resource",
});
const withRole: Asker = { ...nobody, roles: ["r"] };

describe("P01 P05 P10 P11 grants", () => {
  test.each<[string, PolicyInput, Asker, Question, boolean, string]>([
    ["nothing granted", nothing, ci, call("s", "t"), false, "default"],
    ["empty list", client({}), ci, call("s", "t"), false, "default"],
    ["listed tool", client({ allowedTools: ["s__t"] }), ci, call("s", "t"), true, "client:ci"],
    [
      "tool with __ in it",
      client({ allowedTools: ["s__a__b"] }),
      ci,
      call("s", "a__b"),
      true,
      "client:ci",
    ],
    [
      "case counts (AZ-11)",
      client({ allowedTools: ["s__t"] }),
      ci,
      call("s", "T"),
      false,
      "default",
    ],
    [
      "same tool elsewhere",
      client({ allowedTools: ["s__t"] }),
      ci,
      call("s2", "t"),
      false,
      "default",
    ],
    ["whole server", client({ allowedTools: ["s__*"] }), ci, call("s", "t"), true, "client:ci"],
    ["everything", client({ allowedTools: ["*"] }), ci, call("s", "t"), true, "client:ci"],
    [
      "disabled client",
      client({ enabled: false, allowedTools: ["*"] }),
      ci,
      call("s", "t"),
      false,
      "default",
    ],
    [
      "tools are not prompts",
      client({ allowedTools: ["*"] }),
      ci,
      { ...call("s", "t"), kind: "prompt", action: "get_prompt" },
      false,
      "default",
    ],
    [
      "role: one server",
      role("mcp:prod-server:*"),
      withRole,
      call("prod-server", "t"),
      true,
      "role:r",
    ],
    [
      "role: a server that starts alike",
      role("mcp:prod:*"),
      withRole,
      call("prod-server", "t"),
      false,
      "default",
    ],
    [
      "role: one tool anywhere",
      role("mcp:*:sqlite_reader"),
      withRole,
      call("any", "sqlite_reader"),
      true,
      "role:r",
    ],
    ["role: everything", role("mcp:*:*"), withRole, call("any", "t"), true, "role:r"],
    ["role: target with colons", role("mcp:s:a:b"), withRole, call("s", "a:b"), true, "role:r"],
    [
      "role: resource",
      role("mcp:s:note://A/../b", ["read_resource"]),
      withRole,
      read("NOTE://a/b"),
      true,
      "role:r",
    ],
    [
      "role: other action",
      role("mcp:s:*", ["get_prompt"]),
      withRole,
      call("s", "t"),
      false,
      "default",
    ],
    [
      "role: list_tools alone shows no tool",
      role("mcp:s:*", ["list_tools"]),
      withRole,
      { ...call("s", "t"), action: "list_tools" },
      false,
      "default",
    ],
    [
      "unknown role",
      role("mcp:*:*"),
      { ...nobody, roles: ["other"] },
      call("s", "t"),
      false,
      "default",
    ],
    [
      "action of another kind",
      role("mcp:*:*"),
      withRole,
      { ...call("s", "t"), action: "read_resource" },
      false,
      "default",
    ],
    [
      "resource pattern",
      client({ allowedResources: ["weather://*"] }),
      ci,
      read("weather://oslo/now"),
      true,
      "client:ci",
    ],
    [
      "escape by dots",
      client({ allowedResources: ["file:///data/*"] }),
      ci,
      read("file:///data/../etc/passwd"),
      false,
      "default",
    ],
    [
      "escape by encoded dots",
      client({ allowedResources: ["file:///data/*"] }),
      ci,
      read("file:///data/%2e%2e/etc"),
      false,
      "default",
    ],
    [
      "escape by encoded slash",
      client({ allowedResources: ["file:///data/*"] }),
      ci,
      read("file:///data/..%2fetc"),
      false,
      "default",
    ],
    [
      "no canonical form, everything allowed",
      client({ allowedResources: ["*"] }),
      ci,
      read("not a uri"),
      false,
      "default",
    ],
  ])("%s", (_name, input, asker, question, allowed, ruleId) => {
    expect(compilePolicy(input).decide(asker, question)).toMatchObject({ allowed, ruleId });
  });

  test("bindings give roles by id, subject and group (P02, P03)", () => {
    const binding = { name: "b", roles: ["r"], users: ["client:ci", "ann"], groups: ["/ops"] };
    const policy = compilePolicy({ ...role("mcp:s:t"), bindings: [binding] });
    const asks = (asker: Asker) => policy.decide(asker, call("s", "t")).allowed;
    expect(asks(ci)).toBe(true);
    expect(asks({ ...nobody, subject: "ann" })).toBe(true);
    expect(asks({ ...nobody, groups: ["/ops"] })).toBe(true);
    expect(asks(nobody)).toBe(false);
    // A subject chosen at an issuer must not pass for a principal id.
    expect(asks({ ...nobody, subject: "client:ci" })).toBe(false);
  });
});

describe("P04 P06 rules", () => {
  const all = client({ allowedTools: ["*"], allowedPrompts: ["*"] });
  const asks = (rules: Rule[], question: Question, asker = ci) =>
    compilePolicy({ ...all, rules }).decide(asker, question);

  test.each<[string, Partial<Rule["condition"]>, Question, boolean]>([
    ["full match", { targetPattern: "delete" }, call("s", "delete_x"), true],
    ["anywhere", { targetPattern: ".*delete.*" }, call("s", "a:delete_x"), false],
    ["case counts", { targetPattern: ".*delete.*" }, call("s", "DELETE"), true],
    [
      "unless told otherwise",
      { targetPattern: ".*delete.*", ignoreCase: true },
      call("s", "DELETE"),
      false,
    ],
    ["over line ends", { targetPattern: ".*delete.*" }, call("s", "x\ndelete"), false],
    ["another server", { server: "t" }, call("s", "x"), true],
    ["by client id", { principal: "ci" }, call("s", "x"), false],
    ["another principal", { principal: "cd" }, call("s", "x"), true],
    ["listing denied, so calling too (P23)", { action: "list_tools" }, call("s", "x"), false],
    ["another action", { action: "get_prompt" }, call("s", "x"), true],
  ])("a deny rule: %s", (_name, condition, question, allowed) => {
    expect(asks([rule(condition)], question).allowed).toBe(allowed);
  });

  test("AZ-03 deny wins whatever the priority, which only names the rule", () => {
    const rules = [
      rule({}, { name: "yes", effect: "allow", priority: 100 }),
      rule({}, { name: "low", priority: 1 }),
      rule({}, { name: "b-high", priority: 5 }),
      rule({}, { name: "a-high", priority: 5 }),
    ];
    expect(asks(rules, call("s", "x"))).toEqual({
      allowed: false,
      reason: "denied by rule a-high",
      ruleId: "rule:a-high",
    });
    expect(asks(rules.toReversed(), call("s", "x")).ruleId).toBe("rule:a-high");
  });

  test("a disabled rule decides nothing", () => {
    expect(asks([rule({}, { enabled: false })], call("s", "x")).allowed).toBe(true);
  });
});

describe("AZ-13 what is refused at compile time", () => {
  test.each<[string, PolicyInput]>([
    ["empty pattern", { ...nothing, rules: [rule({ targetPattern: "" })] }],
    ["pattern over 1 KiB", { ...nothing, rules: [rule({ targetPattern: "a".repeat(1025) })] }],
    ["broken pattern", { ...nothing, rules: [rule({ targetPattern: "*x" })] }],
    [
      "pattern that explodes",
      { ...nothing, rules: [rule({ targetPattern: "((a{99}){99}){99}" })] },
    ],
    ["rules of one name", { ...nothing, rules: [rule({}), rule({})] }],
    ["partial wildcard in a permission", role("mcp:prod*:x")],
    ["permission without mcp", role("prod:x:y")],
    ["permission without target", role("mcp:prod")],
    ["tool without server", client({ allowedTools: ["add"] })],
    ["partial wildcard in a list", client({ allowedTools: ["s__get*"] })],
    ["resource pattern with dots", client({ allowedResources: ["file:///a/../b"] })],
  ])("%s", (_name, input) => {
    expect(() => compilePolicy(input)).toThrow();
  });

  test("a pattern that ruins backtracking matchers costs nothing", () => {
    const rules = [rule({ targetPattern: "(x+x+)+y" })];
    const policy = compilePolicy({ ...client({ allowedTools: ["*"] }), rules });
    expect(policy.decide(ci, call("s", "x".repeat(4000))).allowed).toBe(true);
  });
});

describe("servers that can be seen", () => {
  test.each<[string, PolicyInput, boolean]>([
    ["no grant", nothing, false],
    ["a tool", client({ allowedTools: ["s__t"] }), true],
    ["another server's tool", client({ allowedTools: ["x__t"] }), false],
    ["list_tools alone", { ...role("mcp:s:*", ["list_tools"]) }, true],
    ["all denied", { ...client({ allowedTools: ["*"] }), rules: [rule({ server: "s" })] }, false],
    [
      "some denied",
      { ...client({ allowedTools: ["*"] }), rules: [rule({ server: "s", targetPattern: "x" })] },
      true,
    ],
    ["an allow rule", { ...nothing, rules: [rule({}, { effect: "allow" })] }, true],
  ])("%s", (_name, input, sees) => {
    expect(compilePolicy(input).seesServer({ ...ci, roles: ["r"] }, "s")).toBe(sees);
  });
});

describe("P17 AZ-17 tenants", () => {
  const everything = { resource: "mcp:*:*", actions: ["*"] as const };
  const nothingAtAll = { resource: "mcp:none:*", actions: ["*"] as const };
  const of = (tenant: string | undefined, more: Partial<Asker> = {}): Asker => ({
    ...nobody,
    id: "client:ci",
    clientId: "ci",
    tenant,
    roles: ["r"],
    ...more,
  });
  const asks = (input: Partial<PolicyInput>, asker: Asker, server = "s") =>
    compilePolicy({ ...nothing, ...input }).decide(asker, call(server, "t")).allowed;

  test.each<[string | undefined, boolean]>([
    ["a", true],
    ["A", false],
    ["a:b", false],
    ["a/b", false],
    [undefined, false],
  ])("a role of tenant a gives something to principals of %p: %p", (tenant, want) => {
    expect(
      asks({ roles: [{ name: "r", tenant: "a", permissions: [everything] }] }, of(tenant)),
    ).toBe(want);
  });

  test("a name and a tenant never run into each other", () => {
    const roles = [{ name: "b", tenant: "a:", permissions: [everything] }];
    expect(asks({ roles }, of("a", { roles: [":b"] }))).toBe(false);
    expect(asks({ roles }, of("a:", { roles: ["b"] }))).toBe(true);
  });

  test("a tenant's own role hides the common one of its name, for its principals alone", () => {
    const roles = [
      { name: "r", permissions: [everything] },
      { name: "r", tenant: "a", permissions: [nothingAtAll] },
    ];
    expect(asks({ roles }, of("a"))).toBe(false);
    expect(asks({ roles }, of("b"))).toBe(true);
    expect(asks({ roles }, of(undefined))).toBe(true);
  });

  test("a tenant's own role opens nothing that the common policy gives to the common role", () => {
    const own = [{ name: "admin", tenant: "a", permissions: [everything] }];
    const asker = of("a", { roles: ["admin"] });
    const servers = [
      { name: "s", tools: [{ tool: "t", riskTier: "low", requiredRoles: ["admin"] }] as const },
    ];
    expect(asks({ roles: own, servers }, asker)).toBe(false);
    expect(asks({ roles: own, servers: [{ ...servers[0]!, tenant: "a" }] }, asker)).toBe(true);
    const common = rule({ roles: ["admin"] }, { effect: "allow" });
    const byText = rule({ when: '"admin" in principal.roles' }, { effect: "allow" });
    const hidden = [{ name: "admin", tenant: "a", permissions: [] }];
    for (const one of [common, byText]) {
      expect(asks({ rules: [one] }, asker)).toBe(true);
      expect(asks({ roles: hidden, rules: [one] }, asker)).toBe(false);
      expect(asks({ roles: hidden, rules: [{ ...one, tenant: "a" }] }, asker)).toBe(true);
    }
    // Nor is a common deny escaped by a role of one's own.
    const deny = { rules: [rule({ roles: ["admin"] })], roles: own };
    expect(asks(deny, asker)).toBe(false);
  });

  test("bindings, rules, clients and servers of a tenant concern its principals alone", () => {
    const roles = [{ name: "extra", permissions: [everything] }];
    const bindings = [
      { name: "b", tenant: "a", roles: ["extra"], users: ["client:ci"], groups: [] },
    ];
    const grants = client({ tenant: "a", allowedTools: ["*"] });
    const open = client({ tenant: "b", allowedTools: ["*"] });
    const allow = [rule({}, { tenant: "a", effect: "allow" })];
    const servers = [{ name: "s", tenant: "a", tools: [] }];
    for (const [tenant, isOwn] of [
      ["a", true],
      ["b", false],
      [undefined, false],
    ] as const) {
      expect(asks({ roles, bindings }, of(tenant))).toBe(isOwn);
      expect(asks(grants, of(tenant))).toBe(isOwn);
      expect(asks({ rules: allow }, of(tenant))).toBe(isOwn);
      const all = { rules: [rule({}, { effect: "allow" })], servers };
      expect(asks(all, of(tenant))).toBe(isOwn);
      expect(compilePolicy({ ...nothing, ...all }).seesServer(of(tenant), "s")).toBe(isOwn);
    }
    expect(asks({ ...open, rules: [rule({}, { tenant: "a" })] }, of("b"))).toBe(true);
  });

  test("one name may be in two tenants, but not twice in one", () => {
    const role = { name: "r", permissions: [] };
    expect(() =>
      compilePolicy({ ...nothing, roles: [role, { ...role, tenant: "a" }] }),
    ).not.toThrow();
    for (const tenant of [undefined, "a"]) {
      const twice = [
        { ...role, tenant },
        { ...role, tenant },
      ];
      expect(() => compilePolicy({ ...nothing, roles: twice })).toThrow('role "r" exists twice');
    }
  });
});

describe("P08 P09 workspaces, risk and required roles", () => {
  const all = client({ allowedTools: ["*"], allowedPrompts: ["*"] });
  const servers: PolicyInput["servers"] = [
    {
      name: "s",
      tools: [
        { tool: "wipe", riskTier: "critical", requiredRoles: ["boss", "chief"] },
        { tool: "look", riskTier: "medium", requiredRoles: [] },
      ],
    },
  ];
  const decide = (rules: Rule[], target: string, asker: Partial<Asker> = {}) =>
    compilePolicy({ ...all, rules, servers }).decide({ ...ci, ...asker }, call("s", target));

  test("required roles bind holders of * and allow rules, and name themselves", () => {
    const allow = [rule({}, { effect: "allow" })];
    expect(decide(allow, "wipe")).toEqual({
      allowed: false,
      reason: "denied: the tool needs a role that is not held",
      ruleId: "tool:s__wipe",
    });
    expect(decide([], "wipe", { roles: ["chief"] }).allowed).toBe(true);
    expect(decide([], "look").allowed).toBe(true);
    const prompt = { ...call("s", "wipe"), kind: "prompt", action: "get_prompt" } as const;
    expect(compilePolicy({ ...all, servers }).decide(ci, prompt).allowed).toBe(true);
  });

  test("a rule on risk tiers is about tools of these tiers; nobody's tool is low", () => {
    const high = [rule({ riskTiers: ["high", "critical"] })];
    expect(decide(high, "wipe", { roles: ["boss"] }).ruleId).toBe("rule:no");
    expect(decide(high, "look").allowed).toBe(true);
    expect(decide([rule({ riskTiers: ["low"] })], "other").allowed).toBe(false);
    const low = rule({ riskTiers: ["low"] }, { effect: "allow" });
    expect(compilePolicy({ ...nothing, rules: [low] }).decide(ci, read("note://a")).allowed).toBe(
      false,
    );
  });

  test("a workspace's deny wins over *", () => {
    const deny = [rule({ workspaces: ["shop"] })];
    expect(decide(deny, "look", { workspace: "shop" }).allowed).toBe(false);
    expect(decide(deny, "look", { workspace: "lab" }).allowed).toBe(true);
    expect(decide(deny, "look").allowed).toBe(true);
  });
});

describe("P14 AZ-12 conditions on a call", () => {
  const when = (text: string, rest: Partial<Omit<Rule, "condition">> = {}) =>
    rule({ when: text }, rest);
  const asks = (input: Partial<PolicyInput>, argumentsText: string | undefined) =>
    compilePolicy({ ...nothing, ...input }).decide(ci, {
      ...call("s", "t"),
      call: { argumentsText, peer: "192.0.2.1", nowMs: 0 },
    });

  test.each<[string, boolean]>([
    ['{"path":"/data/x"}', true],
    ['{"path":"/etc"}', false],
    ['{"path":"/data/../etc"}', false],
    ['{"path":["/data/x"]}', false],
    ['{"path":7}', false],
    ['{"path":null}', false],
    ["{}", false],
  ])(
    "on %s an allow rule grants: %p; its opposite as a deny rule agrees",
    (argumentsText, want) => {
      const inside = 'arguments.path.isUnder("/data")';
      expect(asks({ rules: [when(inside, { effect: "allow" })] }, argumentsText).allowed).toBe(
        want,
      );
      const listed = client({ allowedTools: ["*"] });
      expect(asks({ ...listed, rules: [when(`!${inside}`)] }, argumentsText).allowed).toBe(want);
    },
  );

  test("a require rule obliges unless its condition is surely false", () => {
    const ask = when('arguments.env == "prod"', {
      effect: "require",
      obligations: { approval: true },
    });
    const input = { ...client({ allowedTools: ["*"] }), rules: [ask] };
    const approval = (text: string) => asks(input, text).obligations?.approval ?? false;
    expect(approval('{"env":"prod"}')).toBe(true);
    expect(approval('{"env":"test"}')).toBe(false);
    expect(approval('{"env":["prod"]}')).toBe(true);
    expect(approval("{}")).toBe(true);
    expect(compilePolicy(input).decide(ci, call("s", "t")).obligations?.approval).toBe(true);
  });

  test("one target asked about in turn is decided by each call's own arguments", () => {
    const policy = compilePolicy({
      ...nothing,
      rules: [when("arguments.n < 3", { effect: "allow" })],
    });
    const ask = (n: number) =>
      policy.decide(ci, {
        ...call("s", "t"),
        call: { argumentsText: `{"n":${n}}`, peer: "::1", nowMs: 0 },
      }).allowed;
    expect([1, 5, 2, 7].map(ask)).toEqual([true, false, true, false]);
    expect(policy.decide(ci, call("s", "t")).allowed).toBe(true);
  });

  test("AZ-04 whatever goes wrong while deciding is a denial", () => {
    const broken = { ...ci, roles: ["r"] };
    Object.defineProperty(broken, "groups", {
      get() {
        throw new Error("no directory");
      },
    });
    const policy = compilePolicy(client({ allowedTools: ["*"] }));
    expect(policy.decide(ci, call("s", "t")).allowed).toBe(true);
    expect(policy.decide(broken, call("s", "t"))).toEqual({
      allowed: false,
      reason: "denied: the policy could not be evaluated",
      ruleId: "default",
    });
    expect(policy.seesServer(broken, "s")).toBe(false);
  });

  test("arguments that are no object are a denial where a rule needs the call", () => {
    const input = { ...client({ allowedTools: ["*"] }), rules: [when("has(arguments.x)")] };
    expect(asks(input, undefined).allowed).toBe(true);
    for (const text of ["null", "[]", '"x"', ""]) expect(asks(input, text).ruleId).toBe("default");
  });

  test("what no rule may say is refused", () => {
    const refused = (one: Rule) => () => compilePolicy({ ...nothing, rules: [one] });
    expect(refused(when("arguments.x"))).toThrow('rule "no": when: gives dyn');
    expect(refused({ ...when("arguments.x"), enabled: false })).toThrow('rule "no"');
    expect(refused(rule({}, { obligations: { approval: true } }))).toThrow("has no obligations");
    expect(refused(rule({}, { effect: "require" }))).toThrow("needs obligations");
  });
});
