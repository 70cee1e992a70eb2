/**
 * Under which log a node goes on: its own, kept in `<data dir>/node-id`, or a new one where the spool lacks records that
 * were shipped, signed or witnessed. Asked by `log.ts` at each start.
 */
import { constants, existsSync } from "node:fs";
import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../lib/clock.ts";
import { newId } from "../lib/id.ts";
import type { Store } from "../storage/store.ts";
import type { Log } from "../telemetry/log.ts";
import { evidenceFolder, readSignedSize } from "./evidence/checkpoint-file.ts";
import type { RecordDraft } from "./record.ts";
import type { Spool } from "./spool/spool.ts";

interface OwnSpoolDeps {
  readonly dataDir: string;
  readonly store: Pick<Store, "audit">;
  readonly log: Log;
  readonly witnessedSize?: (logId: string) => Promise<number>;
}

interface OwnSpool {
  readonly logId: string;
  readonly spool: Spool;
  readonly loss: Loss | undefined;
}

interface Loss {
  readonly kind: "spool-lost" | "rolled-back";
  readonly logId: string;
  /** The last record in the spool, in the database, under a checkpoint, and under one that a witness remembers. */
  readonly lastSeq: number;
  readonly lastSeqInStore: number;
  readonly lastSeqSigned: number;
  readonly lastSeqWitnessed: number;
}

/**
 * The spool under this node's log id; under a new one where the database holds records of this log, or a checkpoint
 * (signed here or remembered by a witness) covers some, which the spool does not hold (ST-15, ST-16). Going on under the
 * old id would give numbers a second time. What was found is kept beside.
 */
export async function openOwnSpool(
  deps: OwnSpoolDeps,
  dir: string,
  open: (logId: string) => Promise<Spool>,
): Promise<OwnSpool> {
  const logId = await loadNodeId(deps.dataDir);
  const spool = await open(logId);
  const loss = await findLoss(deps, logId, spool.opened);
  if (loss === undefined) return { logId, spool, loss };
  await spool.close();
  const keptAs = `${dir}-${logId}`;
  deps.log.error(loss.kind === "rolled-back" ? "audit.rolled_back" : "audit.spool_lost", {
    ...loss,
    keptAs,
    advice: "The spool lacks records it had: was an older copy restored? A new log is begun.",
  });
  await rename(dir, keptAs);
  const evidenceDir = evidenceFolder(deps.dataDir);
  if (existsSync(evidenceDir)) await rename(evidenceDir, `${evidenceDir}-${logId}`);
  await rm(join(deps.dataDir, "node-id"));
  const newLogId = await loadNodeId(deps.dataDir);
  return { logId: newLogId, spool: await open(newLogId), loss };
}

async function findLoss(
  deps: OwnSpoolDeps,
  logId: string,
  { lastSeq }: Spool["opened"],
): Promise<Loss | undefined> {
  const head = await deps.store.audit.head(logId).catch(() => undefined);
  const lastSeqInStore = head?.seq ?? 0;
  const lastSeqSigned = readSignedSize(evidenceFolder(deps.dataDir), logId);
  const lastSeqWitnessed = (await deps.witnessedSize?.(logId)) ?? 0;
  if (lastSeq >= Math.max(lastSeqInStore, lastSeqSigned, lastSeqWitnessed)) return undefined;
  const kind = lastSeq === 0 ? "spool-lost" : "rolled-back";
  return { kind, logId, lastSeq, lastSeqInStore, lastSeqSigned, lastSeqWitnessed };
}

export function renderLoss({ logId, ...loss }: Loss, clock: Clock): RecordDraft {
  const facts = { ...loss, log: logId };
  const own = { event: "integrity.violation", class: "A", details: {} } as const;
  return { ...own, timeMs: clock.nowMs(), facts };
}

const idPattern = /^[0-9a-f-]{36}$/;

/** This node's id, made at the first start. */
async function loadNodeId(dataDir: string): Promise<string> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const path = join(dataDir, "node-id");
  const { O_RDWR, O_CREAT, O_NOFOLLOW } = constants;
  const file = await open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600);
  try {
    const found = (await readFile(file, "utf8")).trim();
    if (idPattern.test(found)) return found;
    if (found !== "") throw new Error(`${path} must hold one UUID and nothing else`);
    const id = newId();
    await file.write(`${id}\n`, 0);
    await file.sync();
    return id;
  } finally {
    await file.close();
  }
}
