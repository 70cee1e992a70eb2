/**
 * The latest checkpoint of this node's log on the disk, `<data>/evidence/checkpoint`: where the notary resumes, and what
 * witnesses and verification read. Written whole and durable before anybody is told of it.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { originOf, parseCheckpoint, type SignedCheckpoint } from "./checkpoint.ts";
import { type EvidenceDisk, realEvidenceDisk } from "./disk.ts";

const fileName = "checkpoint";

/** Below the data folder. */
export function evidenceFolder(dataDir: string): string {
  return join(dataDir, "evidence");
}

/** The checkpoint, not verified; undefined where none was signed yet. Throws an EvidenceError where it is none. */
export function readCheckpoint(
  dir: string,
  disk: Pick<EvidenceDisk, "read"> = realEvidenceDisk,
): SignedCheckpoint | undefined {
  const bytes = disk.read(join(dir, fileName));
  return bytes === undefined ? undefined : parseCheckpoint(bytes.toString());
}

/** Whether there is one, readable or not. */
export function hasCheckpoint(dir: string): boolean {
  return existsSync(join(dir, fileName));
}

/** Records of this log that were signed, as far as the folder says; 0 where nothing in it can be read. */
export function readSignedSize(dir: string, logId: string): number {
  try {
    const found = readCheckpoint(dir);
    return found?.origin === originOf(logId) ? found.size : 0;
  } catch {
    // The notary reads it again, and says what is wrong with it.
    return 0;
  }
}

export function writeCheckpoint(dir: string, note: string, disk: EvidenceDisk): void {
  for (const grown of disk.makeFolder(dir)) disk.syncFolder(grown);
  disk.write(join(dir, fileName), Buffer.from(note));
  disk.syncFolder(dir);
}
