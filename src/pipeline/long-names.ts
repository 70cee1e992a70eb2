/**
 * What shortened names stand for. A name too long to be exposed is cut and marked with a hash (`route/names.ts`), so
 * only who has seen a server's list can turn it back. Lists that pass through teach it; a name it does not know, as
 * after a restart, it looks up in the lists of the servers that may have it. The mapping never changes, so what was
 * learnt stays true; it is bounded, and what was forgotten is looked up again.
 */
import {
  joinName,
  type LongNames,
  looksShortened,
  mayExpose,
  type NamedKind,
  type ResolvedName,
} from "../route/names.ts";
import type { Servers } from "../servers/client.ts";
import type { Log } from "../telemetry/log.ts";
import { readList } from "./server-lists.ts";

export interface LongNameMemory extends LongNames {
  /** Asks those of the servers that may have the name; afterwards `find` knows it, or nobody has it. */
  lookUp(asked: {
    readonly kind: NamedKind;
    readonly exposed: string;
    readonly servers: readonly string[];
    /** Source text of what the agent declares: a server may list more for it. */
    readonly clientCapabilitiesText: string;
  }): Promise<void>;
}

const namesMax = 100_000;
/** So many collisions are logged, each once. */
const toldMax = 1_000;

const lists = {
  tool: { method: "tools/list", listMember: "tools", member: "name" },
  prompt: { method: "prompts/list", listMember: "prompts", member: "name" },
} as const;

export function createLongNames(deps: {
  readonly servers: Servers;
  readonly log: Log;
}): LongNameMemory {
  const known = { tool: new Map<string, ResolvedName>(), prompt: new Map<string, ResolvedName>() };
  const told = new Set<string>();

  /** Two names that are exposed alike: the first in order has the name, whichever was met first. */
  function learn(kind: NamedKind, owner: ResolvedName): void {
    const exposed = joinName(owner.server, owner.name);
    if (!looksShortened(exposed)) return;
    const names = known[kind];
    const holder = names.get(exposed);
    if (holder?.name === owner.name && holder.server === owner.server) return;
    if (holder !== undefined) {
      const isFirst = holder.server + holder.name < owner.server + owner.name;
      const [kept, hidden] = isFirst ? [holder, owner] : [owner, holder];
      names.set(exposed, kept);
      if (told.has(exposed) || told.size >= toldMax) return;
      told.add(exposed);
      deps.log.warn("name-collision", { exposed, kept: kept.name, hidden: hidden.name });
      return;
    }
    const [oldest] = names.size < namesMax ? [] : names.keys();
    if (oldest !== undefined) names.delete(oldest);
    names.set(exposed, owner);
  }

  return {
    find: (kind, exposed) => known[kind].get(exposed),
    learn,
    async lookUp({ kind, exposed, servers, clientCapabilitiesText }) {
      for (const server of servers) {
        if (!mayExpose(server, exposed)) continue;
        const names = await readList(deps.servers, server, lists[kind], clientCapabilitiesText);
        for (const name of names) learn(kind, { server, name });
      }
    },
  };
}
