/**
 * What is said to the copying thread and what it answers, one request at a time. Between `copy-thread.ts` and
 * `copy-worker.ts`: a few numbers each way, never a record. Beside its answers it says what belongs in the log.
 */
import type { Copied, CopyPlace, CopyRange } from "../audit/shipping/copier.ts";
import type { StoreError } from "../storage/store.ts";
import type { LogFields, LogLevel } from "../telemetry/log.ts";

export interface CopySpec {
  readonly dir: string;
  readonly logId: string;
  readonly store: {
    readonly databaseUrl?: string;
    readonly dataDir: string;
    readonly deadlineMs: number;
    readonly mustBeDurable?: boolean;
  };
}

export type ToCopier =
  | { readonly op: "begin"; readonly spec: CopySpec }
  | { readonly op: "head"; readonly syncedSeq: number }
  | ({ readonly op: "copy" } & CopyRange)
  | { readonly op: "close" };

export type FromCopier =
  | { readonly result: CopyPlace | Copied | undefined }
  /** A line of the log, at any time; answers nothing. */
  | {
      readonly said: {
        readonly level: LogLevel;
        readonly event: string;
        readonly fields: LogFields;
      };
    }
  | { readonly error: { readonly kind: StoreError["kind"]; readonly message: string } };
