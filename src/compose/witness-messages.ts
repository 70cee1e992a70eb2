/**
 * What is said to the witness's thread and what it answers: numbers, names and reasons, never a record. Between
 * `witness-thread.ts` and `witness-worker.ts`.
 */
import type { FindingPlace, FindingRange } from "../audit/monitor/finding.ts";
import type { Healed } from "../audit/monitor/heal.ts";
import type { Progress } from "../audit/monitor/look.ts";
import type { MonitorOptions } from "../audit/monitor/monitor.ts";
import type { WitnessChange, WitnessStatus } from "../audit/witness/rounds.ts";

export interface WitnessSpec {
  readonly dataDir: string;
  readonly logId: string;
  readonly store: {
    readonly databaseUrl?: string;
    readonly dataDir: string;
    readonly deadlineMs: number;
  };
  /** The database that witnesses; the store's own where undefined. */
  readonly witnessDatabaseUrl: string | undefined;
  readonly witnesses: readonly ExternalWitnessSpec[];
  readonly databaseIntervalMs: number;
  readonly externalIntervalMs: number;
  readonly monitor: MonitorOptions;
}

export interface ExternalWitnessSpec {
  readonly name: string;
  readonly url: string;
  /** vkey */
  readonly key: string;
}

export type ToWitness =
  | { readonly op: "begin"; readonly spec: WitnessSpec; readonly progress: Progress }
  | { readonly op: "advance"; readonly progress: Progress }
  /** Has the last checkpoint witnessed and ends. */
  | { readonly op: "close" };

export type FromWitness =
  | {
      readonly kind: "status";
      readonly witnesses: readonly WitnessStatus[];
      readonly open: Readonly<Record<FindingPlace, number>>;
      readonly laps: number;
    }
  | { readonly kind: "witness"; readonly name: string; readonly change: WitnessChange }
  | { readonly kind: "found"; readonly range: FindingRange }
  | { readonly kind: "healed"; readonly healed: Healed }
  /** The monitor could not look. */
  | { readonly kind: "failed"; readonly reason: string }
  | { readonly kind: "closed" };
