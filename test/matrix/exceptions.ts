/**
 * The cells of the matrix that do not work, and why. `impossible` is a fact of a revision or of an SDK; `gap` is ours to
 * close. A cell named here that works fails the run, like any other that does not.
 */
export interface Exception {
  readonly kind: "impossible" | "gap";
  /** Ids of servers, clients and features; left out = all of them. */
  readonly servers?: readonly string[];
  readonly clients?: readonly string[];
  readonly features?: readonly string[];
  /** One sentence, as the table's footnote has it. */
  readonly reason: string;
}

export const exceptions: readonly Exception[] = [
  {
    kind: "impossible",
    servers: ["v2-sse"],
    reason: "SDK v2 has no server for HTTP+SSE.",
  },
  {
    kind: "impossible",
    clients: ["v2-modern-sse"],
    reason: "Revision 2026-07-28 has no HTTP+SSE; there the client falls back to the older ones.",
  },
  {
    kind: "impossible",
    servers: ["v2-stdio", "v2-http", "v2-http-legacy", "v2-ws"],
    features: ["tasks"],
    reason:
      "No tasks: servers of SDK v2 have neither those of 2025-11-25 nor the extension of 2026-07-28.",
  },
];

interface CellName {
  readonly server: string;
  readonly client: string;
  readonly feature: string;
}

/** The first that names the cell. */
export function findException(
  { server, client, feature }: CellName,
  all: readonly Exception[] = exceptions,
): Exception | undefined {
  const isNamed = (names: readonly string[] | undefined, name: string) =>
    names === undefined || names.includes(name);
  return all.find(
    ({ servers, clients, features }) =>
      isNamed(servers, server) && isNamed(clients, client) && isNamed(features, feature),
  );
}
