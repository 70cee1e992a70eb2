/**
 * What the matrix's fixture servers do, whichever SDK carries it: the same names, the same answers. `World` is what
 * all instances of one server share, since SDKs make an instance for a session, a socket or a single request.
 */
export type Values = { readonly [name: string]: unknown };

/** A question in the words of the older revisions; SDK v2 turns it into an `input_required` result. */
export type Question =
  | { readonly method: "elicitation/create"; readonly params: ElicitParams }
  | { readonly method: "sampling/createMessage"; readonly params: SampleParams }
  | { readonly method: "roots/list" };

interface ElicitParams {
  readonly message: string;
  readonly requestedSchema: {
    type: "object";
    properties: Record<string, { type: "string" }>;
    required: string[];
  };
}

interface SampleParams {
  readonly messages: { role: "user"; content: { type: "text"; text: string } }[];
  readonly maxTokens: number;
}

export interface ToolCall {
  readonly name: string;
  readonly values: Values;
  readonly signal: AbortSignal;
  progress(step: number, total: number): Promise<void>;
  log(level: "debug" | "info" | "warning" | "error", text: string): Promise<void>;
  /** Resolves with the client's result. What stands before it in a tool may run again. */
  ask(question: Question): Promise<Values>;
}

export interface ToolAnswer {
  [member: string]: unknown;
  content: { type: "text"; text: string }[];
  structuredContent?: Record<string, unknown>;
  isError?: boolean;
}

/** One instance that may have somebody listening. */
export interface Follower {
  toolsChanged(): void;
  resourceUpdated(uri: string): void;
}

interface Run {
  state: "running" | "cancelled" | "released";
  readonly release: () => void;
}

export interface World {
  readonly followers: Set<Follower>;
  /** Names of tools that `change` added. */
  readonly added: Set<string>;
  readonly runs: Map<string, Run>;
}

export const createWorld = (): World => ({
  followers: new Set(),
  added: new Set(),
  runs: new Map(),
});

export const serverInfo = { name: "matrix", version: "1.0.0" };
export const capabilities = {
  tools: { listChanged: true },
  resources: { listChanged: true, subscribe: true },
  prompts: { listChanged: true },
  completions: {},
  logging: {},
};

const text = (value: string): ToolAnswer => ({ content: [{ type: "text", text: value }] });
const json = (value: unknown) => text(JSON.stringify(value));

const tools: Readonly<Record<string, (call: ToolCall, world: World) => Promise<ToolAnswer>>> = {
  async echo({ values }) {
    const said = String(values.text);
    return { ...text(said), structuredContent: { said, length: said.length } };
  },
  async fail() {
    return { ...text("it went wrong"), isError: true };
  },
  /** With a `key`, each step waits to be released: SDK clients lose progress that is read together with the answer. */
  async steps({ values, progress }, { runs }) {
    const total = Number(values.count);
    for (let step = 1; step <= total; step += 1) {
      const released = Promise.withResolvers<void>();
      runs.set(String(values.key), { state: "running", release: released.resolve });
      await progress(step, total);
      if (values.key !== undefined) await released.promise;
    }
    return text(`${total} steps`);
  },
  async log({ log }) {
    for (const level of ["debug", "info", "warning", "error"] as const) {
      await log(level, `a line of ${level}`);
    }
    return text("logged");
  },
  /** Runs until it is released or cancelled; `state` tells which. */
  async slow({ values, signal }, { runs }) {
    const key = String(values.key);
    const released = Promise.withResolvers<void>();
    const run: Run = { state: "running", release: released.resolve };
    runs.set(key, run);
    const cancel = () => {
      run.state = "cancelled";
      released.resolve();
    };
    signal.addEventListener("abort", cancel, { once: true });
    await released.promise;
    if (run.state === "running") run.state = "released";
    return text(run.state);
  },
  async state({ values }, { runs }) {
    return text(runs.get(String(values.key))?.state ?? "unknown");
  },
  async release({ values }, { runs }) {
    runs.get(String(values.key))?.release();
    return text("released");
  },
  async elicit({ values, ask }) {
    const form = (message: string, field: string): Question => ({
      method: "elicitation/create",
      params: {
        message: `${message} ${values.key}`,
        requestedSchema: {
          type: "object",
          properties: { [field]: { type: "string" } },
          required: [field],
        },
      },
    });
    const first = await ask(form("name", "name"));
    if (first.action !== "accept") return json([first]);
    return json([first, await ask(form("colour", "colour"))]);
  },
  async sample({ values, ask }) {
    const content = { type: "text" as const, text: `say ${values.key}` };
    const params = { messages: [{ role: "user" as const, content }], maxTokens: 7 };
    return json(await ask({ method: "sampling/createMessage", params }));
  },
  async roots({ ask }) {
    return json(await ask({ method: "roots/list" }));
  },
  /** Changes a resource and adds a tool, and tells everybody who listens of both, in this order. */
  async change({ values }, { added, followers }) {
    added.add(String(values.tool));
    for (const follower of followers) follower.resourceUpdated(String(values.uri));
    for (const follower of followers) follower.toolsChanged();
    return text("changed");
  },
};

const echoed = {
  type: "object" as const,
  properties: { said: { type: "string" }, length: { type: "integer" } },
  required: ["said", "length"],
};

export interface ListedTool {
  name: string;
  description: string;
  inputSchema: { type: "object" };
  outputSchema?: typeof echoed;
}

export function listTools({ added }: World): ListedTool[] {
  return [...Object.keys(tools), ...added].map((name) => ({
    name,
    description: `The tool ${name}`,
    inputSchema: { type: "object" },
    ...(name === "echo" && { outputSchema: echoed }),
  }));
}

export function callTool(call: ToolCall, world: World): Promise<ToolAnswer> {
  const tool = tools[call.name];
  if (tool === undefined) throw invalidParams(`no tool ${call.name}`);
  return tool(call, world);
}

/** What both SDKs send as an error of this code. */
function invalidParams(message: string): Error {
  return Object.assign(new Error(message), { code: -32602 });
}

const binary = btoa("\u0000\u00ff matrix");

export const resources = [
  { uri: "note://plain", name: "plain", mimeType: "text/plain" },
  { uri: "note://binary", name: "binary", mimeType: "application/octet-stream" },
];
export const resourceTemplates = [
  { uriTemplate: "note://each/{key}", name: "each", mimeType: "text/plain" },
];

/** Undefined where there is no such resource. */
export function readResource(uri: string) {
  if (uri === "note://binary") {
    return { contents: [{ uri, mimeType: "application/octet-stream", blob: binary }] };
  }
  if (uri !== "note://plain" && !uri.startsWith("note://each/")) return undefined;
  return { contents: [{ uri, mimeType: "text/plain", text: `the text of ${uri}` }] };
}

export const prompts = [
  {
    name: "greet",
    description: "Greets somebody",
    arguments: [{ name: "name", description: "Who", required: true }],
  },
];

export function getPrompt(name: string, values: Readonly<Record<string, string>> = {}) {
  if (name !== "greet") throw invalidParams(`no prompt ${name}`);
  const content = { type: "text" as const, text: `Hello, ${values.name}` };
  return { description: "A greeting", messages: [{ role: "user" as const, content }] };
}

const names = ["Ada", "Alan", "Grace"];

/** Names, or keys of the template, which depend on the name already chosen. */
export function complete(
  ref: { readonly type: string },
  value: string,
  chosen: Readonly<Record<string, string>> = {},
) {
  const all = ref.type === "ref/prompt" ? names : names.map((one) => `${chosen.prefix}-${one}`);
  const values = all.filter((one) => one.startsWith(value));
  return { completion: { values, total: values.length, hasMore: false } };
}
