/** Resources of the conformance fixture: a text, an image, a template, and one to subscribe to. */
import { type McpServer, ResourceTemplate } from "@modelcontextprotocol/server";
import { redPixel } from "./content-tools.ts";

export function registerResources(mcp: McpServer): void {
  const fixed = (name: string, mimeType: string, content: { text: string } | { blob: string }) => {
    const uri = `test://${name}`;
    const metadata = { description: `Resource ${name}`, mimeType };
    mcp.registerResource(name, uri, metadata, () => ({
      contents: [{ uri, mimeType, ...content }],
    }));
  };
  fixed("static-text", "text/plain", { text: "This is the content of the static text resource." });
  fixed("static-binary", "image/png", { blob: redPixel });
  fixed("watched-resource", "text/plain", { text: "Watched resource content" });

  const mimeType = "application/json";
  mcp.registerResource(
    "template",
    new ResourceTemplate("test://template/{id}/data", { list: undefined }),
    { description: "One resource for each id", mimeType },
    (uri, { id }) => {
      const text = JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` });
      return { contents: [{ uri: uri.href, mimeType, text }] };
    },
  );
}
