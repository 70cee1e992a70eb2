/**
 * Copies records from the spool's files to the database, a batch at a time: reads frames, derives rows, inserts them.
 * All work on a record's way to the database is here, so that a thread of its own can do it; when and how much is
 * copied is decided by `shipper.ts`. Made by `log.ts`, or on a thread by `compose/copy-worker.ts`.
 */
import { type AuditRow, type AuditStore, StoreError } from "../../storage/store.ts";
import { toAuditRow } from "../row.ts";
import { createSpoolReader } from "../spool/reader.ts";

export interface CopyPlace {
  readonly seq: number;
  readonly leaf: string;
}

export interface CopyRange {
  readonly afterSeq: number;
  readonly untilSeq: number;
  readonly limit: number;
}

export interface Copied extends CopyPlace {
  readonly count: number;
}

export interface Copier {
  /** The database's last record of this log; "corrupt" where the spool, synced up to `syncedSeq`, holds another one. */
  head(syncedSeq: number): Promise<CopyPlace>;
  /**
   * Copies the next records and says how many and which was the last; undefined where there is none. Where the database
   * no longer holds the record they follow (ST-04), nothing is copied and its own last record is told: one before
   * `afterSeq`.
   */
  copy(range: CopyRange): Promise<Copied | undefined>;
  close(): Promise<void>;
}

export interface CopierDeps {
  readonly dir: string;
  readonly logId: string;
  readonly store: Pick<AuditStore, "head" | "append">;
}

const nothing: CopyPlace = Object.freeze({ seq: 0, leaf: "" });

export function createCopier({ dir, logId, store }: CopierDeps): Copier {
  const reader = createSpoolReader(dir);

  async function head(syncedSeq: number): Promise<CopyPlace> {
    const found = (await store.head(logId)) ?? nothing;
    const [own] = await reader.read(found.seq - 1, Math.min(found.seq, syncedSeq), 1);
    const isOther = own !== undefined && own.seq === found.seq && own.leaf !== found.leaf;
    if (found.seq <= syncedSeq && !isOther) return found;
    throw new StoreError("corrupt", `the database holds another record ${found.seq} of this log`);
  }

  async function copy({ afterSeq, untilSeq, limit }: CopyRange): Promise<Copied | undefined> {
    const records = await reader.read(afterSeq, untilSeq, limit);
    const rows = records.map(toAuditRow).filter((row): row is AuditRow => row !== undefined);
    const last = rows.at(-1);
    if (last === undefined) return undefined;
    const held = afterSeq === 0 ? undefined : ((await store.head(logId)) ?? nothing);
    if (held !== undefined && held.seq < afterSeq) {
      return { seq: held.seq, leaf: held.leaf, count: 0 };
    }
    await store.append(rows);
    return { seq: last.seq, leaf: last.leaf, count: rows.length };
  }

  return { head, copy, close: async () => {} };
}
