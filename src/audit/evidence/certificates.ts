/**
 * The certificates of boot keys as signed notes on the disk, `<data>/evidence/certificates/<key id>`: one small file for
 * each life of the process, which a checkpoint of that life is checked with once the life's first record was pruned.
 */
import { join } from "node:path";
import { type BootCertificate, renderBootCertificate } from "./boot-certificate.ts";
import { type EvidenceDisk, realEvidenceDisk } from "./disk.ts";
import { parseVerifierKey, renderKeyId } from "./keys.ts";
import type { SignedNote } from "./note.ts";

const folderName = "certificates";

/** Keeps a certificate, over an older one of the same key. */
export function keepCertificate(
  dir: string,
  certificate: BootCertificate,
  disk: EvidenceDisk = realEvidenceDisk,
): void {
  const folder = join(dir, folderName);
  for (const grown of disk.makeFolder(folder)) disk.syncFolder(grown);
  const { id } = parseVerifierKey(certificate.bootKey);
  disk.write(join(folder, renderKeyId(id)), Buffer.from(renderBootCertificate(certificate)));
  disk.syncFolder(folder);
}

/** The certificate note of the boot key that signed a checkpoint; undefined where it is not here. */
export function findCertificate(
  dir: string,
  { signatures }: SignedNote,
  disk: Pick<EvidenceDisk, "read"> = realEvidenceDisk,
): string | undefined {
  for (const { keyId } of signatures) {
    const found = disk.read(join(dir, folderName, renderKeyId(keyId)));
    if (found !== undefined) return found.toString();
  }
  return undefined;
}
