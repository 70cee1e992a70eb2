/**
 * The reference server of npm behind the gateway, over stdio and over Streamable HTTP: what an agent gets through
 * the gateway is what it would get straight.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { type AdminClient, createAdminClient } from "../support/admin-client.ts";
import { startCommand } from "../support/command-line.ts";
import { freePort } from "../support/free-port.ts";
import { type GatewayProcess, repository, startGateway } from "../support/gateway-process.ts";
import { modernCall } from "../support/modern-agent.ts";
import { registerClient, registerHttpServer } from "../support/operator.ts";
import { registerStdioServer } from "../support/sample-gateway.ts";
import {
  agentKinds,
  connectHttp,
  connectStdio,
  needKind,
  type SdkAgent,
} from "../support/sdk-agents.ts";

const program = join(
  repository,
  "node_modules/@modelcontextprotocol/server-everything/dist/index.js",
);
const canary = "canary-5f0c1d7e";

const stack = new AsyncDisposableStack();
let gateway: GatewayProcess;
let admin: AdminClient;
let token = "";
const everyCapability = {
  elicitation: { form: {}, url: {} },
  sampling: { tools: {}, context: {} },
  roots: {},
};
let straight: Readonly<Record<"stdio" | "http", SdkAgent>>;

beforeAll(async () => {
  const port = freePort();
  stack.use(
    await startCommand(["node", program, "streamableHttp"], /listening on port/i, {
      env: { PORT: String(port) },
    }),
  );
  const url = `http://127.0.0.1:${port}/mcp`;
  gateway = stack.use(await startGateway({ env: { MY_SECRET: canary } }));
  admin = stack.use(createAdminClient(gateway));
  await registerStdioServer(admin, "stdio", "node", [program, "stdio"]);
  await registerHttpServer(admin, "http", url);
  token = await registerClient(admin, "visitor", {
    allowed_tools: ["*"],
    allowed_resources: ["demo://*"],
    allowed_prompts: ["*"],
  });
  straight = {
    // What the gateway says of itself to a process that serves every agent.
    stdio: stack.use(await connectStdio("node", [program, "stdio"], everyCapability)),
    http: stack.use(await connectHttp(url)),
  };
});
afterAll(() => stack.disposeAsync());

const calls: readonly (readonly [string, Readonly<Record<string, unknown>>])[] = [
  ["echo", { message: 'grüße \u{1F44B} \u2028 \\u0000 "quoted"' }],
  ["get-sum", { a: 2, b: 40 }],
  // Its schema allows any number; the server does not.
  ["get-resource-reference", { resourceType: "Text", resourceId: 0.5 }],
  ["get-structured-content", { location: "New York" }],
  ["get-annotated-message", { messageType: "error", includeImage: true }],
  ["get-tiny-image", {}],
  ["get-resource-links", { count: 3 }],
];

for (const scope of ["stdio", "http"] as const) {
  for (const kind of agentKinds) {
    describe(`over ${scope}, by ${kind.name}`, () => {
      let agent: SdkAgent;
      beforeAll(async () => {
        agent = await kind.connect({ base: gateway.agents, scope, token });
      });
      afterAll(() => agent[Symbol.asyncDispose]());

      test("lists are equal, definition by definition", async () => {
        const other = straight[scope];
        expect(withoutMeta(await agent.listTools())).toEqual(withoutMeta(await other.listTools()));
        expect(await agent.listResources()).toEqual(await other.listResources());
        expect(await agent.listResourceTemplates()).toEqual(await other.listResourceTemplates());
        expect(await agent.listPrompts()).toEqual(await other.listPrompts());
      });

      test("calls are equal, the server's own refusals too", async () => {
        for (const [name, args] of calls) {
          expect(withoutMeta(await settled(agent.callTool(name, args)))).toEqual(
            withoutMeta(await settled(straight[scope].callTool(name, args))),
          );
        }
      });

      test("PR-23: arguments the server's own schema forbids are the gateway's to refuse", async () => {
        const refused = await agent.callTool("get-sum", { a: "two", b: 40 });
        const text = "Invalid arguments: /a must be number";
        expect(refused).toMatchObject({ isError: true, content: [{ type: "text", text }] });
      });

      test("resources, prompts and completions are equal", async () => {
        const other = straight[scope];
        for (const { uri } of await other.listResources()) {
          expect(withoutMeta(await agent.readResource(uri))).toEqual(
            withoutMeta(await other.readResource(uri)),
          );
        }
        // A resource that only a template promises.
        const uri = "demo://resource/dynamic/text/7";
        expect(await agent.readResource(uri)).toMatchObject({ contents: [{ uri }] });
        for (const [name, args] of [
          ["simple-prompt", {}],
          ["args-prompt", { city: "Bern" }],
        ] as const) {
          expect(withoutMeta(await agent.getPrompt(name, args))).toEqual(
            withoutMeta(await other.getPrompt(name, args)),
          );
        }
        const argument = { name: "department", value: "S" };
        expect(withoutMeta(await agent.completePrompt("completable-prompt", argument))).toEqual(
          withoutMeta(await other.completePrompt("completable-prompt", argument)),
        );
      });

      test("T08: progress of a long operation arrives before its result", async () => {
        const steps: number[] = [];
        const onprogress = (one: { readonly progress: number }) => void steps.push(one.progress);
        const args = { duration: 0.2, steps: 2 };
        const answer = await agent.callTool("trigger-long-running-operation", args, { onprogress });
        expect(steps[0]).toBe(1);
        expect(JSON.stringify(answer)).toContain("completed");
      });
    });
  }
}

test("PR-04: definitions cross the gateway whole, what a client library would drop too", async () => {
  const base = gateway.agents;
  const answer = await modernCall({ base, scope: "stdio", token, method: "tools/list" });
  // Of the older revisions alone, and so all that a modern agent does not get.
  const withoutExecution = (tool: object) =>
    Object.fromEntries(Object.entries(tool).filter(([member]) => member !== "execution"));
  const tools = await straight.stdio.listTools();
  expect(answer.result?.tools).toEqual(tools.map(withoutExecution));
  expect(JSON.stringify(tools)).toContain('"execution"');
});

test("I-05: a stdio server sees neither the gateway's secrets nor its environment", async () => {
  await using agent = await needKind("SDK v1, WebSocket").connect({
    base: gateway.agents,
    scope: "stdio",
    token,
  });
  const said = JSON.stringify(await agent.callTool("get-env"));
  expect(said).not.toContain(canary);
  expect(said).not.toContain(gateway.adminToken);
  expect(said).not.toContain("MCP_GATEWAY");
});

/** The answer, or the words of the refusal. */
function settled(call: Promise<unknown>): Promise<unknown> {
  return call.catch((error: Error) => ({ refused: error.message }));
}

/** What a revision adds to results, and `execution`, which the SDK's modern client drops: agents differ in these. */
const perRevision = ["_meta", "resultType", "ttlMs", "cacheScope", "execution"];

function withoutMeta(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutMeta);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => !perRevision.includes(name))
      .map(([name, member]) => [name, withoutMeta(member)]),
  );
}
