/**
 * Skills (SEP-2640) between the official SDK's client and server: the agents' listener, the whole pipeline and real
 * connections between them. The client checks every file against its digest, and every entry against its file.
 */
import { afterEach, describe, expect, test } from "bun:test";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { SkillsClient } from "@modelcontextprotocol/client/ext/skills";
import { createMcpHandler, McpServer } from "@modelcontextprotocol/server";
import { memorySkillFiles, SkillCatalog } from "@modelcontextprotocol/server/ext/skills";
import { systemClock } from "../../src/lib/clock.ts";
import { createServers } from "../../src/servers/pool.ts";
import type { ServerSpec } from "../../src/servers/spec.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";
import { clientOf, clientToken, ruleOf, specOf } from "../support/data-plane.ts";
import { modernCall } from "../support/modern-agent.ts";
import { type PlaneGateway, startPlaneGateway } from "../support/plane-gateway.ts";

const extension = "io.modelcontextprotocol/skills";
const ends: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

const manifest = (name: string, more = "") =>
  `---\nname: ${name}\ndescription: How to ${name}\n${more}---\nDo it, ümlaut and "password": "x" included.\n`;

/** `hidden` is denied by a rule, `leaky` has a file and `keyed` a frontmatter that would have to be masked. */
const files = {
  "refunds/SKILL.md": manifest("refunds"),
  "refunds/references/GUIDE.md": "  a guide,\r\n\twith odd bytes \u2028 \n",
  "refunds/references/logo.png": new Uint8Array([0x89, 0x50, 0, 255, 13, 10]),
  "refunds/references/rules.json": '{"user": "x",  "big": 12345678901234567890.0}',
  "hidden/SKILL.md": manifest("hidden"),
  "leaky/SKILL.md": manifest("leaky"),
  "leaky/config.json": '{"password": "x"}',
  "keyed/SKILL.md": manifest("keyed", "metadata:\n  api_key: x\n"),
};

interface Started extends PlaneGateway {
  /** What reached the skilled server, parsed. */
  readonly seen: { readonly method: string; readonly params?: { readonly _meta?: object } }[];
}

async function startGateway(era: ServerSpec["era"] = "auto"): Promise<Started> {
  const catalog = await SkillCatalog.load(memorySkillFiles(files), {
    pageSize: 3,
    cacheHint: { ttlMs: 60_000, cacheScope: "public" },
  });
  const skilled = () => {
    const server = new McpServer({ name: "skilled", version: "1" });
    catalog.attach(server);
    return server;
  };
  const plain = () => {
    const server = new McpServer({ name: "plain", version: "1" });
    server.registerResource("note", "note://a", {}, () => ({
      contents: [{ uri: "note://a", text: '{"password": "x"}' }],
    }));
    return server;
  };
  const seen: Started["seen"] = [];
  const urls = { skilled: serve(skilled, seen), plain: serve(plain, []) };
  const specs = Object.entries(urls).map(([name, url]): [string, ServerSpec] => {
    const transport = { kind: "streamable-http", url, headers: {} } as const;
    return [name, { ...specOf({ name }), transport, era, allowPrivateNetwork: true }];
  });
  const servers = createServers({
    specs: new Map(specs),
    inheritedEnvironment: {},
    gatewayVersion: "0.0.0",
    clock: systemClock,
    log: silentLog,
    metrics: createMetrics(),
  });
  ends.push(() => servers.close());
  const everything = { allowedTools: ["*"], allowedPrompts: ["*"], allowedResources: ["*"] };
  const condition = { ignoreCase: false, targetPattern: "skill://hidden.*" };
  const state = [...clientOf("ci", everything), ruleOf("no-hidden", { condition })];
  const names = Object.keys(urls).map((name) => ({ name }));
  const gateway = await startPlaneGateway(names, state, {}, servers);
  ends.push(() => gateway.listener.stop());
  return { ...gateway, seen };
}

function serve(create: () => McpServer, seen: unknown[]): string {
  const handler = createMcpHandler(create);
  const upstream = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      if (request.method === "POST") seen.push(await request.clone().json());
      return handler.fetch(request);
    },
  });
  ends.push(() => upstream.stop(true));
  return `http://127.0.0.1:${upstream.port}/mcp`;
}

async function connect({ base }: Started, scope: string, revision = "2026-07-28") {
  const mode = revision === "2026-07-28" ? { pin: revision } : ("legacy" as const);
  const client = new Client({ name: "agent", version: "1" }, { versionNegotiation: { mode } });
  const headers = { Authorization: `Bearer ${clientToken("ci")}` };
  const address = new URL(`${base}/${scope}/mcp`);
  await client.connect(new StreamableHTTPClientTransport(address, { requestInit: { headers } }));
  ends.push(() => client.close());
  return { client, skills: new SkillsClient(client) };
}

/** A bare agent's call; `capabilities` is what it declares. The extension mirrors nothing in `Mcp-Name`. */
function ask(
  { base }: Started,
  method: string,
  params: Readonly<Record<string, unknown>> = {},
  { scope = "skilled", capabilities = {} }: { scope?: string; capabilities?: object } = {},
) {
  const _meta = { "io.modelcontextprotocol/clientCapabilities": capabilities };
  const call = { base, scope, token: clientToken("ci"), method, params: { ...params, _meta } };
  return modernCall({ ...call, headers: { "Mcp-Name": "" } });
}

const at = (path: string) => `skill://${path}`;

describe("skills between SDK client and SDK server", () => {
  test.each(["auto", "legacy"] as const)(
    "a server spoken to as %s: every byte passes the client's own checks",
    async (era) => {
      const { skills } = await connect(await startGateway(era), "skilled");
      expect([skills.supported, skills.directoryRead]).toEqual([true, true]);
      const { skills: listed } = await skills.list();
      // Pages of three were walked; `hidden` is denied and `keyed` withheld.
      expect(listed.map(({ uri }) => uri)).toEqual([at("leaky/SKILL.md"), at("refunds/SKILL.md")]);
      const { skill } = await skills.get(at("refunds/SKILL.md"));
      expect(skill).toEqual(listed[1] ?? skill);
      for (const [path, bytes] of Object.entries(files)) {
        if (!path.startsWith("refunds/")) continue;
        const read = await skills.read(skill, path.slice("refunds/".length));
        expect(read.verified).toBe(true);
        expect(Buffer.from(read.bytes)).toEqual(Buffer.from(bytes));
      }
      const { resources } = await skills.readDirectory(at("refunds/references"));
      const names = ["GUIDE.md", "logo.png", "rules.json"];
      expect(resources.map(({ uri }) => uri)).toEqual(
        names.map((name) => at(`refunds/references/${name}`)),
      );
    },
  );

  test("in merged scopes and to legacy agents they are neither announced nor served", async () => {
    const gateway = await startGateway();
    const merged = await connect(gateway, "all");
    expect(merged.skills.supported).toBe(false);
    const legacy = await connect(gateway, "skilled", "2025-11-25");
    expect(legacy.skills.supported).toBe(false);
    expect(legacy.client.getServerCapabilities()?.resources).toBeDefined();
    const uri = at("refunds/SKILL.md");
    for (const method of ["skills/list", "skills/get", "resources/directory/read"]) {
      const { status, error } = await ask(gateway, method, { uri }, { scope: "all" });
      expect([status, error?.code]).toEqual([404, -32601]);
    }
    // A skill's file is a resource like any other.
    const { contents } = await legacy.client.readResource({ uri });
    expect(contents).toMatchObject([{ text: files["refunds/SKILL.md"] }]);
  });
});

describe("a bare agent", () => {
  test("a server without skills: its methods are unknown", async () => {
    const gateway = await startGateway();
    for (const method of ["skills/list", "skills/get", "resources/directory/read"]) {
      const { status, error } = await ask(gateway, method, { uri: "x:/y" }, { scope: "plain" });
      expect([status, error?.code]).toEqual([404, -32601]);
    }
  });

  test("the extension defines no declaration of agents; a server hears of one that is made", async () => {
    const gateway = await startGateway();
    for (const capabilities of [{}, { extensions: { [extension]: {} } }]) {
      const { result } = await ask(gateway, "skills/list", {}, { capabilities });
      expect(result?.skills).toHaveLength(1);
    }
    const lists = gateway.seen.filter(({ method }) => method === "skills/list");
    const declared = lists.map(({ params }) => params?._meta ?? {});
    expect(declared).toMatchObject([
      { "io.modelcontextprotocol/clientCapabilities": {} },
      { "io.modelcontextprotocol/clientCapabilities": { extensions: { [extension]: {} } } },
    ]);
    expect(JSON.stringify(declared[0])).not.toContain(extension);
  });

  test("P23 I-09: what is denied is in no list, and reads like what does not exist", async () => {
    const gateway = await startGateway();
    const root = await ask(gateway, "skills/list");
    expect(root.text).not.toContain("hidden");
    for (const method of ["skills/get", "resources/directory/read", "resources/read"]) {
      const told = async (uri: string) => {
        const call = { base: gateway.base, scope: "skilled", token: clientToken("ci") };
        const { status, error } = await modernCall({ ...call, method, params: { uri } });
        return [status, error?.code, JSON.stringify(error).replaceAll(uri, "")];
      };
      const denied = await told(at("hidden/SKILL.md"));
      expect(denied).toEqual(await told(at("nobody/SKILL.md")));
      expect(denied[1]).toBe(-32602);
    }
    expect(gateway.seen.some((message) => JSON.stringify(message).includes("hidden"))).toBe(false);
  });

  test("PV-07: a skill in which something would be masked is withheld, never altered", async () => {
    const gateway = await startGateway();
    const withheld = [
      ["resources/read", at("leaky/config.json")],
      ["skills/get", at("keyed/SKILL.md")],
    ] as const;
    for (const [method, uri] of withheld) {
      const call = { base: gateway.base, scope: "skilled", token: clientToken("ci"), method };
      const { error, text } = await modernCall({ ...call, params: { uri } });
      expect(error?.message).toStartWith("The skill was withheld");
      expect(text).not.toContain("[redacted]");
      expect(gateway.plane.records.at(-1)?.facts.reason).toBe("skill-withheld");
    }
    const listed = await ask(gateway, "skills/list");
    expect(listed.text).not.toContain("keyed");
    // Other resources are masked as ever.
    const call = { base: gateway.base, scope: "plain", token: clientToken("ci") };
    const note = await modernCall({
      ...call,
      method: "resources/read",
      params: { uri: "note://a" },
    });
    expect(note.text).toContain("[redacted]");
  });

  test("hints and records are those of lists and of reads", async () => {
    const gateway = await startGateway();
    const uri = at("refunds/SKILL.md");
    const get = async () => (await ask(gateway, "skills/get", { uri })).result;
    const first = await get();
    expect(first).toMatchObject({ ttlMs: 60_000, cacheScope: "private" });
    expect(Number((await get())?.ttlMs)).toBeLessThanOrEqual(60_000);
    expect(gateway.seen.filter(({ method }) => method === "skills/get")).toHaveLength(1);
    gateway.plane.changes.note("skilled", { kind: "resources" });
    await get();
    expect(gateway.seen.filter(({ method }) => method === "skills/get")).toHaveLength(2);
    const { result } = await ask(gateway, "skills/list");
    expect(result).toMatchObject({ ttlMs: 1_000, cacheScope: "private" });
    await ask(gateway, "resources/directory/read", { uri: at("refunds") });
    const classes = gateway.plane.records.map(({ class: of, facts }) => `${facts.method} ${of}`);
    expect(new Set(classes)).toEqual(
      new Set(["skills/get B", "skills/get C", "skills/list C", "resources/directory/read B"]),
    );
  });
});
