/**
 * Every admin service over a real gRPC connection, with a foreign store and real everything else.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type ServiceError, status } from "@grpc/grpc-js";
import {
  type AdminClient,
  type AdminPlane,
  digestOfToken,
  startAdminPlane,
} from "../support/admin-plane.ts";

let plane: AdminPlane;
let admin: AdminClient;

beforeAll(async () => {
  plane = await startAdminPlane();
  admin = plane.client();
});
afterAll(() => plane[Symbol.asyncDispose]());

async function failure(work: Promise<unknown>): Promise<ServiceError> {
  try {
    await work;
  } catch (error) {
    return error as ServiceError;
  }
  throw new Error("should have been refused");
}

describe("ClientService", () => {
  test("A01 registers a client, shows its token once and stores only a digest", async () => {
    const answer = await admin.call("ClientService", "registerClient", {
      client: { id: "ci", enabled: true, allowed_tools: ["calc__*"], limits: { burst: 3 } },
    });
    expect(answer.token).toMatch(/^mcpgw_[A-Za-z0-9_-]{43}$/);
    expect(answer.client?.limits?.burst).toBe(3);
    expect(answer.client?.limits?.requests_per_minute).toBeUndefined();
    expect(plane.current.get().tokens.get(digestOfToken(answer.token))?.clientId).toBe("ci");
    const { resources } = await plane.store.load();
    expect(JSON.stringify(resources)).not.toContain(answer.token);
    const { tokens } = await admin.call("ClientService", "listTokens", { client_id: "ci" });
    expect(tokens.map((one) => one.id)).toEqual([answer.token_id]);
    const again = await failure(
      admin.call("ClientService", "registerClient", { client: { id: "ci" } }),
    );
    expect(again.code).toBe(status.ALREADY_EXISTS);
    expect(again.metadata.get("error-name")).toEqual(["already-exists"]);
  });

  test("A02 rotates with an overlap, revokes at once, deletes a client with its tokens", async () => {
    const first = await admin.call("ClientService", "registerClient", { client: { id: "rot" } });
    const rotated = await admin.call("ClientService", "rotateToken", {
      client_id: "rot",
      overlap_seconds: 60,
    });
    const old = plane.current.get().tokens.get(digestOfToken(first.token));
    expect(old?.expiresAtMs).toBeGreaterThan(0);
    await admin.call("ClientService", "revokeToken", { token_id: first.token_id });
    expect(plane.current.get().tokens.has(digestOfToken(first.token))).toBe(false);
    expect(plane.current.get().tokens.has(digestOfToken(rotated.token))).toBe(true);
    await admin.call("ClientService", "deleteClient", { id: "rot" });
    expect(plane.current.get().tokens.has(digestOfToken(rotated.token))).toBe(false);
    const gone = await failure(admin.call("ClientService", "getClient", { id: "rot" }));
    expect(gone.code).toBe(status.NOT_FOUND);
  });

  test("lists in pages, and refuses a page token of another question", async () => {
    for (const id of ["p1", "p2", "p3"]) {
      await admin.call("ClientService", "registerClient", { client: { id } });
    }
    const seen: string[] = [];
    let page_token = "";
    do {
      const page = await admin.call("ClientService", "listClients", { page_size: 2, page_token });
      seen.push(...page.clients.map((one) => one.id));
      page_token = page.next_page_token;
      if (page_token !== "") {
        const misused = admin.call("ClientService", "listTokens", { page_token });
        expect((await failure(misused)).code).toBe(status.INVALID_ARGUMENT);
      }
    } while (page_token !== "");
    expect(seen).toEqual(["ci", "p1", "p2", "p3"]);
  });

  test("shows and ends sessions", async () => {
    const { sessions } = await admin.call("ClientService", "listSessions", { client_id: "ci" });
    expect(sessions.map((one) => one.id)).toEqual(["s1"]);
    await admin.call("ClientService", "endSession", { id: "s1" });
    const unknown = await failure(admin.call("ClientService", "endSession", { id: "s2" }));
    expect(unknown.code).toBe(status.NOT_FOUND);
  });

  test("replaces a client on update", async () => {
    const client = { id: "ci", enabled: false, display_name: "CI" };
    await admin.call("ClientService", "updateClient", { client });
    expect(plane.current.get().clients.get("ci")?.enabled).toBe(false);
    expect(plane.current.get().clients.get("ci")?.allowedTools).toEqual([]);
  });
});

describe("ServerService", () => {
  const server = (more: object = {}) => ({
    name: "calc",
    enabled: true,
    remote: {
      kind: "REMOTE_KIND_STREAMABLE_HTTP" as const,
      url: "https://calc.example/mcp",
      headers: { "x-api-key": "hunter2-secret" },
    },
    ...more,
  });

  test("AD-14 header values go in and never come out", async () => {
    await admin.call("ServerService", "registerServer", { server: server() });
    const got = await admin.call("ServerService", "getServer", { name: "calc" });
    expect(got.server?.remote?.headers).toEqual({ "x-api-key": "[redacted]" });
    expect(got.server?.call_timeout_ms).toBe(60_000);
    expect(got.status?.state).toBe("SERVER_STATE_READY");
    const listed = await admin.call("ServerService", "listServers", {});
    expect(JSON.stringify(listed)).not.toContain("hunter2");
    expect(JSON.stringify(plane.records)).not.toContain("hunter2");
  });

  test("AD-14 an update with [redacted] keeps the value, but not for another address", async () => {
    const headers = { "x-api-key": "[redacted]" };
    const kept = server({ description: "new", remote: { ...server().remote, headers } });
    await admin.call("ServerService", "updateServer", { server: kept });
    expect(plane.current.get().servers.get("calc")?.transport).toMatchObject({
      headers: { "x-api-key": "hunter2-secret" },
    });
    const url = "https://evil.example/mcp";
    const moved = server({ remote: { ...server().remote, url, headers } });
    const refused = await failure(admin.call("ServerService", "updateServer", { server: moved }));
    expect(refused.code).toBe(status.INVALID_ARGUMENT);
    expect(refused.details).not.toContain("hunter2");
  });

  test("R13 AD-14 secrets of auth go in and never come out, and stay with who they were given for", async () => {
    const oauth = {
      grant: "OAUTH_GRANT_CLIENT_CREDENTIALS" as const,
      client_id: "gateway",
      client_secret: "hunter3-secret",
      issuer: "https://as.example",
    };
    const auth = { gateway_secret: "hunter4-0123456789-abcdefghijkl", tells_user: true, oauth };
    const named = server({ name: "guarded", auth });
    await admin.call("ServerService", "registerServer", { server: named });
    const got = await admin.call("ServerService", "getServer", { name: "guarded" });
    const shown = { ...oauth, client_secret: "[redacted]" };
    expect(got.server?.auth).toMatchObject({
      gateway_secret: "[redacted]",
      tells_user: true,
      oauth: shown,
    });
    expect(JSON.stringify(plane.records)).not.toMatch(/hunter[34]/);
    const keep = { gateway_secret: "[redacted]", tells_user: false, oauth: shown };
    await admin.call("ServerService", "updateServer", {
      server: server({ name: "guarded", auth: keep }),
    });
    expect(plane.current.get().servers.get("guarded")?.auth).toMatchObject({
      gatewaySecret: auth.gateway_secret,
      tellsUser: false,
      oauth: { clientSecret: "hunter3-secret" },
    });
    const elsewhere = [
      server({
        name: "guarded",
        auth: { ...keep, oauth: { ...shown, issuer: "https://b.example" } },
      }),
      server({ name: "guarded", auth: { ...keep, oauth: { ...shown, client_id: "other" } } }),
      server({
        name: "guarded",
        auth: keep,
        remote: { ...server().remote, url: "https://evil.example/mcp" },
      }),
    ];
    for (const moved of elsewhere) {
      const refused = await failure(admin.call("ServerService", "updateServer", { server: moved }));
      expect(refused.code).toBe(status.INVALID_ARGUMENT);
      expect(refused.details).toContain("there is none");
    }
    const inside = { ...oauth, issuer: undefined, token_url: "https://169.254.169.254/token" };
    const bad = server({ name: "inside", auth: { oauth: inside } });
    const refused = await failure(admin.call("ServerService", "registerServer", { server: bad }));
    expect(refused.details).toContain("never dialled");
    await admin.call("ServerService", "deleteServer", { name: "guarded" });
  });

  test("a tool that is named twice is refused, and told", async () => {
    const refused = async (method: "registerServer" | "updateServer", tools: readonly string[]) => {
      const tool_settings = tools.map((tool) => ({ tool, read_only: true }));
      const request = { server: { ...server({ name: "twice" }), tool_settings } };
      return failure(admin.call("ServerService", method, request));
    };
    const why =
      'server.tool_settings: the tool "add" is there twice; one entry for each tool is allowed';
    const registered = await refused("registerServer", ["add", "sub", "add"]);
    expect([registered.code, registered.details]).toEqual([status.INVALID_ARGUMENT, why]);
    expect(plane.current.get().servers.has("twice")).toBe(false);
    const tool_settings = [{ tool: "add" }, { tool: "sub" }];
    const fine = { ...server({ name: "twice" }), tool_settings };
    await admin.call("ServerService", "registerServer", { server: fine });
    const updated = await refused("updateServer", ["add", "add"]);
    expect([updated.code, updated.details]).toEqual([status.INVALID_ARGUMENT, why]);
    expect(plane.current.get().servers.get("twice")?.toolSettings).toMatchObject([
      { tool: "add", readOnly: false },
      { tool: "sub", readOnly: false },
    ]);
    await admin.call("ServerService", "deleteServer", { name: "twice" });
  });

  test("AD-14 a refused secret is not quoted", async () => {
    const bad = server({
      name: "bad",
      remote: { ...server().remote, headers: { a: "line\nhunter2" } },
    });
    const refused = await failure(admin.call("ServerService", "registerServer", { server: bad }));
    expect(refused.code).toBe(status.INVALID_ARGUMENT);
    expect(refused.details).toContain("headers value");
    expect(refused.details).not.toContain("hunter2");
  });

  test("lists tools, refreshes, checks; unknown servers are not asked", async () => {
    const listed = await admin.call("ServerService", "listTools", { server: "calc" });
    expect(listed.tools).toEqual([{ name: "add", definition_json: '{"name":"add"}' }]);
    await admin.call("ServerService", "refreshServer", { name: "calc" });
    const checked = await admin.call("ServerService", "checkServer", { name: "calc" });
    expect(checked.status?.name).toBe("calc");
    const unknown = await failure(admin.call("ServerService", "checkServer", { name: "nope" }));
    expect(unknown.code).toBe(status.NOT_FOUND);
  });

  test("R07 a virtual server becomes a scope; its servers must exist and stay", async () => {
    const virtual_server = {
      name: "bundle",
      enabled: true,
      tools: [{ server: "calc", name: "add", exposed_name: "plus" }],
    };
    await admin.call("ServerService", "createVirtualServer", { virtual_server });
    expect(plane.current.get().scopes.get("bundle")?.kind).toBe("virtual");
    const inUse = await failure(admin.call("ServerService", "deleteServer", { name: "calc" }));
    expect(inUse.code).toBe(status.INVALID_ARGUMENT);
    expect(inUse.details).toContain('there is no server "calc"');
    expect(plane.current.get().servers.has("calc")).toBe(true);
    const updated = { ...virtual_server, enabled: false };
    await admin.call("ServerService", "updateVirtualServer", { virtual_server: updated });
    expect(plane.current.get().scopes.has("bundle")).toBe(false);
    const got = await admin.call("ServerService", "getVirtualServer", { name: "bundle" });
    expect(got.virtual_server?.tools[0]?.exposed_name).toBe("plus");
    const { virtual_servers } = await admin.call("ServerService", "listVirtualServers", {});
    expect(virtual_servers).toHaveLength(1);
    await admin.call("ServerService", "deleteVirtualServer", { name: "bundle" });
    await admin.call("ServerService", "deleteServer", { name: "calc" });
    expect(plane.current.get().scopes.size).toBe(1);
  });
});

describe("PolicyService", () => {
  test("P01-P04 roles, bindings and rules, each created, read, replaced and deleted", async () => {
    const role = {
      name: "analyst",
      permissions: [{ resource: "mcp:calc:*", actions: ["POLICY_ACTION_ANY" as const] }],
    };
    await admin.call("PolicyService", "createRole", { role });
    const binding = { name: "all-analysts", roles: ["analyst"], groups: ["/analysts"] };
    await admin.call("PolicyService", "createBinding", { binding });
    const rule = {
      name: "no-deletes",
      effect: "RULE_EFFECT_DENY" as const,
      priority: 100,
      condition: { target_pattern: ".*delete.*", ignore_case: true },
      enabled: true,
    };
    await admin.call("PolicyService", "createRule", { rule });
    const got = await admin.call("PolicyService", "getRule", { name: "no-deletes" });
    expect(got.rule).toMatchObject(rule);
    await admin.call("PolicyService", "updateRule", { rule: { ...rule, priority: -1 } });
    await admin.call("PolicyService", "updateRole", { role });
    await admin.call("PolicyService", "updateBinding", { binding });
    expect((await admin.call("PolicyService", "getRole", { name: "analyst" })).role).toMatchObject(
      role,
    );
    expect(
      (await admin.call("PolicyService", "getBinding", { name: "all-analysts" })).binding,
    ).toMatchObject(binding);
    expect((await admin.call("PolicyService", "listRoles", {})).roles).toHaveLength(1);
    expect((await admin.call("PolicyService", "listBindings", {})).bindings).toHaveLength(1);
    expect((await admin.call("PolicyService", "listRules", {})).rules[0]?.priority).toBe(-1);
    const used = await failure(admin.call("PolicyService", "deleteRole", { name: "analyst" }));
    expect(used.code).toBe(status.INVALID_ARGUMENT);
    await admin.call("PolicyService", "deleteRule", { name: "no-deletes" });
    await admin.call("PolicyService", "deleteBinding", { name: "all-analysts" });
    await admin.call("PolicyService", "deleteRole", { name: "analyst" });
  });

  test("P15 explains with the policy being served", async () => {
    const explain = { server: "calc", target: "add", action: "POLICY_ACTION_INVOKE_TOOL" as const };
    const no = await admin.call("PolicyService", "explain", { ...explain, principal: "client:ci" });
    expect(no).toMatchObject({ allowed: false, decided_by: "default" });
    const permissions = [
      { resource: "mcp:calc:*", actions: ["POLICY_ACTION_INVOKE_TOOL" as const] },
    ];
    await admin.call("PolicyService", "createRole", { role: { name: "reader", permissions } });
    const asked = { ...explain, principal: "u", roles: ["reader"] };
    const yes = await admin.call("PolicyService", "explain", asked);
    expect(yes).toMatchObject({ allowed: true, roles: ["reader"], granted_by: ["role:reader"] });
    const rule = {
      name: "frozen",
      effect: "RULE_EFFECT_DENY" as const,
      condition: { server: "calc" },
    };
    await admin.call("PolicyService", "createRule", { rule });
    const denied = await admin.call("PolicyService", "explain", asked);
    expect(denied).toMatchObject({
      allowed: false,
      decided_by: "rule:frozen",
      denied_by: ["rule:frozen"],
      granted_by: ["role:reader"],
    });
    await admin.call("PolicyService", "deleteRule", { name: "frozen" });
    const ghost = admin.call("PolicyService", "explain", { ...explain, principal: "client:no" });
    expect((await failure(ghost)).code).toBe(status.NOT_FOUND);
  });
});

describe("RetentionService, CacheService, SystemService", () => {
  test("N01, N04 retention rules, a dry run and a run", async () => {
    const rule = {
      id: "old",
      action: "RETENTION_ACTION_DELETE" as const,
      retention_days: 30,
      enabled: true,
    };
    await admin.call("RetentionService", "createRule", { rule });
    await admin.call("RetentionService", "updateRule", { rule: { ...rule, retention_days: 31 } });
    expect(plane.current.get().retentionRules[0]?.retentionDays).toBe(31);
    const dry = await admin.call("RetentionService", "processRetention", { validate_only: true });
    expect(dry).toMatchObject({ deleted: 0, outcomes: [{ rule_id: "r1", matched: 3 }] });
    const run = await admin.call("RetentionService", "processRetention", {});
    expect(run.deleted).toBe(3);
    const statistics = await admin.call("RetentionService", "getStatistics", {});
    expect(statistics.rules_enabled).toBe(1);
    expect(statistics.last_run_at_ms).toBeUndefined();
    expect((await admin.call("RetentionService", "getRule", { id: "old" })).rule?.id).toBe("old");
    expect((await admin.call("RetentionService", "listRules", {})).rules).toHaveLength(1);
    await admin.call("RetentionService", "deleteRule", { id: "old" });
  });

  test("C07 a purge must say what it means", async () => {
    expect((await admin.call("CacheService", "purge", { server: "calc" })).purged).toBe(7);
    expect((await failure(admin.call("CacheService", "purge", {}))).code).toBe(
      status.INVALID_ARGUMENT,
    );
    const both = admin.call("CacheService", "purge", { all: true, server: "calc" });
    expect((await failure(both)).code).toBe(status.INVALID_ARGUMENT);
    expect((await admin.call("CacheService", "getStatistics", {})).hits).toBe(5);
  });

  test("tells config and status, and drains", async () => {
    const { config_json } = await admin.call("SystemService", "getConfig", {});
    expect(JSON.parse(config_json)).toEqual({ agents: { port: 8000 } });
    const told = await admin.call("SystemService", "getStatus", {});
    expect(told).toMatchObject({ store: "sqlite", audit: { synced_seq: 2 } });
    expect(told.state_revision).toBe(plane.current.get().stateRevision);
    await admin.call("SystemService", "drain", { validate_only: true });
    expect(plane.events).not.toContain("drain");
    await admin.call("SystemService", "drain", {});
    expect(plane.events).toContain("drain");
  });
});

describe("writes", () => {
  test("AD-08 a stale expected_state_revision is ABORTED and changes nothing", async () => {
    const { state_revision } = await admin.call("ClientService", "listClients", {});
    const client = { id: "ci", display_name: "mine" };
    await admin.call("ClientService", "updateClient", {
      client,
      expected_state_revision: state_revision,
    });
    const stale = await failure(
      admin.call("ClientService", "updateClient", {
        client: { id: "ci", display_name: "lost" },
        expected_state_revision: state_revision,
      }),
    );
    expect(stale.code).toBe(status.ABORTED);
    expect(plane.current.get().clients.get("ci")?.displayName).toBe("mine");
  });

  test("AD-08 another process's write in between is retried without, ABORTED with a revision", async () => {
    const other = () =>
      plane.store
        .load()
        .then(({ stateRevision }) => plane.store.write([], stateRevision, 0))
        .then(() => {});
    plane.store.beforeWrite = other;
    await admin.call("ClientService", "updateClient", { client: { id: "ci", display_name: "a" } });
    expect(plane.current.get().clients.get("ci")?.displayName).toBe("a");
    const { state_revision } = await admin.call("ClientService", "listClients", {});
    plane.store.beforeWrite = other;
    const refused = await failure(
      admin.call("ClientService", "updateClient", {
        client: { id: "ci", display_name: "b" },
        expected_state_revision: state_revision,
      }),
    );
    expect(refused.code).toBe(status.ABORTED);
    expect(plane.current.get().clients.get("ci")?.displayName).toBe("a");
  });

  test("validate_only checks everything and changes nothing", async () => {
    const before = plane.current.get();
    const stored = (await plane.store.load()).stateRevision;
    const made = await admin.call("ClientService", "registerClient", {
      client: { id: "dry" },
      validate_only: true,
    });
    expect(made).toMatchObject({ token: "", client: { id: "dry" } });
    expect(plane.current.get()).toBe(before);
    expect((await plane.store.load()).stateRevision).toBe(stored);
    const invalid = admin.call("ClientService", "registerClient", {
      client: { id: "Not-A-Name" },
      validate_only: true,
    });
    expect((await failure(invalid)).code).toBe(status.INVALID_ARGUMENT);
  });

  test("many writers at once lose nothing", async () => {
    const ids = Array.from({ length: 20 }, (_, index) => `many-${index}`);
    await Promise.all(
      ids.map((id) => admin.call("ClientService", "registerClient", { client: { id } })),
    );
    for (const id of ids) expect(plane.current.get().clients.has(id)).toBe(true);
  });
});
