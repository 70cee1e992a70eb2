/** What a server answers at once: tools, resources, prompts, completion. */
import assert from "node:assert/strict";
import { prompts, resources, resourceTemplates } from "../servers/script.ts";
import { codeOf, type Feature, pick, textOf } from "./feature.ts";

const invalidParams = -32602;

export const tools: Feature = {
  letter: "T",
  name: "tools",
  async prove(client) {
    const listed = await client.listTools();
    const echo = listed.find(({ name }) => name === "echo");
    assert.ok(echo !== undefined);
    assert.equal(echo.description, "The tool echo");
    assert.deepEqual((echo.outputSchema as { required?: unknown }).required, ["said", "length"]);
    const said = 'grüße \u{1F44B} "quoted"';
    const answer = await client.callTool("echo", { text: said });
    assert.equal(textOf(answer), said);
    assert.deepEqual(answer.structuredContent, { said, length: said.length });
    assert.ok(answer.isError !== true);
    const failed = await client.callTool("fail");
    assert.deepEqual([failed.isError, textOf(failed)], [true, "it went wrong"]);
    assert.equal(await codeOf(client.callTool("nobody")), invalidParams);
  },
};

export const reading: Feature = {
  letter: "R",
  name: "resources",
  async prove(client) {
    const members = ["uri", "name", "mimeType"] as const;
    assert.deepEqual(pick(await client.listResources(), ...members), resources);
    const templates = pick(await client.listResourceTemplates(), "uriTemplate", "name", "mimeType");
    assert.deepEqual(templates, resourceTemplates);
    const uri = "note://each/one%20two";
    for (const one of ["note://plain", uri]) {
      const [content, ...others] = (await client.readResource(one)).contents as { text: string }[];
      assert.deepEqual([content?.text, others], [`the text of ${one}`, []]);
    }
    const { contents } = await client.readResource("note://binary");
    const [binary] = contents as { blob: string; mimeType: string }[];
    assert.deepEqual(
      [binary?.mimeType, atob(binary?.blob ?? "")],
      ["application/octet-stream", "\u0000\u00ff matrix"],
    );
    assert.equal(await codeOf(client.readResource("note://missing")), client.notFoundCode);
  },
};

export const prompting: Feature = {
  letter: "P",
  name: "prompts",
  async prove(client) {
    const listed = await client.listPrompts();
    assert.deepEqual(pick(listed, "name", "description", "arguments"), prompts);
    const { description, messages } = await client.getPrompt("greet", { name: "Ada" });
    assert.equal(description, "A greeting");
    const content = { type: "text", text: "Hello, Ada" };
    assert.deepEqual(messages, [{ role: "user", content }]);
    assert.equal(await codeOf(client.getPrompt("nobody")), invalidParams);
  },
};

export const completion: Feature = {
  letter: "C",
  name: "completion",
  async prove(client) {
    const ofPrompt = await client.complete({
      ref: { type: "ref/prompt", name: "greet" },
      argument: { name: "name", value: "A" },
    });
    assert.deepEqual(ofPrompt.completion, { values: ["Ada", "Alan"], total: 2, hasMore: false });
    const ofTemplate = await client.complete({
      ref: { type: "ref/resource", uri: "note://each/{key}" },
      argument: { name: "key", value: "x-G" },
      context: { arguments: { prefix: "x" } },
    });
    assert.deepEqual(ofTemplate.completion, { values: ["x-Grace"], total: 1, hasMore: false });
  },
};
