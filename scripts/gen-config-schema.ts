/**
 * Writes `config/gateway.yaml` (every key, with its default and what it means) and `config/gateway.schema.json`
 * (for editors) from the schema, and `config/presets/` from the presets. With `--check` it writes nothing and fails where the files differ.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { buildJsonSchema, renderCommentedYaml, renderPreset } from "../src/config/describe.ts";
import { presetNames } from "../src/config/presets.ts";

const root = new URL("../config/", import.meta.url);
const files: Readonly<Record<string, string>> = {
  "gateway.yaml": renderCommentedYaml(),
  "gateway.schema.json": `${JSON.stringify(buildJsonSchema(), null, 2)}\n`,
  ...Object.fromEntries(presetNames.map((name) => [`presets/${name}.yaml`, renderPreset(name)])),
};

let stale = 0;
for (const [name, text] of Object.entries(files)) {
  const path = new URL(name, root);
  if (!process.argv.includes("--check")) writeFileSync(path, text);
  else if (readFileSync(path, "utf8") !== text) {
    process.stderr.write(`config/${name} is stale: run bun scripts/gen-config-schema.ts\n`);
    stale += 1;
  }
}
process.exitCode = stale === 0 ? 0 : 1;
