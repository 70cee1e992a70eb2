/** Making the folder of evidence anew: what is under the tree so far is let go of on the way, wherever the spool begins. */
import { expect, test } from "bun:test";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { originOf, signCheckpoint } from "../../../../src/audit/evidence/checkpoint.ts";
import { loadNodeKey } from "../../../../src/audit/evidence/node-key.ts";
import { rebuildEvidence } from "../../../../src/audit/evidence/rebuild.ts";
import { tilePath } from "../../../../src/audit/evidence/tiles.ts";
import { createRightEdge } from "../../../../src/audit/evidence/tree.ts";
import { segmentPath } from "../../../../src/audit/spool/files.ts";
import type { AuditScan } from "../../../../src/storage/store.ts";
import { auditRow } from "../../../support/audit-row.ts";
import { temporaryFolder } from "../../../support/temporary-folder.ts";

const logId = "log-1";
const size = 20_000;
const toHex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const leafOf = (seq: number) => Bun.SHA256.hash(`record ${seq}`, "hex");

for (const firstSeq of [101, 4_096, 4_097, 4_098]) {
  test(`ST-12 tiles are saved before all leaves are read, with a spool from ${firstSeq} on`, async () => {
    await using folder = temporaryFolder("rebuild");
    const [dir, spoolDir] = [join(folder.path, "evidence"), join(folder.path, "spool")];
    mkdirSync(spoolDir);
    // Damaged from its beginning, so every leaf comes from the database.
    writeFileSync(segmentPath(spoolDir, firstSeq), "");
    const edge = createRightEdge();
    for (let seq = 1; seq <= size; seq += 1) edge.append(Buffer.from(leafOf(seq), "hex"));
    const key = await loadNodeKey(folder.path, originOf(logId));
    const root = edge.root();
    const note = signCheckpoint({ origin: originOf(logId), size, root }, key);
    const witnessed = async () => ({ logId, size, root: toHex(root), note });
    let isSaved = false;
    const scan = async ({ after, limit }: AuditScan) => {
      isSaved = existsSync(join(dir, tilePath(0, 0)));
      const from = (after?.seq ?? 0) + 1;
      const seqs = Array.from({ length: limit }, (_, at) => from + at);
      const rows = seqs.map((seq) => auditRow(seq, { logId, leaf: leafOf(seq) }));
      return { rows, next: undefined };
    };
    const deps = { dataDir: folder.path, dir, spoolDir, logId, store: { scan }, witnessed };
    expect(await rebuildEvidence(deps, size)).toEqual({ size });
    expect(isSaved).toBe(true);
  });
}
