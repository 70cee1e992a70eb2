/** The sample servers as real processes, asked by the official SDK's client. */
import { afterAll, expect, test } from "bun:test";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { startCalculatorProcess } from "../../../src/cli/demo-calculator.ts";
import { selfCommand } from "../../../src/cli/self.ts";

const calculator = await startCalculatorProcess({ PATH: process.env.PATH ?? "" });
afterAll(() => calculator.close());

const [command, ...selfArgs] = selfCommand;

async function connectStdio(...args: readonly string[]): Promise<Client> {
  const client = new Client({ name: "test", version: "1" });
  await client.connect(new StdioClientTransport({ command, args: [...selfArgs, ...args] }));
  return client;
}

test("R09: the calculator over Streamable HTTP", async () => {
  const client = new Client({ name: "test", version: "1" });
  await client.connect(new StreamableHTTPClientTransport(new URL(calculator.url)));
  const { tools } = await client.listTools();
  expect(tools.map((tool) => tool.name)).toEqual([
    "add",
    "exact_calculate",
    "exact_statistics",
    "exact_convert_units",
    "exact_unit_arithmetic",
  ]);
  const given = { operator: "div", operands: ["1", "3"], precision: 4 };
  const good = await client.callTool({ name: "exact_calculate", arguments: given });
  expect(good.structuredContent).toEqual({ result: "0.3333" });
  const bad = await client.callTool({ name: "exact_calculate", arguments: {} });
  expect(bad.isError).toBe(true);
  await client.close();
});

test("the notes server over stdio: tools, resources, templates, prompts", async () => {
  const client = await connectStdio("sample", "notes");
  const { tools } = await client.listTools();
  expect(tools.find((tool) => tool.name === "delete_note")?.annotations?.destructiveHint).toBe(
    true,
  );
  const secret = await client.callTool({ name: "secret_note", arguments: {} });
  expect(secret.structuredContent).toHaveProperty("password");
  const { resources } = await client.listResources();
  const read = await client.readResource({ uri: resources[0]?.uri ?? "" });
  expect(read.contents[0]).toMatchObject({ mimeType: "text/plain" });
  expect((await client.listResourceTemplates()).resourceTemplates).toHaveLength(1);
  const prompt = await client.getPrompt({ name: "summarize_note", arguments: { name: "welcome" } });
  expect(JSON.stringify(prompt)).toContain("one sentence");
  await client.close();
});
