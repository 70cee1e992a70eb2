/**
 * The sample notes server over stdio, built on the official SDK: resources, a resource template, a prompt, tools, one
 * of them destructive and one returning a secret, so that the demo can show policy and masking at work.
 */
import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import {
  CallToolRequestSchema,
  type CallToolResult,
  ErrorCode,
  GetPromptRequestSchema,
  ListPromptsRequestSchema,
  ListResourcesRequestSchema,
  ListResourceTemplatesRequestSchema,
  ListToolsRequestSchema,
  McpError,
  ReadResourceRequestSchema,
  type Tool,
} from "@modelcontextprotocol/sdk/types.js";
import { version } from "../../lib/version.ts";

const notesMax = 1_000;
const noteName = { type: "string", pattern: "^[a-z0-9-]{1,40}$" };

const tools: Tool[] = [
  {
    name: "search_notes",
    description: "Finds notes that contain a text.",
    inputSchema: { type: "object", properties: { text: { type: "string" } }, required: ["text"] },
    annotations: { readOnlyHint: true },
  },
  {
    name: "write_note",
    description: "Writes a note, or replaces it.",
    inputSchema: {
      type: "object",
      properties: { name: noteName, text: { type: "string", maxLength: 10_000 } },
      required: ["name", "text"],
    },
    annotations: { destructiveHint: false, idempotentHint: true },
  },
  {
    name: "delete_note",
    description: "Deletes a note for good.",
    inputSchema: { type: "object", properties: { name: noteName }, required: ["name"] },
    annotations: { destructiveHint: true, idempotentHint: true },
  },
  {
    name: "secret_note",
    description: "Returns a note with a password in it, as careless servers do.",
    inputSchema: { type: "object", properties: {} },
    annotations: { readOnlyHint: true },
  },
];

/** Serves notes on this process's stdin and stdout until stdin ends. */
export async function serveNotes(): Promise<void> {
  const transport = new StdioServerTransport();
  const ended = new Promise<void>((resolve) => process.stdin.once("end", resolve));
  await connectNotes(transport);
  await ended;
}

/** A notes server with two notes in it, on any transport. */
export async function connectNotes(transport: Transport): Promise<void> {
  const notes = new Map([
    ["welcome", "The gateway stands between agents and servers like this one."],
    ["groceries", "Bread, apples, keywords for the crossword."],
  ]);
  const server = new Server(
    { name: "sample-notes", version },
    { capabilities: { tools: {}, resources: {}, prompts: {} } },
  );
  serveTools(server, notes);
  serveResources(server, notes);
  servePrompts(server, notes);
  await server.connect(transport);
}

function serveTools(server: Server, notes: Map<string, string>): void {
  server.setRequestHandler(ListToolsRequestSchema, () => ({ tools }));
  server.setRequestHandler(CallToolRequestSchema, ({ params }): CallToolResult => {
    const given = params.arguments ?? {};
    const [name, text] = [String(given.name ?? ""), String(given.text ?? "")];
    switch (params.name) {
      case "search_notes":
        return show({
          found: [...notes].filter(([, note]) => note.includes(text)).map(([n]) => n),
        });
      case "write_note":
        if (notes.size >= notesMax && !notes.has(name)) return fail(`at most ${notesMax} notes`);
        notes.set(name, text);
        return show({ written: name });
      case "delete_note":
        return notes.delete(name) ? show({ deleted: name }) : fail(`there is no note "${name}"`);
      case "secret_note":
        return show({
          title: "bank",
          password: "correct horse battery staple",
          keywords: ["money"],
        });
      default:
        return fail(`there is no tool "${params.name}"`);
    }
  });
}

function serveResources(server: Server, notes: ReadonlyMap<string, string>): void {
  server.setRequestHandler(ListResourcesRequestSchema, () => ({
    resources: [...notes.keys()].map((name) => ({
      uri: `note://notes/${name}`,
      name,
      mimeType: "text/plain",
    })),
  }));
  server.setRequestHandler(ListResourceTemplatesRequestSchema, () => ({
    resourceTemplates: [
      { uriTemplate: "note://notes/{name}", name: "note", mimeType: "text/plain" },
    ],
  }));
  server.setRequestHandler(ReadResourceRequestSchema, ({ params }) => {
    const text = notes.get(params.uri.replace("note://notes/", ""));
    if (text === undefined) throw new McpError(ErrorCode.InvalidParams, "there is no such note");
    return { contents: [{ uri: params.uri, mimeType: "text/plain", text }] };
  });
}

function servePrompts(server: Server, notes: ReadonlyMap<string, string>): void {
  const name = "summarize_note";
  server.setRequestHandler(ListPromptsRequestSchema, () => ({
    prompts: [
      {
        name,
        description: "Asks for a summary of one note.",
        arguments: [{ name: "name", description: "The note", required: true }],
      },
    ],
  }));
  server.setRequestHandler(GetPromptRequestSchema, ({ params }) => {
    const note = notes.get(params.arguments?.name ?? "");
    if (params.name !== name || note === undefined) {
      throw new McpError(ErrorCode.InvalidParams, "there is no such prompt or note");
    }
    const text = `Summarize this note in one sentence:\n\n${note}`;
    return { messages: [{ role: "user", content: { type: "text", text } }] };
  });
}

function show(result: Record<string, unknown>): CallToolResult {
  return { content: [{ type: "text", text: JSON.stringify(result) }], structuredContent: result };
}

function fail(text: string): CallToolResult {
  return { isError: true, content: [{ type: "text", text }] };
}
