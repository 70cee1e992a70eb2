/**
 * An HTTP relay that passes everything on, and does one thing wrong where its switch is on: what a careless gateway
 * would forget. Stands on either side of the gateway; a test of ours that goes on passing with a switch on sees
 * nothing. Streams pass through event by event.
 */
export const relayFaults = [
  "get-stream",
  "delete",
  "sse-ids",
  "retry",
  "resumption",
  "origin",
  "initialized",
  "cancelled",
  "list-changed",
  "resources-updated",
  "next-cursor",
  "output-schema",
  "structured-content",
  "annotations",
  "instructions",
  "logger",
  "schema-keywords",
] as const;
export type RelayFault = (typeof relayFaults)[number];

export interface FaultRelay extends AsyncDisposable {
  /** `http://127.0.0.1:<port>` */
  readonly base: string;
}

type Json = { [name: string]: unknown };

/** Notifications that a switch makes vanish. */
const dropped: Partial<Record<RelayFault, (method: string) => boolean>> = {
  initialized: (method) => method === "notifications/initialized",
  cancelled: (method) => method === "notifications/cancelled",
  "list-changed": (method) => method.endsWith("/list_changed"),
  "resources-updated": (method) => method === "notifications/resources/updated",
};

/** Members that a switch makes vanish, wherever they stand. */
const stripped: Partial<Record<RelayFault, readonly string[]>> = {
  "next-cursor": ["nextCursor"],
  "output-schema": ["outputSchema"],
  "structured-content": ["structuredContent"],
  annotations: ["annotations"],
  instructions: ["instructions"],
  logger: ["logger"],
  "schema-keywords": ["$schema", "additionalProperties", "anyOf", "pattern", "format"],
};

/** `target` is the origin behind the relay. */
export function startFaultRelay(target: string, faults: ReadonlySet<RelayFault>): FaultRelay {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    async fetch(request) {
      const { pathname, search } = new URL(request.url);
      if (request.method === "GET" && faults.has("get-stream")) {
        return new Response(null, { status: 405 });
      }
      if (request.method === "DELETE" && faults.has("delete")) {
        return new Response(null, { status: 200 });
      }
      const headers = forwardedHeaders(request.headers, faults);
      const body = request.method === "POST" ? alterText(await request.text(), faults) : null;
      if (body === undefined) return new Response(null, { status: 202 });
      const response = await fetch(target + pathname + search, {
        method: request.method,
        headers,
        body,
        signal: request.signal,
        redirect: "manual",
      });
      return answer(response, faults);
    },
    error: () => new Response(null, { status: 502 }),
  });
  return {
    base: `http://127.0.0.1:${server.port}`,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

function forwardedHeaders(given: Headers, faults: ReadonlySet<RelayFault>): Headers {
  const headers = new Headers(given);
  for (const name of ["host", "connection", "content-length"]) headers.delete(name);
  if (faults.has("origin")) headers.delete("origin");
  if (faults.has("resumption")) headers.delete("last-event-id");
  return headers;
}

async function answer(response: Response, faults: ReadonlySet<RelayFault>): Promise<Response> {
  const { status } = response;
  const headers = new Headers(response.headers);
  headers.delete("content-length");
  if (headers.get("content-type")?.startsWith("text/event-stream") && response.body !== null) {
    return new Response(response.body.pipeThrough(alterEvents(faults)), { status, headers });
  }
  const text = await response.text();
  return new Response(text === "" ? null : alterText(text, faults), { status, headers });
}

/** Whole events, each with the lines that the switches leave of it. */
function alterEvents(faults: ReadonlySet<RelayFault>): TransformStream<Uint8Array, Uint8Array> {
  const decoder = new TextDecoder();
  const encoder = new TextEncoder();
  let rest = "";
  return new TransformStream({
    transform(chunk, controller) {
      const events = (rest + decoder.decode(chunk, { stream: true })).split("\n\n");
      rest = events.pop() ?? "";
      for (const event of events) {
        const altered = alterEvent(event, faults);
        if (altered !== undefined) controller.enqueue(encoder.encode(`${altered}\n\n`));
      }
    },
  });
}

function alterEvent(event: string, faults: ReadonlySet<RelayFault>): string | undefined {
  const lines = event.split("\n");
  const data = lines.filter((line) => line.startsWith("data: ")).map((line) => line.slice(6));
  const others = lines.filter((line) => {
    if (line.startsWith("id:")) return !faults.has("sse-ids");
    if (line.startsWith("retry:")) return !faults.has("retry");
    return !line.startsWith("data: ");
  });
  if (data.length === 0) return others.length === 0 ? undefined : others.join("\n");
  const altered = alterText(data.join("\n"), faults);
  return altered === undefined ? undefined : [...others, `data: ${altered}`].join("\n");
}

/** The message's text as it goes on; undefined where it is dropped. What is no JSON passes. */
function alterText(text: string, faults: ReadonlySet<RelayFault>): string | undefined {
  if (!text.startsWith("{")) return text;
  const message = JSON.parse(text) as Json;
  const method = typeof message.method === "string" ? message.method : "";
  for (const fault of faults) if (dropped[fault]?.(method)) return undefined;
  const names = new Set([...faults].flatMap((fault) => stripped[fault] ?? []));
  return names.size === 0 ? text : JSON.stringify(without(message, names));
}

function without(value: unknown, names: ReadonlySet<string>): unknown {
  if (Array.isArray(value)) return value.map((element) => without(element, names));
  if (typeof value !== "object" || value === null) return value;
  const kept = Object.entries(value).filter(([name]) => !names.has(name));
  return Object.fromEntries(kept.map(([name, inner]) => [name, without(inner, names)]));
}
