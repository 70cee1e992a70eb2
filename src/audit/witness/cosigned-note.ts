/**
 * The latest checkpoint that witnesses cosigned, kept beside the log's own in `<data>/evidence/checkpoint.cosigned`:
 * one signed note that anybody can check with the log's and the witnesses' keys. Written whole or not at all.
 */
import { join } from "node:path";
import type { EvidenceDisk } from "../evidence/disk.ts";
import { type NoteSignature, parseNote, renderNote } from "../evidence/note.ts";

const fileName = "checkpoint.cosigned";

/** Adds cosignatures to the note kept, where it is of the same checkpoint; begins a new one otherwise. */
export function keepCosignatures(
  disk: Pick<EvidenceDisk, "read" | "write" | "syncFolder">,
  dir: string,
  checkpoint: string,
  cosignatures: readonly NoteSignature[],
): void {
  const path = join(dir, fileName);
  const kept = disk.read(path)?.toString();
  const before = kept === undefined ? undefined : parseNote(kept);
  const given = parseNote(checkpoint);
  const base = before?.text === given.text ? before : given;
  const others = base.signatures.filter(
    (one) => !cosignatures.some((added) => added.name === one.name && added.keyId === one.keyId),
  );
  const note = renderNote({ text: base.text, signatures: [...others, ...cosignatures] });
  disk.write(path, Buffer.from(note));
  disk.syncFolder(dir);
}
