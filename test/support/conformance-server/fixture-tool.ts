/**
 * The shape every tool of the conformance fixture has, and how a table of them becomes an SDK server's tools. Schemas
 * stay hand-written JSON, so that what the server lists is exactly what stands in the table.
 */
import {
  type CallToolResult,
  fromJsonSchema,
  type InputRequiredResult,
  type McpServer,
  type ServerContext,
} from "@modelcontextprotocol/server";

type Answer = CallToolResult | InputRequiredResult;

export interface FixtureTool {
  readonly name: string;
  readonly description: string;
  /** An object without properties by default. */
  readonly inputSchema?: { readonly type: "object"; readonly [keyword: string]: unknown };
  call(
    values: Readonly<Record<string, unknown>>,
    context: ServerContext,
    mcp: McpServer,
  ): Answer | Promise<Answer>;
}

export function registerTools(mcp: McpServer, tools: readonly FixtureTool[]): void {
  for (const { name, description, inputSchema = { type: "object" }, call } of tools) {
    const schema = fromJsonSchema<Record<string, unknown>>(inputSchema);
    mcp.registerTool(name, { description, inputSchema: schema }, (values, context) =>
      call(values ?? {}, context, mcp),
    );
  }
}
