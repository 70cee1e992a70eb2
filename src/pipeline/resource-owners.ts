/**
 * Whose resource is it? In a scope of several servers a URI does not name its server, so the servers' own lists
 * decide: the first (in name order) that lists the URI, or has a template it fits, among those the caller may ask.
 * What was learnt is remembered for a while, bounded.
 */
import type { Clock } from "../lib/clock.ts";
import { includesUri } from "../route/merge.ts";
import { serversOf } from "../route/names.ts";
import { matchesUri } from "../route/uri-pattern.ts";
import type { Servers } from "../servers/client.ts";
import type { Scope, Snapshot } from "../state/snapshot.ts";
import type { ServerChanges } from "./server-changes.ts";
import { readList } from "./server-lists.ts";

export interface OwnerQuestion {
  readonly scope: Scope;
  readonly uri: string;
  readonly snapshot: Snapshot;
  /** Whether the caller may read the URI from this server. */
  readonly may: (server: string) => boolean;
}

export interface ResourceOwners {
  /** The server to ask; undefined where no server of the scope may be asked or knows the URI. */
  find(question: OwnerQuestion): string | undefined | Promise<string | undefined>;
}

interface KnownResources {
  readonly uris: ReadonlySet<string>;
  /** Templates as patterns: each `{…}` stands for any run of characters. */
  readonly patterns: readonly string[];
}

interface Learnt {
  readonly untilMs: number;
  readonly stateRevision: number;
  /** Of its resources, as the server told them. */
  readonly changes: number;
  readonly resources: Promise<KnownResources>;
}

export function createResourceOwners(deps: {
  readonly servers: Servers;
  readonly changes: ServerChanges;
  readonly clock: Clock;
  readonly ttlMs: number;
}): ResourceOwners {
  /** By server name, so it is bounded by the number of registered servers. */
  const known = new Map<string, Learnt>();

  async function firstKnowing(
    candidates: readonly string[],
    question: OwnerQuestion,
  ): Promise<string | undefined> {
    for (const server of candidates) {
      const resources = await learn(server, question.snapshot.stateRevision);
      if (resources.uris.has(question.uri)) return server;
      if (resources.patterns.some((pattern) => matchesUri(pattern, question.uri))) return server;
    }
    return undefined;
  }

  function learn(server: string, stateRevision: number): Promise<KnownResources> {
    const nowMs = deps.clock.monotonicMs();
    const changes = deps.changes.count([server], "resources/list");
    const found = known.get(server);
    const isCurrent = found?.stateRevision === stateRevision && found.changes === changes;
    if (found !== undefined && isCurrent && found.untilMs > nowMs) return found.resources;
    const resources = readResources(deps.servers, server);
    known.set(server, { untilMs: nowMs + deps.ttlMs, stateRevision, changes, resources });
    return resources;
  }

  return {
    find(question) {
      const { scope, uri, snapshot, may } = question;
      const candidates = serversOf(scope, snapshot.servers).filter(
        (server) => includesUri(scope, server, uri) && may(server),
      );
      return candidates.length <= 1 ? candidates[0] : firstKnowing(candidates, question);
    },
  };
}

async function readResources(servers: Servers, server: string): Promise<KnownResources> {
  const uris = await readList(servers, server, {
    method: "resources/list",
    listMember: "resources",
    member: "uri",
  });
  const templates = await readList(servers, server, {
    method: "resources/templates/list",
    listMember: "resourceTemplates",
    member: "uriTemplate",
  });
  return {
    uris: new Set(uris),
    patterns: templates.map((template) => template.replaceAll(/\{[^}]*\}/g, "*")),
  };
}
