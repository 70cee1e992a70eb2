/**
 * The store of what operators manage, with servers' secrets sealed on their way in and opened on their way out: what
 * lies in the database is of no use without `secrets.key`, and everything above sees plain specs. Compose puts it in
 * front of the database; nothing else of a body is touched.
 */
import { type ResourceStore, type StoredResource, StoreError } from "../../storage/store.ts";
import { isSealed, type SecretSealer } from "./sealing.ts";

type Change = (place: string, value: string) => string;
type Members = Readonly<Record<string, unknown>>;

export function sealResources(store: ResourceStore, sealer: SecretSealer): ResourceStore {
  const open: Change = (place, value) => (isSealed(value) ? sealer.open(place, value) : value);
  return {
    async load() {
      const { stateRevision, resources } = await store.load();
      return { stateRevision, resources: resources.map((one) => withSecrets(one, open)) };
    },
    write: (changes, expectedRevision, nowMs) =>
      store.write(
        changes.map((one) => ("body" in one ? withSecrets(one, sealer.seal) : one)),
        expectedRevision,
        nowMs,
      ),
    revision: store.revision,
    watch: store.watch,
  };
}

const attemptsMax = 5;

/**
 * Seals what an older gateway stored plainly; returns how many servers that were. Nodes that start at once do it
 * beside each other: who comes second finds nothing left to do.
 */
export async function sealStored(
  store: ResourceStore,
  sealer: SecretSealer,
  nowMs: number,
): Promise<number> {
  for (let attempt = 1; ; attempt += 1) {
    const { stateRevision, resources } = await store.load();
    const plain = resources.filter(hasPlainSecrets);
    if (plain.length === 0) return 0;
    const seal: Change = (place, value) => (isSealed(value) ? value : sealer.seal(place, value));
    const changes = plain.map((one) => withSecrets(one, seal));
    try {
      await store.write(
        changes.map(({ kind, name, body }) => ({ kind, name, body })),
        stateRevision,
        nowMs,
      );
      return plain.length;
    } catch (error) {
      const isConflict = error instanceof StoreError && error.kind === "conflict";
      if (!isConflict || attempt === attemptsMax) throw error;
    }
  }
}

function hasPlainSecrets(resource: StoredResource): boolean {
  let found = false;
  withSecrets(resource, (_place, value) => {
    found ||= !isSealed(value);
    return value;
  });
  return found;
}

/** The resource with every secret of a server replaced; anything but a server stays the object it is. */
function withSecrets<T extends { readonly kind: string; readonly name: string; body: unknown }>(
  resource: T,
  change: Change,
): T {
  const { kind, name, body } = resource;
  if (kind !== "server" || !isMembers(body)) return resource;
  const of = (field: string) => (key: string, value: string) =>
    change(`server ${JSON.stringify(name)}: ${field} ${key}`, value);
  const inAuth = of("auth");
  return {
    ...resource,
    body: replaceIn(body, {
      transport: (transport) =>
        replaceIn(transport, {
          headers: (headers) => replaceAll(headers, of("header")),
          environment: (environment) => replaceAll(environment, of("environment")),
        }),
      auth: (auth) =>
        replaceIn(replaceNamed(auth, ["gatewaySecret"], inAuth), {
          oauth: (oauth) => replaceNamed(oauth, ["clientSecret", "privateKey"], inAuth),
        }),
    }),
  };
}

/** Replaces the members that are there and are objects. */
function replaceIn(
  body: Members,
  replace: Readonly<Record<string, (inner: Members) => Members>>,
): Members {
  const replaced: Record<string, unknown> = { ...body };
  for (const [key, change] of Object.entries(replace)) {
    const inner = body[key];
    if (isMembers(inner)) replaced[key] = change(inner);
  }
  return replaced;
}

function replaceAll(members: Members, change: (key: string, value: string) => string): Members {
  return replaceNamed(members, Object.keys(members), change);
}

function replaceNamed(
  members: Members,
  names: readonly string[],
  change: (key: string, value: string) => string,
): Members {
  const replaced: Record<string, unknown> = { ...members };
  for (const name of names) {
    const value = members[name];
    if (typeof value === "string") replaced[name] = change(name, value);
  }
  return replaced;
}

function isMembers(value: unknown): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
