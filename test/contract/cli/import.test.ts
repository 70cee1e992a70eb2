/**
 * `import FILE` against the real admin plane, one file of each shape, and then the question that matters: does the
 * gateway's policy answer as the file's own documented semantics (requirements 19.1 to 19.4) say, for every principal
 * and tool, and does the report name every place where it does not?
 */
import { afterAll, afterEach, beforeEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { createOutput } from "../../../src/cli/output.ts";
import { runCommand } from "../../../src/cli/run.ts";
import type { Asker } from "../../../src/policy/rule.ts";
import { type AdminPlane, startAdminPlane } from "../../support/admin-plane.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";

const fixtures = join(import.meta.dir, "../../support/imports");
const folder = temporaryFolder("import");
const tokenFile = join(folder.path, "admin.token");
let plane: AdminPlane;

beforeEach(async () => {
  plane = await startAdminPlane();
  await Bun.write(tokenFile, plane.token);
});
afterEach(() => plane[Symbol.asyncDispose]());
afterAll(() => folder[Symbol.asyncDispose]());

interface Report {
  readonly shape: string;
  readonly written: readonly { kind: string; name: string; from: string; outcome: string }[];
  readonly notes: readonly { outcome: string; where: string; why: string }[];
}

async function run(file: string, ...flags: readonly string[]) {
  const path = file.includes("/") ? file : join(fixtures, file);
  let out = "";
  let notes = "";
  const output = createOutput({
    write: (text) => {
      out += text;
    },
    writeNote: (text) => {
      notes += text;
    },
    color: false,
  });
  const connection = ["--admin", plane.address, "--token-file", tokenFile];
  const stop = new AbortController().signal;
  const exitCode = await runCommand(["import", path, ...flags, ...connection], { output, stop });
  return { exitCode, out, notes };
}

async function report(file: string, ...flags: readonly string[]): Promise<Report> {
  const { exitCode, out, notes } = await run(file, "--json", ...flags);
  expect([exitCode, notes]).toEqual([0, ""]);
  return JSON.parse(out);
}

async function importText(text: string, ...flags: readonly string[]) {
  const path = join(folder.path, "given.yaml");
  await Bun.write(path, text);
  return run(path, ...flags);
}

function asker(more: Partial<Asker>): Asker {
  const id = `user:https://idp#${more.subject ?? "x"}`;
  return { id, clientId: undefined, subject: "x", roles: [], groups: [], amr: [], ...more };
}

function may(who: Partial<Asker>, server: string, tool: string): boolean {
  const question = { server, kind: "tool", target: tool, action: "invoke_tool" } as const;
  const call = { argumentsText: "{}", peer: "127.0.0.1", nowMs: 0 };
  const { policy } = plane.current.get();
  const listed = policy.decide(asker(who), question).allowed;
  const called = policy.decide(asker(who), { ...question, call }).allowed;
  // P23: nothing here hangs on the call, so lists and calls say the same.
  expect(listed).toBe(called);
  return called;
}

describe("P09 19.1 a registry of tools", () => {
  test("servers by scope, inactive and unlisted tools denied, required roles binding everybody", async () => {
    const { shape, notes } = await report("tools.yaml", "--allow-private-network");
    expect(shape).toContain("registry");
    await importText("roles:\n  everything:\n    allowed_tools: ['*']\n");
    const plain = { roles: ["everything"] };
    const senior = { roles: ["everything", "senior-analyst"] };
    const table: readonly [Partial<Asker>, string, string, boolean][] = [
      [plain, "calculator", "add", true],
      [plain, "calculator", "divide", false],
      [senior, "calculator", "divide", true],
      [senior, "calculator", "factorial", false],
      [senior, "calculator", "not-in-the-file", false],
      [plain, "git", "log", true],
      [plain, "git", "add", false],
      [{}, "git", "log", false],
    ];
    for (const [who, server, tool, want] of table) {
      expect([server, tool, may(who, server, tool)]).toEqual([server, tool, want]);
    }
    const { servers } = plane.current.get();
    expect(
      servers.get("calculator")?.toolSettings.find(({ tool }) => tool === "divide"),
    ).toMatchObject({ riskTier: "high", requiredRoles: ["senior-analyst"] });
    const whys = JSON.stringify(notes);
    expect(whys).toContain('\\"senior_analyst\\" is called \\"senior-analyst\\" here');
    expect(whys).toContain("tools.*.input_schema");
  });

  test("the same name twice refuses the file, and an empty list changes nothing", async () => {
    const tool = "  - { name: add, backend_url: 'https://a.example/mcp', scope: git }\n";
    const twice = await importText(`tools:\n${tool}${tool}`);
    expect(twice.exitCode).toBe(1);
    expect(twice.notes).toContain('"add" is listed twice');
    expect((await importText("tools: []\n")).exitCode).toBe(0);
    expect(plane.current.get().servers.size).toBe(0);
  });
});

/** What the file says, as plainly as it can be said (requirements 19.2). */
function toolPolicySays(roles: readonly string[], workspace: string | undefined, tool: string) {
  const lists: Record<string, readonly string[]> = {
    viewer: ["add", "log"],
    editor: ["log", "commit"],
    admin: ["*"],
  };
  const allowed =
    workspace === "finance" ? ["add", "divide"] : workspace === "closed" ? [] : undefined;
  const denied = workspace === "finance" ? ["divide"] : workspace === "locked" ? ["commit"] : [];
  const list = allowed ?? roles.flatMap((role) => lists[role] ?? []);
  if (denied.includes(tool)) return false;
  if (tool === "commit" && !roles.includes("editor")) return false;
  return list.includes("*") || list.includes(tool);
}

describe("P07 P08 P09 19.2 tool lists by role and workspace", () => {
  const everyRoles = [
    [],
    ["viewer"],
    ["editor"],
    ["admin"],
    ["viewer", "editor"],
    ["admin", "editor"],
    ["unknown"],
  ];
  const workspaces = [undefined, "finance", "locked", "closed", "elsewhere"];
  const tools = ["add", "log", "commit", "divide", "other"];

  test("every role, workspace and tool is decided as the file says", async () => {
    const { notes } = await report("tool-policy.yaml");
    for (const roles of everyRoles) {
      for (const workspace of workspaces) {
        for (const tool of tools) {
          const want = toolPolicySays(roles, workspace, tool);
          const got = may({ roles, workspace }, "anything", tool);
          expect([roles, workspace, tool, got]).toEqual([roles, workspace, tool, want]);
        }
      }
    }
    const leftOut = notes.filter(({ outcome }) => outcome === "left out").map(({ where }) => where);
    expect(leftOut).toEqual(["roles.odd.allowed_tools", "tools.commit.risk_tier"]);
    // P07: a star among names is no wildcard.
    expect(may({ roles: ["odd"] }, "anything", "log")).toBe(false);
  });

  test("--server says where the tools are", async () => {
    await report("tool-policy.yaml", "--server", "git");
    expect(may({ roles: ["admin"] }, "git", "log")).toBe(true);
    expect(may({ roles: ["admin"] }, "calculator", "log")).toBe(false);
  });

  test("a default of allow is not carried, and said", async () => {
    const { exitCode, out } = await importText("default_action: allow\nroles: {}\n", "--json");
    expect(exitCode).toBe(0);
    expect(JSON.parse(out).notes[0]).toMatchObject({
      outcome: "left out",
      where: "default_action",
    });
  });
});

/** First match by falling priority, then the user's grants, then its groups', then the default (requirements 19.3). */
function rulePolicySays(user: string, groups: readonly string[], server: string, tool: string) {
  const rules = [
    { hit: user === "alice" && tool === "drop_cache", says: true },
    { hit: /^(?:.*delete.*|.*drop.*|.*truncate.*)$/.test(tool), says: false },
    { hit: user === "carol" && server === "prod-server" && tool === "read", says: true },
    { hit: server === "prod-server" && /^.*secret.*$/.test(tool), says: false },
  ];
  const first = rules.find(({ hit }) => hit);
  if (first !== undefined) return first.says;
  if (user === "bob" || groups.includes("/admins")) return true;
  return user === "alice" && (server === "prod-server" || tool === "sqlite_reader");
}

describe("P01 P02 P03 P04 P06 19.3 roles, bindings and rules", () => {
  const users = ["alice", "bob", "carol", "dave"];
  const servers = ["prod-server", "prod-server-2", "other"];
  const tools = ["read", "sqlite_reader", "drop_cache", "a:delete_x", "get_secret", "x"];

  test("every principal and tool is decided as the file says, but where the report says otherwise", async () => {
    const { notes } = await report("rule-policy.yaml");
    const differs: string[] = [];
    for (const user of users) {
      for (const groups of [[], ["/admins"], ["/admins2"]]) {
        for (const server of servers) {
          for (const tool of tools) {
            const want = rulePolicySays(user, groups, server, tool);
            const got = may({ subject: user, groups }, server, tool);
            if (got !== want) differs.push(`${user} ${tool}: ${want} there, ${got} here`);
          }
        }
      }
    }
    // A grant of higher priority than a denial: denials win here, and the report names both.
    expect([...new Set(differs)]).toEqual(["alice drop_cache: true there, false here"]);
    const order = notes.filter(({ why }) => why.includes("decided before the denial"));
    expect(order.map(({ where }) => where)).toContain("rules.alice-drops");
    expect(order.some(({ why }) => why.includes('"block-dangerous"'))).toBe(true);
    const leftOut = notes.filter(({ outcome }) => outcome === "left out").map(({ where }) => where);
    expect(leftOut).toEqual([
      "roles.partial.permissions[0].resource",
      "user_roles.bob",
      "rules.carol-may-read.metadata.owner",
    ]);
  });

  test("L13: a rule's rate limit comes along", async () => {
    await report("rule-policy.yaml");
    const { rules } = plane.current.get().policyInput;
    expect(rules.find(({ name }) => name === "carol-may-read")?.obligations?.rateLimit).toEqual({
      requests: 10,
      windowSeconds: 60,
    });
  });

  test.each([
    [
      "P04: an unknown condition, which would make the rule match more",
      "condition: { tool_pattern: x }, action: deny",
      "rules.r.condition.tool_pattern: is no condition",
    ],
    ["an unknown action", "action: audit", "neither allow nor deny"],
    [
      "a limit nobody understands",
      "action: allow, metadata: { rate_limit: fast }",
      '"fast" is not',
    ],
  ])("%s refuses the whole file", async (_name, rule, words) => {
    const roles = "roles:\n  everything: { permissions: [{ resource: '*', actions: ['*'] }] }\n";
    const refused = await importText(`${roles}rules:\n  - { name: r, ${rule} }\n`);
    expect(refused.exitCode).toBe(1);
    expect(refused.notes).toContain(words);
    expect(plane.current.get().policyInput.roles).toEqual([]);
  });

  test("a denial that the gateway refuses stops the import before anything is granted", async () => {
    const refused = await importText(
      "roles:\n  everything: { permissions: [{ resource: '*', actions: ['*'] }] }\n" +
        "rules:\n  - { name: r, action: deny, condition: { tool_name_pattern: '(?=x).*' } }\n",
    );
    expect(refused.exitCode).toBe(1);
    expect(refused.notes).toContain("deny rule r (rules.r)");
    expect(plane.current.get().policyInput.roles).toEqual([]);
  });
});

describe("P22 19.4 server lists", () => {
  const server = (name: string) =>
    plane.current.get().policyInput.servers?.find((one) => one.name === name);

  test("commands, with what is elsewhere named and no secret shown", async () => {
    const told = await report("mcp-servers.yaml");
    const { servers } = plane.current.get();
    expect(servers.get("files")).toMatchObject({
      transport: {
        kind: "stdio",
        command: "npx",
        args: ["-y", "files-server", "/data"],
        environment: { LEVEL: "3", API_KEY: `\${API_KEY}` },
      },
      callTimeoutMs: 30_000,
      maxInFlight: 10,
    });
    // Disabled: registered, and without a scope.
    expect(servers.has("old-notes")).toBe(false);
    expect(server("old-notes")).toBeDefined();
    const text = JSON.stringify(told);
    expect(text).not.toContain("a-secret-nobody-may-print");
    for (const where of ["server", "security", "logging", "mcp_servers.files.env.API_KEY"]) {
      expect(told.notes.map((note) => note.where)).toContain(where);
    }
  });

  test("URLs of every transport", async () => {
    await report("servers.yaml");
    const { servers } = plane.current.get();
    expect(servers.get("docs")).toMatchObject({
      transport: { kind: "streamable-http", url: "https://docs.example/mcp" },
      callTimeoutMs: 2_500,
      description: "The handbook",
    });
    expect(servers.get("live")?.transport.kind).toBe("websocket");
    expect(server("feed")).toBeDefined();
  });

  test("a desktop client's list; values are sent and never shown", async () => {
    const { exitCode, out, notes } = await run("desktop.json");
    expect(exitCode).toBe(0);
    expect(out).toContain("created");
    expect(out + notes).not.toContain("t0p-s3cret");
    expect(plane.current.get().servers.get("remote")?.transport).toMatchObject({
      headers: { Authorization: "Bearer t0p-s3cret" },
    });
  });

  test.each([
    ["no transport", "servers:\n  a: { timeout: 1 }\n", "needs a command or a url"],
    [
      "an unknown one",
      "servers:\n  a: { url: 'https://a.example', type: carrier-pigeon }\n",
      "is none of",
    ],
    [
      "two names that become one",
      "servers:\n  a_b: { command: x }\n  a-b: { command: x }\n",
      'would both be "a-b"',
    ],
    ["no shape", "colours: {}\n", "of no known shape"],
    ["several shapes", "servers: {}\nuser_roles: {}\n", "several shapes at once"],
    ["no mapping", "- 1\n", "must be a mapping"],
    ["no YAML", "a: [\n", "given.yaml:"],
  ])("refused: %s", async (_name, text, words) => {
    const refused = await importText(text);
    expect(refused.exitCode).toBe(1);
    expect(refused.notes).toContain(words);
    expect(plane.current.get().stateRevision).toBe(0);
  });
});

describe("sending", () => {
  test("--dry-run has everything checked and stores nothing", async () => {
    const { written } = await report("rule-policy.yaml", "--dry-run");
    expect(new Set(written.map(({ outcome }) => outcome))).toEqual(new Set(["would be created"]));
    expect(plane.current.get().stateRevision).toBe(0);
    const bad = await importText("servers:\n  a: { url: 'ftp://a.example' }\n", "--dry-run");
    expect(bad.exitCode).toBe(1);
    expect(bad.notes).toContain("server a (servers.a): INVALID_ARGUMENT");
  });

  test("denials are written before grants", async () => {
    const { written } = await report("rule-policy.yaml");
    const kinds = written.map(({ kind }) => kind);
    expect(kinds).toEqual([
      "deny",
      "deny",
      "role",
      "role",
      "role",
      "allow",
      "allow",
      "binding",
      "binding",
    ]);
  });

  test("what is there stays as it is, unless it may be replaced", async () => {
    await report("servers.yaml");
    const changed = "servers:\n  docs: { url: 'https://new.example/mcp' }\n";
    const again = await importText(changed, "--json");
    expect(JSON.parse(again.out).written[0].outcome).toBe("exists");
    const urlOf = () => plane.current.get().servers.get("docs")?.transport;
    expect(urlOf()).toMatchObject({ url: "https://docs.example/mcp" });
    await importText(changed, "--replace");
    expect(urlOf()).toMatchObject({ url: "https://new.example/mcp" });
  });
});
