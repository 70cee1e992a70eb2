/** What makes a snapshot, and every way of not making one. */
import { describe, expect, test } from "bun:test";
import { GatewayError } from "../../../src/errors/fault.ts";
import type { PolicyInput } from "../../../src/policy/rule.ts";
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
