/**
 * All resources at one revision, as the services read them and preview changes of them. Pure; `change-state.ts` loads and
 * stores them, `tenants.ts` says who sees which.
 */
import type { Clock } from "../lib/clock.ts";
import { buildSnapshot, type CompilePolicy } from "../state/build.ts";
import type { ResourceKind } from "../state/resources.ts";
import type { Snapshot } from "../state/snapshot.ts";
import type { ResourceKey, StoredResource } from "../storage/store.ts";

/** Where a resource lies; a tenant only for the kinds whose names are unique within one. */
export interface ResourcePlace {
  readonly kind: ResourceKind;
  readonly tenant?: string | undefined;
  readonly name: string;
}

export type StateChange =
  | (ResourcePlace & { readonly body: object })
  | (ResourcePlace & { readonly delete: true });

/** All resources at one revision. */
export interface StateView {
  readonly stateRevision: number;
  find(kind: ResourceKind, name: string, tenant?: string): StoredResource | undefined;
  /** Whether anybody at all has the name, seen or not. */
  isTaken(place: ResourcePlace): boolean;
  /** Sorted by name, then by tenant. */
  list(kind: ResourceKind): readonly StoredResource[];
  /** What would be served were these changes made; throws invalid-params where they could not be. */
  preview(changes: readonly StateChange[]): Snapshot;
}

/** The state that was loaded, as somebody who may see all of it does. */
export function createView(
  { compile, clock }: { readonly compile: CompilePolicy; readonly clock: Clock },
  loaded: {
    readonly stateRevision: number;
    readonly resources: readonly StoredResource[];
  },
): StateView {
  const byKey = new Map(loaded.resources.map((one) => [keyOf(one), one]));
  return {
    stateRevision: loaded.stateRevision,
    find: (kind, name, tenant) => byKey.get(keyOf({ kind, tenant, name })),
    isTaken: (place) => byKey.has(keyOf(place)),
    list: (kind) =>
      loaded.resources
        .filter((one) => one.kind === kind)
        .map((one) => ({ one, position: positionOf(one) }))
        .sort((a, b) => (a.position < b.position ? -1 : 1))
        .map(({ one }) => one),
    preview(changes) {
      const { stateRevision } = loaded;
      const next = applyChanges(loaded.resources, changes, stateRevision, clock.nowMs());
      return buildSnapshot(stateRevision, next, compile);
    },
  };
}

/** The resources as they are once the changes were made. */
export function applyChanges(
  resources: readonly StoredResource[],
  changes: readonly StateChange[],
  stateRevision: number,
  nowMs: number,
): readonly StoredResource[] {
  const next = new Map(resources.map((one) => [keyOf(one), one]));
  for (const change of changes) {
    const key = keyOf(change);
    if ("delete" in change) {
      next.delete(key);
      continue;
    }
    next.set(key, {
      kind: change.kind,
      tenant: change.tenant,
      name: change.name,
      body: plain(change.body),
      createdAtMs: next.get(key)?.createdAtMs ?? nowMs,
      updatedAtMs: nowMs,
      stateRevision,
    });
  }
  return [...next.values()];
}

/** A body as a JSON value without undefined members, as it comes back from any store. */
export function plain(body: object): unknown {
  return JSON.parse(JSON.stringify(body));
}

/** Where a resource stands in a list, as one text that sorts by name first: names hold nothing below a quote. */
export function positionOf({ name, tenant = "" }: Pick<StoredResource, "name" | "tenant">): string {
  return JSON.stringify([name, tenant]);
}

function keyOf({ kind, tenant = "", name }: ResourceKey): string {
  return JSON.stringify([kind, tenant, name]);
}
