/**
 * Tools of the conformance fixture that answer at once with fixed content: one kind of content each, an error, and the
 * two whose schema is the point. Names and contents are those the official suite asks for.
 */
import type { FixtureTool } from "./fixture-tool.ts";

/** One red pixel, PNG, base64. */
export const redPixel =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";

/** A WAV header without a single sample, base64. */
const silence = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA=";

const image = { type: "image", data: redPixel, mimeType: "image/png" } as const;

const text = (said: string) => ({ type: "text", text: said }) as const;

const resource = (uri: string, mimeType: string, said: string) =>
  ({ type: "resource", resource: { uri, mimeType, text: said } }) as const;

/** Every keyword here must reach the agent: the suite looks for each. */
const fullVocabulary = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object",
  $defs: {
    address: {
      $anchor: "addressDef",
      type: "object",
      properties: { street: { type: "string" }, city: { type: "string" } },
    },
  },
  properties: {
    name: { type: "string" },
    address: { $ref: "#/$defs/address" },
    contactMethod: { type: "string", enum: ["phone", "email"] },
    phone: { type: "string" },
    email: { type: "string" },
  },
  allOf: [{ anyOf: [{ required: ["phone"] }, { required: ["email"] }] }],
  if: { properties: { contactMethod: { const: "phone" } }, required: ["contactMethod"] },
  // biome-ignore lint/suspicious/noThenProperty: a JSON Schema keyword
  then: { required: ["phone"] },
  else: { required: ["email"] },
  additionalProperties: false,
} as const;

const mirrored = {
  type: "object",
  properties: {
    region: { type: "string", "x-mcp-header": "Region" },
    level: { type: "integer" },
  },
} as const;

export const contentTools: readonly FixtureTool[] = [
  {
    name: "test_simple_text",
    description: "Answers with one text",
    call: () => ({ content: [text("This is a simple text response for testing.")] }),
  },
  {
    name: "test_image_content",
    description: "Answers with an image",
    call: () => ({ content: [image] }),
  },
  {
    name: "test_audio_content",
    description: "Answers with a sound",
    call: () => ({ content: [{ type: "audio", data: silence, mimeType: "audio/wav" }] }),
  },
  {
    name: "test_embedded_resource",
    description: "Answers with a resource inside",
    call: () => {
      const said = "This is an embedded resource content.";
      return { content: [resource("test://embedded-resource", "text/plain", said)] };
    },
  },
  {
    name: "test_multiple_content_types",
    description: "Answers with a text, an image and a resource",
    call: () => {
      const said = JSON.stringify({ test: "data", value: 123 });
      const inside = resource("test://mixed-content-resource", "application/json", said);
      return { content: [text("Multiple content types test:"), image, inside] };
    },
  },
  {
    name: "test_error_handling",
    description: "Fails, as a tool fails",
    call: () => ({
      content: [text("This tool intentionally returns an error for testing")],
      isError: true,
    }),
  },
  {
    name: "json_schema_2020_12_tool",
    description: "Has JSON Schema 2020-12 keywords in its schema",
    inputSchema: fullVocabulary,
    call: (values) => ({ content: [text(JSON.stringify(values))] }),
  },
  {
    name: "test_x_mcp_header",
    description: "Has an argument that clients mirror into a header",
    inputSchema: mirrored,
    call: ({ region }) => ({ content: [text(`region=${region ?? "none"}`)] }),
  },
];
