/** The generated files in config/ are what the schema says, and name every key. */
import { expect, test } from "bun:test";
import {
  buildJsonSchema,
  renderCommentedYaml,
  renderPreset,
} from "../../../src/config/describe.ts";
import { presetNames } from "../../../src/config/presets.ts";

const root = new URL("../../../config/", import.meta.url);

test("config/gateway.yaml and gateway.schema.json are current", async () => {
  expect(await Bun.file(new URL("gateway.yaml", root)).text()).toBe(renderCommentedYaml());
  const schema = await Bun.file(new URL("gateway.schema.json", root)).json();
  expect(schema).toEqual(JSON.parse(JSON.stringify(buildJsonSchema())));
});

test.each([...presetNames])("config/presets/%s.yaml is current", async (name) => {
  expect(await Bun.file(new URL(`presets/${name}.yaml`, root)).text()).toBe(renderPreset(name));
});

test("every key of the schema is in gateway.yaml, with a description", () => {
  const lines = renderCommentedYaml().split("\n");
  const missing: string[] = [];
  const walk = (node: unknown, path: string) => {
    if (typeof node !== "object" || node === null) return;
    if ("properties" in node && typeof node.properties === "object" && node.properties !== null) {
      for (const [key, inner] of Object.entries(node.properties)) {
        const written = lines.some((line) => new RegExp(`^[\\s#-]*${key}:`).test(line));
        if (!written || !inner.description) missing.push(`${path}${key}`);
        walk(inner, `${path}${key}.`);
      }
    }
    if ("items" in node) walk(node.items, `${path}[].`);
  };
  walk(buildJsonSchema(), "");
  expect(missing).toEqual([]);
});
