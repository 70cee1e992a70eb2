/**
 * When tokens and clients were last used (A02). A call writes a number in memory and nothing else; once a minute what
 * was used since goes to the database, so a crash loses a minute at most. Bounded: what was not used since the last
 * round is not kept here.
 */
import type { Clock } from "../lib/clock.ts";
import type { Log } from "../telemetry/log.ts";
import type { Principal } from "./principal.ts";

/** The database's side; `storage/` has one. */
export interface UseKeeper {
  note(uses: readonly { readonly name: string; readonly usedAtMs: number }[]): Promise<void>;
  read(
    names: readonly string[],
  ): Promise<readonly { readonly name: string; readonly usedAtMs: number }[]>;
  unused(untilMs: number, limit: number, after: string): Promise<readonly string[]>;
  forget(names: readonly string[]): Promise<void>;
}

interface KnownState {
  readonly tokens: ReadonlyMap<string, { readonly id: string }>;
  readonly clients: ReadonlyMap<string, unknown>;
}

export interface LastUse {
  /** On every call's way: no promise, no allocation once a principal is known. */
  note(principal: Principal): void;
  /** When tokens and clients were last used, by their ids; those never used are missing. */
  read(kind: "token" | "client", ids: readonly string[]): Promise<ReadonlyMap<string, number>>;
  /** Writes what was used since the last round; every day, forgets what is gone. */
  flush(): Promise<void>;
}

interface Slot {
  readonly digest: string;
  readonly clientId: string | undefined;
  usedAtMs: number;
  isListed: boolean;
}

/** What is not used for this long and no longer registered is forgotten. */
const keptMs = 30 * 86_400_000;
const sweepMs = 86_400_000;
const namesPerPage = 1_000;

export function createLastUse(deps: {
  readonly keeper: UseKeeper;
  readonly state: () => KnownState;
  readonly clock: Clock;
  readonly log: Pick<Log, "warn">;
  /** Credentials used within a round that are remembered. Default 100,000. */
  readonly slotsMax?: number;
}): LastUse {
  const { keeper, clock } = deps;
  const slotsMax = deps.slotsMax ?? 100_000;
  const slots = new WeakMap<Principal, Slot>();
  const listed = new Set<Slot>();
  let sweptAtMs = clock.monotonicMs();

  function slotOf(principal: Principal): Slot {
    const known = slots.get(principal);
    if (known !== undefined) return known;
    const { credentialDigest: digest, clientId } = principal;
    const made: Slot = { digest, clientId, usedAtMs: 0, isListed: false };
    slots.set(principal, made);
    return made;
  }

  function list(slot: Slot): void {
    if (slot.isListed || listed.size >= slotsMax) return;
    slot.isListed = true;
    listed.add(slot);
  }

  /** The names a slot stands for; a token that is gone has none. */
  function namesOf({ digest, clientId }: Slot): readonly string[] {
    const { tokens, clients } = deps.state();
    const token = tokens.get(digest);
    return [
      ...(token === undefined ? [] : [`token:${token.id}`]),
      ...(clientId !== undefined && clients.has(clientId) ? [`client:${clientId}`] : []),
    ];
  }

  function addTo(found: Map<string, number>, slot: Slot): void {
    for (const name of namesOf(slot)) {
      found.set(name, Math.max(found.get(name) ?? 0, slot.usedAtMs));
    }
  }

  async function forgetGone(): Promise<void> {
    if (clock.monotonicMs() - sweptAtMs < sweepMs) return;
    sweptAtMs = clock.monotonicMs();
    const { tokens, clients } = deps.state();
    const tokenIds = new Set([...tokens.values()].map(({ id }) => id));
    const isGone = (name: string) => {
      const id = name.slice(name.indexOf(":") + 1);
      return name.startsWith("token:") ? !tokenIds.has(id) : !clients.has(id);
    };
    const untilMs = clock.nowMs() - keptMs;
    let old: readonly string[];
    let after = "";
    do {
      old = await keeper.unused(untilMs, namesPerPage, after);
      after = old.at(-1) ?? after;
      const gone = old.filter(isGone);
      if (gone.length > 0) await keeper.forget(gone);
    } while (old.length === namesPerPage);
  }

  return {
    note(principal) {
      if (principal.clientId === undefined) return;
      const slot = slotOf(principal);
      slot.usedAtMs = clock.nowMs();
      list(slot);
    },
    async read(kind, ids) {
      const stored = await keeper.read(ids.map((id) => `${kind}:${id}`));
      const found = new Map(stored.map(({ name, usedAtMs }) => [name, usedAtMs]));
      for (const slot of listed) addTo(found, slot);
      const wanted = new Map<string, number>();
      for (const id of ids) {
        const usedAtMs = found.get(`${kind}:${id}`);
        if (usedAtMs !== undefined) wanted.set(id, usedAtMs);
      }
      return wanted;
    },
    async flush() {
      const uses = new Map<string, number>();
      const written = [...listed];
      for (const slot of written) {
        addTo(uses, slot);
        slot.isListed = false;
      }
      listed.clear();
      try {
        if (uses.size > 0) {
          await keeper.note([...uses].map(([name, usedAtMs]) => ({ name, usedAtMs })));
        }
        await forgetGone();
      } catch (cause) {
        // The next round tries again.
        for (const slot of written) list(slot);
        deps.log.warn("identity.last-use-not-written", { cause: String(cause) });
      }
    },
  };
}
