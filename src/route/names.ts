/**
 * Names on both sides of the gateway: what a scope calls a tool or prompt, and what its server calls it. Server
 * names hold no underscore, so the first `__` always parts the two (PR-27). LLM APIs stop at 64 characters: a longer
 * name is cut and ends in a hash of the whole, so it is stable, and `LongNames` turns it back. Pure; authorize
 * resolves with it, route names lists with it.
 */
import { hash } from "node:crypto";
import type { Scope, Snapshot } from "../state/snapshot.ts";

export const nameSeparator = "__";
export const exposedCharsMax = 64;
const hashChars = 8;
const headChars = exposedCharsMax - hashChars - 1;

export type NamedKind = "tool" | "prompt";

export interface ResolvedName {
  readonly server: string;
  readonly name: string;
}

/** What shortened names stand for, as far as the servers' lists were seen. */
export interface LongNames {
  find(kind: NamedKind, exposed: string): ResolvedName | undefined;
  /** Remembers this name where it is one that needs it. */
  learn(kind: NamedKind, owner: ResolvedName): void;
}

/** The server and own name behind a name exposed in this scope; undefined where the scope has no such name. */
export function resolveName(
  scope: Scope,
  kind: NamedKind,
  exposed: string,
  servers: Snapshot["servers"],
  longNames: Pick<LongNames, "find">,
): ResolvedName | undefined {
  switch (scope.kind) {
    case "server":
      return { server: scope.name, name: exposed };
    case "all": {
      if (exposed.length > exposedCharsMax) return undefined;
      if (looksShortened(exposed)) {
        const found = longNames.find(kind, exposed);
        return found !== undefined && servers.has(found.server) ? found : undefined;
      }
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

/**
 * Whether a name needs a look into the lists: it may be a cut one. Some whole names look the same; they are looked up
 * too, so that each name stands for one target.
 */
export function looksShortened(exposed: string): boolean {
  return exposed.length === exposedCharsMax && /_[0-9a-f]{8}$/.test(exposed);
}

/** Whether a name that looks shortened can be one of this server's. */
export function mayExpose(server: string, exposed: string): boolean {
  const start = (server + nameSeparator).slice(0, headChars);
  return exposed.startsWith(start);
}

/** What this scope calls a server's tool or prompt; undefined where the scope leaves it out. */
export function exposeName(
  scope: Scope,
  kind: NamedKind,
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

/** `server__name`; a longer one keeps its head, in the characters every API takes, and a hash of the whole. */
export function joinName(server: string, name: string): string {
  const full = server + nameSeparator + name;
  if (full.length <= exposedCharsMax) return full;
  const head = full.slice(0, headChars).replace(/[^A-Za-z0-9_.-]/g, "_");
  return `${head}_${hash("sha256", full).slice(0, hashChars)}`;
}
