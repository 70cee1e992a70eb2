/**
 * The steps of a consent, each known to one party by a secret of 256 bits and kept sealed in the database under its
 * digest: there for ten minutes, taken once, on whichever node. Used by `links.ts` and `desk.ts`.
 */
import { createHash } from "node:crypto";
import type { Clock } from "../lib/clock.ts";
import { randomSecret } from "../lib/id.ts";
import type { PassStore } from "../storage/store.ts";

/** Seals for the place it names, and opens there alone; throws where it does not open. */
export interface Sealer {
  seal(place: string, plain: string): string;
  open(place: string, sealed: string): string;
}

export interface Passes<Value> {
  /** The secret that stands for it. */
  issue(value: Value): Promise<string>;
  read(secret: string): Promise<Value | undefined>;
  take(secret: string): Promise<Value | undefined>;
}

export const passLifetimeMs = 600_000;

/** `step` keeps the secrets of one step from being good for another. */
export function createPasses<Value>(deps: {
  readonly step: string;
  readonly store: PassStore;
  readonly sealer: Sealer;
  readonly clock: Clock;
}): Passes<Value> {
  const { step, store, sealer, clock } = deps;
  const idOf = (secret: string) => createHash("sha256").update(`${step}:${secret}`).digest("hex");
  const open = (id: string, body: string | undefined) =>
    body === undefined ? undefined : (JSON.parse(sealer.open(`pass ${id}`, body)) as Value);
  return {
    async issue(value) {
      const secret = randomSecret();
      const id = idOf(secret);
      const body = sealer.seal(`pass ${id}`, JSON.stringify(value));
      const nowMs = clock.nowMs();
      await store.put({ id, body, nowMs, untilMs: nowMs + passLifetimeMs });
      return secret;
    },
    async read(secret) {
      const id = idOf(secret);
      return open(id, await store.read(id, clock.nowMs()));
    },
    async take(secret) {
      const id = idOf(secret);
      return open(id, await store.take(id, clock.nowMs()));
    },
  };
}
