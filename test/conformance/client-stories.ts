/**
 * What the driver does at each of the suite's mock servers: most want everything visited that is listed, a few want
 * calls of their own. A story that ends early leaves the mock without the request it waits for, which the suite tells.
 */
import type { AskedAgent } from "./asked-agent.ts";

type Story = (agent: AskedAgent, context: unknown) => Promise<void>;

/** Lists and calls every tool, then resources and prompts where there are any. */
export async function visitEverything(agent: AskedAgent): Promise<void> {
  for (const { name } of await agent.listTools()) await agent.callTool(name);
  for (const { uri } of await agent.listResources()) await agent.readResource(uri);
  for (const { name } of await agent.listPrompts()) await agent.getPrompt(name);
}

const onlyList: Story = async (agent) => {
  await agent.listTools();
};

const callTools: Story = async (agent) => {
  for (const { name } of await agent.listTools()) await agent.callTool(name);
};

interface ToolCalls {
  readonly toolCalls: readonly {
    readonly name: string;
    readonly arguments: { readonly [name: string]: unknown };
  }[];
}

export const stories: Readonly<Record<string, Story>> = {
  initialize: onlyList,
  "request-metadata": onlyList,
  "json-schema-ref-no-deref": onlyList,
  "elicitation-sep1034-client-defaults": callTools,
  "sse-retry": callTools,
  async tools_call(agent) {
    await agent.listTools();
    await agent.callTool("add_numbers", { a: 2, b: 3 });
  },
  async "http-custom-headers"(agent, context) {
    await agent.listTools();
    for (const call of (context as ToolCalls).toolCalls) {
      await agent.callTool(call.name, call.arguments);
    }
  },
  /** Calls what is listed: tools that must not be called must not be listed. */
  async "http-invalid-tool-headers"(agent) {
    for (const { name, inputSchema } of await agent.listTools()) {
      await agent.callTool(name, valuesFor(inputSchema));
    }
  },
  "sep-2322-client-request-state": callTools,
  async "json-schema-2020-12-preservation"(agent) {
    const tools = await agent.listTools();
    const schema = tools.find(({ name }) => name === "json_schema_2020_12_tool")?.inputSchema;
    await agent.callTool("json_schema_echo", { schema });
  },
};

/** A value of its type for each property of a schema. */
function valuesFor(schema: { readonly [keyword: string]: unknown }) {
  const samples: Readonly<Record<string, unknown>> = { integer: 1, number: 1, boolean: true };
  const properties = (schema.properties ?? {}) as Record<string, { readonly type?: string }>;
  return Object.fromEntries(
    Object.entries(properties).map(([name, { type = "" }]) => [name, samples[type] ?? "text"]),
  );
}
