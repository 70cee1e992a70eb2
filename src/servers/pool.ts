/**
 * All registered servers: one client and one catalogue each, connected at first use. `apply` makes the set match a new
 * snapshot: servers whose spec did not change keep their connections, the others finish what they had begun.
 */
import { isDeepStrictEqual } from "node:util";
import { GatewayError } from "../errors/fault.ts";
import type { ServerStatus, Servers } from "./client.ts";
import { createEntry, createRooms, type Entry, type EntryDeps } from "./entry.ts";
import { consentRequired, errorOf } from "./faults.ts";
import { defaultServersLimits, type ServersLimits } from "./limits.ts";
import type { ServerSpec } from "./spec.ts";
import type { AccessCaller } from "./user-access.ts";

export interface ServersOptions extends EntryDeps {
  readonly specs?: ReadonlyMap<string, ServerSpec>;
  readonly limits?: Partial<ServersLimits>;
}

export function createServers(options: ServersOptions): Servers {
  const limits = { ...defaultServersLimits, ...options.limits };
  const rooms = createRooms(limits);
  const entries = new Map<string, Entry>();
  const disabled = new Set<string>();
  const retiring = new Set<Promise<void>>();
  let isClosed = false;

  function retire(entry: Entry): void {
    const ending = entry.client.retire(limits.drainTimeoutMs).catch((error: unknown) => {
      options.log.warn("upstream.close-failed", { server: entry.spec.name, error: String(error) });
    });
    retiring.add(ending);
    void ending.finally(() => retiring.delete(ending));
  }

  function apply(specs: ReadonlyMap<string, ServerSpec>): void {
    if (isClosed) return;
    disabled.clear();
    for (const [name, entry] of entries) {
      const next = specs.get(name);
      if (next?.enabled && isDeepStrictEqual(next, entry.spec)) continue;
      entries.delete(name);
      retire(entry);
    }
    for (const [name, spec] of specs) {
      if (!spec.enabled) disabled.add(name);
      else if (!entries.has(name)) entries.set(name, createEntry(spec, options, limits, rooms));
    }
  }

  if (options.specs !== undefined) apply(options.specs);
  options.metrics.gauge("mcp_gateway_upstream_ready", () =>
    [...entries].map(([server, { client }]) => ({
      labels: { server },
      value: client.status().state === "ready" ? 1 : 0,
    })),
  );
  options.metrics.gauge("mcp_gateway_parked_calls", () =>
    [...entries].map(([server, { client }]) => ({
      labels: { server },
      value: client.parkedCalls(),
    })),
  );

  const catalogueOf = (name: string, declared = "{}", caller?: AccessCaller) => {
    const entry = entries.get(name);
    if (entry?.consenting === undefined) return entry?.catalogues?.of(declared);
    return entry.consenting.knownCatalogues(caller)?.of(declared);
  };

  return {
    get: (name) => entries.get(name)?.client,
    async tools(name, asked) {
      const declared = asked.clientCapabilitiesText;
      const consenting = entries.get(name)?.consenting;
      if (consenting !== undefined) {
        const own = await consenting.catalogues(asked.caller);
        if (own === undefined) throw errorOf(consentRequired(name));
        return own.of(declared ?? "{}").tools(asked);
      }
      const catalogue = catalogueOf(name, declared);
      if (catalogue === undefined) throw new GatewayError("scope-unknown", "Not found");
      return catalogue.tools(asked);
    },
    paramHeaders: (name, tool, declared, caller) =>
      catalogueOf(name, declared, caller)?.paramHeaders(tool) ?? [],
    knowsTool: (name, tool, declared, caller) =>
      catalogueOf(name, declared, caller)?.knowsTool(tool),
    inputSchema: (name, tool, declared, caller) =>
      catalogueOf(name, declared, caller)?.inputSchema(tool),
    authorization: (name) => entries.get(name)?.authorization,
    status(name) {
      const entry = entries.get(name);
      if (entry !== undefined) return entry.client.status();
      return disabled.has(name) ? disabledStatus(name) : undefined;
    },
    apply,
    async close() {
      isClosed = true;
      const closing = [...entries.values()].map(({ client }) => client.close());
      entries.clear();
      await Promise.allSettled([...closing, ...retiring]);
    },
  };
}

function disabledStatus(name: string): ServerStatus {
  return {
    name,
    state: "disabled",
    era: undefined,
    revision: undefined,
    lastError: undefined,
    consecutiveFailures: 0,
    inFlight: 0,
    restarts: 0,
  };
}
