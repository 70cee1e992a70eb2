/**
 * The schema, told to people and editors: the commented `gateway.yaml`, the presets and the JSON Schema. Pure; called by
 * `scripts/gen-config-schema.ts` and by `check-config --print-defaults`.
 */
import { z } from "zod";
import { isStrict, type PresetName, presets } from "./presets.ts";
import { configSchema } from "./schema.ts";

type Node = z.core.JSONSchema.JSONSchema;

const opening = [
  "# MCP Gateway configuration: every key, with its default.",
  "# Keys left out keep their defaults, so a real file is usually ten lines. Unknown keys are refused.",
  "# The environment and the command line's flags override what is written here.",
  "# yaml-language-server: $schema=./gateway.schema.json",
];

/** JSON Schema (draft 2020-12) of the configuration file. */
export function buildJsonSchema(): Node {
  return z.toJSONSchema(configSchema, { io: "input" });
}

/** A configuration file that states every default and explains every key. */
export function renderCommentedYaml(): string {
  const lines = [...opening, ...renderProperties(buildJsonSchema(), 0, "")];
  // The formatter takes a blank line away where an indented comment stands before it.
  const kept = lines.filter((line, index) => line !== "" || !/^ +#/.test(lines[index - 1] ?? ""));
  return `${kept.join("\n")}\n`;
}

/** What a preset changes, as a configuration file. */
export function renderPreset(name: PresetName): string {
  const strict = isStrict(name)
    ? "# It also refuses relaxations, such as anonymous callers; serve names each one it refuses."
    : "# It refuses nothing that the defaults allow.";
  const lines = [`# What --preset ${name} sets; every other key keeps its default.`, strict];
  return `${lines.join("\n")}\n${Bun.YAML.stringify(presets[name], null, 2)}\n`;
}

function listProperties(node: Node): readonly (readonly [string, Node])[] {
  return Object.entries(node.properties ?? {}).flatMap(([key, property]) =>
    typeof property === "object" ? [[key, property] as const] : [],
  );
}

function renderProperties(node: Node, depth: number, mark: string): readonly string[] {
  const indent = "  ".repeat(depth);
  return listProperties(node).flatMap(([key, property]) => {
    const lines = depth === 0 ? [""] : [];
    const choices = property.enum === undefined ? "" : ` One of ${property.enum.join(", ")}.`;
    lines.push(`${indent}# ${property.description ?? ""}${choices}`);
    if (property.properties !== undefined)
      return [...lines, ...renderSection(key, property, depth, mark)];
    const isUnset = property.default === undefined;
    const value = isUnset ? "" : ` ${JSON.stringify(property.default)}`;
    lines.push(`${isUnset ? `${indent}# ` : `${mark}${indent}`}${key}:${value}`);
    return [...lines, ...renderElement(property, depth)];
  });
}

function renderSection(key: string, node: Node, depth: number, mark: string): readonly string[] {
  const indent = "  ".repeat(depth);
  if (node.default !== undefined)
    return [`${mark}${indent}${key}:`, ...renderProperties(node, depth + 1, mark)];
  // A section without a default is optional and has keys that must be given, so it is shown commented out.
  return [`${indent}# ${key}:`, ...renderFields(node, `${indent}#   `)];
}

/** The shape of a list's elements, as comments. */
function renderElement(node: Node, depth: number): readonly string[] {
  const element = node.items;
  if (typeof element !== "object" || !("properties" in element)) return [];
  const fields = renderFields(element, `${"  ".repeat(depth)}#   `);
  return fields.map((line, index) => (index === 0 ? line.replace(/# {3}/, "# - ") : line));
}

function renderFields(node: Node, prefix: string): readonly string[] {
  return listProperties(node).flatMap(([key, field]) => {
    const need = node.required?.includes(key) ? "required" : "optional";
    const otherwise =
      field.default === undefined ? need : `default ${JSON.stringify(field.default)}`;
    const line = `${prefix}${key}:  # ${field.description ?? ""} (${otherwise})`;
    return [line, ...renderInner(field, `${prefix}  `)];
  });
}

/** The fields of a field: of a section, or of a list's elements. */
function renderInner(field: Node, prefix: string): readonly string[] {
  if (field.properties !== undefined) return renderFields(field, prefix);
  const element = field.items;
  if (typeof element !== "object" || !("properties" in element)) return [];
  const [first = "", ...more] = renderFields(element, `${prefix}  `);
  return [first.replace(`${prefix}  `, `${prefix}- `), ...more];
}
