/**
 * The one way to change what operators manage: load everything, apply the change, build the whole next snapshot, and
 * only then store it with compare-and-set and serve it. An invalid change stores nothing. Called by the services.
 */
import { GatewayError } from "../errors/fault.ts";
import type { Clock } from "../lib/clock.ts";
import { buildSnapshot, type CompilePolicy } from "../state/build.ts";
import type { SwappableSnapshot } from "../state/current.ts";
import { type ResourceChange, type ResourceStore, StoreError } from "../storage/store.ts";
import type { Operator } from "./caller.ts";
import type { PolicyHistory } from "./policy-history.ts";
import { applyChanges, createView, plain, type StateChange, type StateView } from "./state-view.ts";
import { needOwn, type Onlooker, tenantOfChanges, visibleTo } from "./tenants.ts";

export interface WriteOptions {
  /** Who writes: `Mutate` sees what they see, and touches nothing else. */
  readonly by: Pick<Operator, "name" | "tenant">;
  /** 0 = whatever the current revision is; the change is then retried on a conflict. */
  readonly expectedRevision: number;
  readonly validateOnly: boolean;
  /** The draft whose changes of policy these are. */
  readonly draft?: string | undefined;
}

export interface Written {
  /** The new revision; the current one where nothing was changed. */
  readonly stateRevision: number;
  /** What the state is (or, validating only, would be) after the change, as its writer sees it. */
  readonly after: StateView;
  /** The tenant that the change is about, where it is about one. */
  readonly tenant: string | undefined;
}

/** May run more than once; throws GatewayError to refuse. */
export type Mutate = (view: StateView) => readonly StateChange[];

export interface StateWriter {
  /** What `operator` may see, straight from the store: an operator sees their own write on every node. */
  read(operator: Onlooker): Promise<StateView>;
  write(mutate: Mutate, options: WriteOptions): Promise<Written>;
}

export interface ChangeStateDeps {
  readonly store: ResourceStore;
  readonly current: SwappableSnapshot;
  readonly compile: CompilePolicy;
  readonly clock: Clock;
  readonly history: PolicyHistory;
  /** Attempts where the caller expects no certain revision. */
  readonly attemptsMax?: number;
  /** Resources of all kinds together. */
  readonly resourcesMax?: number;
}

export function changeState(deps: ChangeStateDeps): StateWriter {
  // One write at a time in this process, so only other processes can conflict with it.
  let last: Promise<unknown> = Promise.resolve();
  return {
    read: async (operator) => visibleTo(operator, createView(deps, await deps.store.load())),
    write(mutate, options) {
      const written = last.then(() => writeWithRetry(deps, mutate, options));
      last = written.catch(() => undefined);
      return written;
    },
  };
}

async function writeWithRetry(
  deps: ChangeStateDeps,
  mutate: Mutate,
  options: WriteOptions,
): Promise<Written> {
  const attempts = options.expectedRevision === 0 ? (deps.attemptsMax ?? 5) : 1;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await writeOnce(deps, mutate, options);
    } catch (error) {
      const isConflict = error instanceof StoreError && error.kind === "conflict";
      if (!isConflict || attempt >= attempts) throw error;
    }
  }
}

async function writeOnce(
  deps: ChangeStateDeps,
  mutate: Mutate,
  { by, expectedRevision, validateOnly, draft }: WriteOptions,
): Promise<Written> {
  const loaded = await deps.store.load();
  needRevision(expectedRevision, loaded.stateRevision);
  const before = createView(deps, loaded);
  const changes = mutate(visibleTo(by, before));
  if (changes.length === 0) {
    const { stateRevision } = loaded;
    return { stateRevision, after: visibleTo(by, before), tenant: undefined };
  }
  const nowMs = deps.clock.nowMs();
  const stateRevision = loaded.stateRevision + 1;
  const write = { view: before, changes, by: by.name, draft, nowMs };
  const all = [...changes, ...deps.history.accompany(write)];
  const resources = applyChanges(loaded.resources, all, stateRevision, nowMs);
  needRoom(resources.length, deps.resourcesMax ?? 100_000);
  const whole = createView(deps, { stateRevision, resources });
  needOwn(by, changes, [before, whole]);
  const next = buildSnapshot(stateRevision, resources, deps.compile);
  const after = visibleTo(by, whole);
  const tenant = tenantOfChanges(changes, [before, whole]);
  if (validateOnly) return { stateRevision: loaded.stateRevision, after, tenant };
  const stored = await deps.store.write(toStored(all), loaded.stateRevision, nowMs);
  deps.current.swap(stored === stateRevision ? next : { ...next, stateRevision: stored });
  return { stateRevision: stored, after, tenant };
}

function needRevision(expected: number, found: number): void {
  if (expected === 0 || expected === found) return;
  throw new GatewayError(
    "state-conflict",
    `expected_state_revision is ${expected}, but the state is at ${found}: read it again and retry`,
  );
}

function needRoom(count: number, max: number): void {
  if (count <= max) return;
  throw new GatewayError("invalid-params", `at most ${max} resources of all kinds together`);
}

function toStored(changes: readonly StateChange[]): readonly ResourceChange[] {
  return changes.map((change) =>
    "body" in change ? { ...change, body: plain(change.body) } : change,
  );
}
