/**
 * What a client's lists and a role's permissions grant, parsed once into sets that answer in constant time. A
 * wildcard is a whole segment or an error: an entry that would silently grant nothing is refused at compile time.
 */
import { GatewayError } from "../errors/fault.ts";
import type { TargetKind } from "../protocol/methods.ts";
import type { ClientGrants, Role } from "./rule.ts";
import { canonicalPattern, canonicalUri, matchesGlob } from "./uri.ts";

/** How much of a refused entry its error repeats. */
const shownCharsMax = 128;

/** Everything one client or role grants. */
export interface Grants {
  has(kind: TargetKind, server: string, target: string): boolean;
  /** Whether anything at all on this server is granted, or the server itself is shown. */
  touches(kind: TargetKind, server: string): boolean;
}

/** Targets by server; `*` stands for any server, and as a target for all of them. */
type TargetSet = Map<string, Set<string>>;
type Sets = Readonly<Record<TargetKind, TargetSet>>;

const joint = "__";

export function parseClientGrants(client: ClientGrants): Grants {
  const sets = emptySets();
  const owner = `client "${client.id}"`;
  for (const entry of client.allowedTools) addListed(sets.tool, entry, `${owner}: allowedTools`);
  for (const entry of client.allowedPrompts) {
    addListed(sets.prompt, entry, `${owner}: allowedPrompts`);
  }
  const patterns = client.allowedResources.map((pattern) => {
    const canonical = canonicalPattern(pattern);
    if (canonical !== undefined) return canonical;
    return refuse(`${owner}: allowedResources`, pattern, "an absolute URI without dot segments");
  });
  return {
    has: (kind, server, target) =>
      kind === "resource"
        ? patterns.some((pattern) => matchesGlob(pattern, target))
        : holds(sets[kind], server, target),
    touches: (kind, server) =>
      kind === "resource" ? patterns.length > 0 : mentions(sets[kind], server),
  };
}

export function parseRoleGrants(role: Role): Grants {
  const sets = emptySets();
  const shown: TargetSet = new Map();
  for (const { resource, actions } of role.permissions) {
    const { server, target } = parsePermission(resource, `role "${role.name}"`);
    for (const action of actions) {
      const all = action === "*";
      if (all || action === "invoke_tool") add(sets.tool, server, target);
      if (all || action === "get_prompt") add(sets.prompt, server, target);
      if (all || action === "read_resource") {
        add(sets.resource, server, target === "*" ? target : canonicalUri(target));
      }
      // Seeing a tool without being able to call it does not exist (P23); the permission shows the server alone.
      if (action === "list_tools") add(shown, server, target);
    }
  }
  return {
    has: (kind, server, target) => holds(sets[kind], server, target),
    touches: (kind, server) =>
      mentions(sets[kind], server) || (kind === "tool" && mentions(shown, server)),
  };
}

function emptySets(): Sets {
  return { tool: new Map(), prompt: new Map(), resource: new Map() };
}

/** `server__name`, `server__*` or `*`. Server names never hold `__`, so the first one is the joint. */
function addListed(set: TargetSet, entry: string, where: string): void {
  if (entry === "*") {
    add(set, "*", "*");
    return;
  }
  const at = entry.indexOf(joint);
  const server = entry.slice(0, at);
  const target = entry.slice(at + joint.length);
  if (at < 1 || !isWhole(target) || server.includes("*")) {
    refuse(where, entry, "`server__name`, `server__*` or `*`");
  }
  add(set, server, target);
}

/** `mcp:{server}:{target}`; the target may itself hold colons. */
function parsePermission(resource: string, where: string) {
  if (resource === "*") return { server: "*", target: "*" };
  const [scheme, server = ""] = resource.split(":", 2);
  const target = resource.slice(`mcp:${server}:`.length);
  if (scheme !== "mcp" || !isWhole(server) || !isWhole(target)) {
    refuse(where, resource, "`mcp:{server}:{target}`, where a segment may be `*` as a whole");
  }
  return { server, target };
}

function isWhole(segment: string): boolean {
  return segment === "*" || (segment !== "" && !segment.includes("*"));
}

function add(set: TargetSet, server: string, target: string | undefined): void {
  if (target === undefined) return;
  const targets = set.get(server) ?? new Set();
  set.set(server, targets.add(target));
}

function holds(set: TargetSet, server: string, target: string): boolean {
  return has(set.get(server), target) || has(set.get("*"), target);
}

function has(targets: Set<string> | undefined, target: string): boolean {
  return targets !== undefined && (targets.has("*") || targets.has(target));
}

function mentions(set: TargetSet, server: string): boolean {
  return set.has(server) || set.has("*");
}

function refuse(where: string, found: string, allowed: string): never {
  const shown = found.length > shownCharsMax ? `${found.slice(0, shownCharsMax)}…` : found;
  throw new GatewayError("invalid-params", `${where}: "${shown}" is not ${allowed}`);
}
