/**
 * What the fake MCP servers of the contract suite do, whichever SDK carries it: a few tools, and a list of what the
 * server saw. No assertions here.
 */
export interface ToolCall {
  readonly name: string;
  readonly arguments: Readonly<Record<string, unknown>>;
  readonly signal: AbortSignal;
  progress(done: number, total: number): Promise<void>;
  log(level: "debug" | "error", text: string): Promise<void>;
  readonly tell: Tell;
}

/** Tells those who follow the server that something changed. */
export interface Tell {
  toolsChanged(): unknown;
  promptsChanged(): unknown;
  resourcesChanged(): unknown;
  resourceUpdated(uri: string): unknown;
}

export interface ToolAnswer {
  [key: string]: unknown;
  content: { type: "text"; text: string }[];
}

export interface Behaviour {
  readonly seen: string[];
  /** Lets the longest waiting `held` go on. */
  release(): void;
  call(call: ToolCall): Promise<ToolAnswer>;
}

const names = ["echo", "steps", "held", "logs", "wait", "huge", "seen", "die", "change"];

/** `echo` mirrors an argument into a header, which modern servers insist on over HTTP. */
const properties = { region: { type: "string", "x-mcp-header": "Region" } };

export const tools = names.map((name) => ({
  name,
  description: `The tool ${name}`,
  inputSchema: { type: "object" as const, ...(name === "echo" && { properties }) },
}));

/** `die` is what the tool of that name does to the server. */
export function createBehaviour(die: () => void): Behaviour {
  const seen: string[] = [];
  const held: (() => void)[] = [];
  return {
    seen,
    release: () => held.shift()?.(),
    async call({ name, arguments: args, signal, progress, log, tell }) {
      seen.push(`call:${name}`);
      switch (name) {
        case "echo":
          return text(String(args.text));
        case "steps":
          for (let step = 1; step <= 3; step += 1) await progress(step, 3);
          return text("done");
        case "held":
          for (let step = 1; step <= 2; step += 1) await progress(step, 2);
          await new Promise<void>((resolve) => held.push(resolve));
          return text("done");
        case "logs":
          await log("debug", "fine");
          await log("error", "coarse");
          return text("logged");
        case "wait":
          await aborted(signal);
          seen.push("cancelled");
          return text("too late");
        case "huge":
          return text("x".repeat(Number(args.bytes)));
        case "seen":
          return text(seen.join(","));
        case "die":
          die();
          return aborted(signal).then(() => text("dead"));
        case "change":
          for (let left = Number(args.times ?? 1); left > 0; left -= 1) {
            if (args.uri === undefined) await tell[`${args.kind as "tools"}Changed`]();
            else await tell.resourceUpdated(String(args.uri));
          }
          return text("changed");
        default:
          throw Object.assign(new Error(`no tool ${name}`), { code: -32602 });
      }
    },
  };
}

function text(value: string): ToolAnswer {
  return { content: [{ type: "text", text: value }] };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
