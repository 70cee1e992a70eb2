/**
 * What evidence costs, in CPU time, which other load on the machine does not change much: the notary for each record,
 * and a proof out of a million. Run: bun test/bench/audit-evidence.ts
 */
import { join } from "node:path";
import {
  certifyBootKey,
  renderBootCertificate,
  verifyBootCertificate,
} from "../../src/audit/evidence/boot-certificate.ts";
import { signCheckpoint } from "../../src/audit/evidence/checkpoint.ts";
import { realEvidenceDisk } from "../../src/audit/evidence/disk.ts";
import { createSigningKey } from "../../src/audit/evidence/keys.ts";
import { createNotary } from "../../src/audit/evidence/notary.ts";
import { parseProof, renderProof, verifyProof } from "../../src/audit/evidence/proof.ts";
import { createTileReader, openTileTree } from "../../src/audit/evidence/tiles.ts";
import { proveInclusion } from "../../src/audit/evidence/tree.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { createSpoolFiles } from "../support/spool-files.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const records = 200_000;
const leaves = 1_000_000;
const proofs = 2_000;

/** CPU microseconds of this process that `work` takes. */
function cpuOf(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

await using folder = temporaryFolder("bench-evidence");
const spool = createSpoolFiles(folder.path);
for (let at = 0; at < 10; at += 1) spool.write(records / 10);
const options = { signAfterMs: 500, retryMs: 0 };
const notary = createNotary({
  place: { spoolDir: folder.path, dir: join(folder.path, "evidence"), logId: spool.logId },
  options,
  disk: realEvidenceDisk,
  clock: systemClock,
  emit: () => {},
});
notary.adopt(0);
notary.begin(1);
// As it goes at 20,000 records a second: told every 50 ms, signed five times a second.
let seq = 1;
const notaryUs = cpuOf(() => {
  while (seq < records) {
    for (let told = 0; told < 4 && seq < records; told += 1) {
      seq = Math.min(records, seq + 1_000);
      notary.noteSynced(seq);
    }
    notary.signDue();
  }
});

const dir = join(folder.path, "million");
const tree = openTileTree(realEvidenceDisk, dir, 0);
const leafOf = (index: number) => Bun.SHA256.hash(`leaf ${index}`, "hex");
for (let index = 0; index < leaves; index += 1) {
  tree.append(leafOf(index));
  if (index % 50_000 === 0) tree.save();
}
tree.save();
const origin = "mcp-gateway/0199a5c4-5f0e-7cc1-8a53-2f1b6f0f7a11";
const nodeKey = createSigningKey(origin);
const bootKey = createSigningKey(origin);
const adopted = { size: leaves, root: tree.root() };
const certificate = renderBootCertificate(certifyBootKey(nodeKey, bootKey.verifier, adopted));
const checkpoint = signCheckpoint({ origin, size: leaves, root: tree.root() }, bootKey);
const texts: string[] = [];
const proveUs = cpuOf(() => {
  for (let at = 0; at < proofs; at += 1) {
    const index = (at * 7919) % leaves;
    const node = createTileReader(realEvidenceDisk, dir, leaves);
    const hashes = proveInclusion(index, leaves, node);
    const extra = Buffer.from(certificate);
    texts.push(renderProof({ index, hashes, checkpoint, extra }));
  }
});
const verifyUs = cpuOf(() => {
  for (const [at, text] of texts.entries()) {
    const proof = parseProof(text);
    const note = Buffer.from(proof.extra ?? []).toString();
    const { key } = verifyBootCertificate(note, [nodeKey.verifier]);
    verifyProof(proof, Buffer.from(leafOf((at * 7919) % leaves), "hex"), origin, [key]);
  }
});
console.log(
  JSON.stringify({
    notaryCpuUsPerRecord: notaryUs / records,
    proofBytes: Math.max(...texts.map((text) => Buffer.byteLength(text))),
    proveCpuUs: proveUs / proofs,
    verifyCpuUs: verifyUs / proofs,
  }),
);
