/**
 * Names on both sides of the gateway: what a scope calls a tool or prompt, and what its server calls it. Server
 * names hold no underscore, so the first `__` always parts the two (PR-27). Pure; authorize resolves with it, route
 * names lists with it.
 */
import type { Scope, Snapshot } from "../state/snapshot.ts";

export const nameSeparator = "__";

export interface ResolvedName {
  readonly server: string;
  readonly name: string;
}

/** The server and own name behind a name exposed in this scope; undefined where the scope has no such name. */
export function resolveName(
  scope: Scope,
  kind: "tool" | "prompt",
  exposed: string,
  servers: Snapshot["servers"],
): ResolvedName | undefined {
  switch (scope.kind) {
    case "server":
      return { server: scope.name, name: exposed };
    case "all": {
      const at = exposed.indexOf(nameSeparator);
      if (at <= 0) return undefined;
      const server = exposed.slice(0, at);
      return servers.has(server)
        ? { server, name: exposed.slice(at + nameSeparator.length) }
        : undefined;
    }
    case "virtual": {
      const members = kind === "tool" ? scope.virtual.tools : scope.virtual.prompts;
      const found = members.find(
        (member) => (member.exposedName ?? joinName(member.server, member.name)) === exposed,
      );
      if (found === undefined || !servers.has(found.server)) return undefined;
      return { server: found.server, name: found.name };
    }
    default: {
      const never: never = scope;
      return never;
    }
  }
}

/** What this scope calls a server's tool or prompt; undefined where the scope leaves it out. */
export function exposeName(
  scope: Scope,
  kind: "tool" | "prompt",
  server: string,
  name: string,
): string | undefined {
  switch (scope.kind) {
    case "server":
      return name;
    case "all":
      return joinName(server, name);
    case "virtual": {
      const members = kind === "tool" ? scope.virtual.tools : scope.virtual.prompts;
      const found = members.find((member) => member.server === server && member.name === name);
      return found && (found.exposedName ?? joinName(server, name));
    }
    default: {
      const never: never = scope;
      return never;
    }
  }
}

/** Names of the servers a scope draws on, in a stable order. */
export function serversOf(scope: Scope, servers: Snapshot["servers"]): readonly string[] {
  switch (scope.kind) {
    case "server":
      return servers.has(scope.name) ? [scope.name] : [];
    case "all":
      return [...servers.keys()].sort();
    case "virtual": {
      const { tools, prompts, resources } = scope.virtual;
      const named = [...tools, ...prompts, ...resources].map((member) => member.server);
      return [...new Set(named)].filter((name) => servers.has(name)).sort();
    }
    default: {
      const never: never = scope;
      return never;
    }
  }
}

function joinName(server: string, name: string): string {
  return server + nameSeparator + name;
}
