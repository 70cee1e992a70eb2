/**
 * The fixed table of paths. A path matches exactly as it was sent or not at all: no decoding, no folding of case,
 * dots or slashes, so that no rule ever sees one form and the route another (TH-12, TH-16).
 */
export type Endpoint =
  | {
      readonly kind: "http" | "sse" | "websocket" | "ticket";
      readonly scope: string;
      readonly path: string;
    }
  | {
      readonly kind: "resource-metadata";
      readonly resourcePath: string;
      readonly resourceScope: string;
    }
  | { readonly kind: "authorization-server" }
  | { readonly kind: "consent"; readonly step: "page" | "login" | "callback" }
  | { readonly kind: "root" }
  | { readonly kind: "health" };

export interface RequestTarget {
  readonly path: string;
  /** Without the `?`; empty where there is none. */
  readonly query: string;
}

const scopeName = /^[a-z0-9][a-z0-9-]{0,62}$/;
const metadataPath = "/.well-known/oauth-protected-resource";
const suffixes = new Map<string, "http" | "sse" | "websocket" | "ticket">([
  ["mcp", "http"],
  ["sse", "sse"],
  ["ws", "websocket"],
  ["ws-ticket", "ticket"],
]);

/**
 * Takes a request's URL apart without normalising anything. Bun gives an absolute URL where `Host` is a proper
 * one, and the bare target where it is not.
 */
export function readTarget(url: string): RequestTarget {
  const authority = url.startsWith("/") ? -1 : url.indexOf("//");
  const pathStart = authority === -1 ? 0 : url.indexOf("/", authority + 2);
  const mark = url.indexOf("?", pathStart);
  return {
    path: mark === -1 ? url.slice(pathStart) : url.slice(pathStart, mark),
    query: mark === -1 ? "" : url.slice(mark + 1),
  };
}

export function matchPath(path: string): Endpoint | undefined {
  switch (path) {
    case "/mcp":
      return { kind: "http", scope: "all", path };
    case "/ws":
      return { kind: "websocket", scope: "all", path };
    case "/":
      return { kind: "root" };
    case "/health":
      return { kind: "health" };
    case "/consent":
      return { kind: "consent", step: "page" };
    case "/consent/login":
      return { kind: "consent", step: "login" };
    case "/consent/callback":
      return { kind: "consent", step: "callback" };
    case metadataPath:
      return { kind: "resource-metadata", resourcePath: "/mcp", resourceScope: "all" };
    case "/.well-known/oauth-authorization-server":
      return { kind: "authorization-server" };
    default:
      return matchScoped(path);
  }
}

/** Path of the RFC 9728 document for an endpoint's path. */
export function metadataPathOf(resourcePath: string): string {
  // A ticket is asked for with the token of the endpoint it opens.
  return metadataPath + resourcePath.replace(/\/ws-ticket$/, "/ws");
}

function matchScoped(path: string): Endpoint | undefined {
  if (path.startsWith(`${metadataPath}/`)) {
    const resourcePath = path.slice(metadataPath.length);
    const resource = matchPath(resourcePath);
    if (resource === undefined || !("scope" in resource) || resource.kind === "ticket") {
      return undefined;
    }
    return { kind: "resource-metadata", resourcePath, resourceScope: resource.scope };
  }
  const slash = path.indexOf("/", 1);
  const kind = suffixes.get(path.slice(slash + 1));
  const scope = path.slice(1, slash);
  if (slash === -1 || kind === undefined || !scopeName.test(scope)) return undefined;
  return { kind, scope, path };
}
