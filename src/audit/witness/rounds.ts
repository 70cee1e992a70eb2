/**
 * Asks each witness, in a loop of its own, to remember the newest checkpoint (ST-22): one that is away is asked again
 * and holds up nothing; one that remembers another history ends its loop, because nothing this node could send would
 * mend that. On the witness's thread.
 */
import type { Clock } from "../../lib/clock.ts";
import type { NoteSignature } from "../evidence/note.ts";
import { type Witness, WitnessConflict, type WitnessedTree } from "./witness.ts";

export interface RoundsDeps {
  readonly witnesses: readonly Witness[];
  /** The newest checkpoint; undefined where none was signed yet. */
  readonly read: () => WitnessedTree | undefined;
  /** Keeps what witnesses signed. */
  readonly keep: (tree: WitnessedTree, cosignatures: readonly NoteSignature[]) => void;
  readonly clock: Clock;
  readonly intervalMs: (witness: Witness) => number;
  readonly changed: (witness: string, change: WitnessChange) => void;
}

export type WitnessChange =
  | { readonly kind: "down"; readonly reason: string }
  | { readonly kind: "up" }
  | {
      readonly kind: "conflict";
      readonly reason: string;
      readonly size: number;
      readonly witnessedSize: number | undefined;
    };

export interface WitnessStatus {
  readonly name: string;
  /** Records under the last checkpoint it remembers; 0 where it was not asked yet. */
  readonly size: number;
  readonly failures: number;
  readonly isDown: boolean;
  readonly isConflicting: boolean;
}

export interface Rounds {
  status(): readonly WitnessStatus[];
  /** Ends after the requests under way and one for the last checkpoint. */
  stop(): Promise<void>;
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

export function startRounds(deps: RoundsDeps): Rounds {
  let isStopped = false;
  const endPauses = new Set<() => void>();
  const states = deps.witnesses.map(({ name }): Mutable<WitnessStatus> => {
    return { name, size: 0, failures: 0, isDown: false, isConflicting: false };
  });
  const running = deps.witnesses.map((witness, at) => run(witness, states[at]));
  return {
    status: () => states.map((state) => ({ ...state })),
    async stop() {
      isStopped = true;
      for (const end of endPauses) end();
      await Promise.all(running);
    },
  };

  async function run(witness: Witness, state: Mutable<WitnessStatus> | undefined): Promise<void> {
    while (state !== undefined && !isStopped && !state.isConflicting) {
      try {
        await ask(witness, state);
      } catch (error) {
        noteFailure(state, error);
      }
      await pause(deps.intervalMs(witness));
    }
    // The last checkpoint of this life, signed when the log was closed.
    if (state !== undefined && !state.isDown) {
      await ask(witness, state).catch((error) => noteFailure(state, error));
    }
  }

  async function ask(witness: Witness, state: Mutable<WitnessStatus>): Promise<void> {
    const newest = deps.read();
    if (newest === undefined || newest.size === state.size) return;
    const cosignatures = await witness.witness(newest);
    if (cosignatures.length > 0) deps.keep(newest, cosignatures);
    state.size = newest.size;
    if (state.isDown) deps.changed(state.name, { kind: "up" });
    state.isDown = false;
  }

  function noteFailure(state: Mutable<WitnessStatus>, error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    state.failures += 1;
    if (error instanceof WitnessConflict) {
      const { witnessedSize } = error;
      const size = deps.read()?.size ?? 0;
      state.isConflicting = true;
      deps.changed(state.name, { kind: "conflict", reason, size, witnessedSize });
    } else if (!state.isDown) {
      deps.changed(state.name, { kind: "down", reason });
    }
    state.isDown = true;
  }

  function pause(delayMs: number): Promise<void> {
    if (isStopped) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(end, delayMs);
      endPauses.add(end);
      function end(): void {
        clearTimeout(timer);
        endPauses.delete(end);
        resolve();
      }
    });
  }
}
