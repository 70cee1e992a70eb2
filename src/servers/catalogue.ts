/**
 * Remembers one server's tools, for policy, audit classes and schemas: all pages listed once for everyone who waits,
 * kept for the server's list TTL, forgotten when the server says that they changed or a new connection was made.
 */
import { Cancellation, type CancelSignal } from "../lib/cancellation.ts";
import type { Clock } from "../lib/clock.ts";
import {
  arrayMember,
  memberText,
  objectText,
  readObject,
  stringMember,
} from "../protocol/json-view.ts";
import { type ParamHeader, readParamHeaders } from "../protocol/param-headers.ts";
import type { CatalogueTool, ServerClient } from "./client.ts";
import { ownRequest } from "./era.ts";
import { cancelled, errorOf, invalidAnswer } from "./faults.ts";
import { needsTask } from "./legacy/task-messages.ts";

export interface CatalogueOptions {
  readonly client: Pick<ServerClient, "call" | "spec">;
  readonly clock: Clock;
  /** Source text of what the listing client declares. */
  readonly clientCapabilitiesText: string;
  /** Lists are kept at least this long, whatever the server's TTL says: a call must not cost a list each time. */
  readonly ttlMsMin: number;
  readonly pagesMax: number;
  readonly toolsMax: number;
}

export interface Catalogue {
  tools(options: {
    readonly refresh: boolean;
    readonly signal: CancelSignal;
  }): Promise<ReadonlyMap<string, CatalogueTool>>;
  /** From memory alone: undefined while the tools are unknown or stale. */
  knowsTool(name: string): boolean | undefined;
  /** The arguments a tool mirrors into headers, as last listed. */
  paramHeaders(name: string): readonly ParamHeader[];
  /** Source text of a tool's input schema, as last listed. */
  inputSchema(name: string): string | undefined;
  /** Whether a tool runs as a task alone, as last listed. */
  needsTask(name: string): boolean;
  invalidate(): void;
}

type Tools = ReadonlyMap<string, CatalogueTool>;

const none: readonly ParamHeader[] = Object.freeze([]);

export function createCatalogue(options: CatalogueOptions): Catalogue {
  const { client, clock } = options;
  const { spec } = client;
  let known: { readonly tools: Tools; readonly untilMs: number } | undefined;
  let listing: Promise<Tools> | undefined;
  /** Kept past the TTL: an old answer beats none, and the server says when a header is missing. */
  let mirrored: ReadonlyMap<string, readonly ParamHeader[]> = new Map();
  let schemas: ReadonlyMap<string, string> = new Map();
  let taskTools: ReadonlySet<string> = new Set();
  let generation = 0;

  /** The shared listing has its own time limit: one caller that leaves must not end it for the others. */
  function listOnce(): Promise<Tools> {
    listing ??= list().finally(() => {
      listing = undefined;
    });
    return listing;
  }

  async function list(): Promise<Tools> {
    const startedIn = generation;
    const tools = await listPages(options);
    const ttlMs = Math.max(spec.listTtlMs, options.ttlMsMin);
    if (generation === startedIn) known = { tools, untilMs: clock.monotonicMs() + ttlMs };
    mirrored = new Map(
      [...tools.values()]
        .map(({ name, text }) => [name, readParamHeaders(text)] as const)
        .filter(([, headers]) => headers.length > 0),
    );
    schemas = readSchemas(tools);
    taskTools = new Set([...tools.values()].filter(({ text }) => needsTask(text)).map(nameOf));
    return tools;
  }

  function fresh(): Tools | undefined {
    return known !== undefined && known.untilMs > clock.monotonicMs() ? known.tools : undefined;
  }

  return {
    async tools({ refresh, signal }) {
      if (signal.aborted) throw errorOf(cancelled);
      const remembered = refresh ? undefined : fresh();
      return remembered ?? untilAborted(listOnce(), signal);
    },
    knowsTool: (name) => fresh()?.has(name),
    paramHeaders: (name) => mirrored.get(name) ?? none,
    inputSchema: (name) => schemas.get(name),
    needsTask: (name) => taskTools.has(name),
    invalidate() {
      generation += 1;
      known = undefined;
    },
  };
}

/** Opened once for each listing, so that a call finds the very same string again. */
function readSchemas(tools: Tools): ReadonlyMap<string, string> {
  return new Map(
    [...tools.values()].flatMap(({ name, text }) => {
      const schema = memberText(readObject(text), "inputSchema");
      return schema === undefined ? [] : [[name, schema] as const];
    }),
  );
}

function nameOf({ name }: CatalogueTool): string {
  return name;
}

async function listPages(options: CatalogueOptions): Promise<Tools> {
  const { client, clientCapabilitiesText, pagesMax, toolsMax } = options;
  const tools = new Map<string, CatalogueTool>();
  const { name, callTimeoutMs } = client.spec;
  let params: string | undefined;
  for (let page = 0; page < pagesMax; page += 1) {
    const outcome = await client.call(
      ownRequest("tools/list", params, clientCapabilitiesText),
      { signal: new Cancellation().signal, timeoutMs: callTimeoutMs, headers: {} },
      () => {},
    );
    if (outcome.kind === "fault") throw errorOf(outcome.fault);
    if (outcome.kind === "error") {
      // A server without tools says so; for everybody here that is an empty list.
      if (outcome.error.code === -32601) return tools;
      throw errorOf(invalidAnswer(name, `tools-list-error-${outcome.error.code}`));
    }
    const { result } = outcome;
    for (const { start } of arrayMember(result, "tools") ?? []) {
      if (result.text[start] !== "{") continue;
      const tool = readObject(result.text, start);
      const toolName = stringMember(tool, "name");
      if (toolName === undefined || tools.has(toolName)) continue;
      if (tools.size >= toolsMax) throw errorOf(invalidAnswer(name, "too-many-tools"));
      tools.set(toolName, { name: toolName, text: objectText(tool) });
    }
    const cursor = stringMember(result, "nextCursor");
    if (cursor === undefined) return tools;
    params = `{"cursor":${JSON.stringify(cursor)}}`;
  }
  throw errorOf(invalidAnswer(name, "too-many-pages"));
}

function untilAborted<T>(shared: Promise<T>, signal: CancelSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abandon = () => reject(errorOf(cancelled));
    signal.addEventListener("abort", abandon, { once: true });
    shared.then(resolve, reject).finally(() => signal.removeEventListener("abort", abandon));
  });
}
