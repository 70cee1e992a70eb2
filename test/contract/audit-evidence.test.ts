/**
 * The evidence on real files and real threads: what is synced is under a signed checkpoint within a second, a stranger
 * checks a record with the node's key alone, lives follow each other in one tree, and nothing is signed over damage.
 */
import { describe, expect, test } from "bun:test";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { verifyBootCertificate } from "../../src/audit/evidence/boot-certificate.ts";
import { originOf, verifyCheckpoint } from "../../src/audit/evidence/checkpoint.ts";
import { evidenceFolder, readCheckpoint } from "../../src/audit/evidence/checkpoint-file.ts";
import { realEvidenceDisk } from "../../src/audit/evidence/disk.ts";
import type { Evidence } from "../../src/audit/evidence/evidence.ts";
import { verifyHandOver } from "../../src/audit/evidence/hand-over.ts";
import { parseVerifierKey, type VerifierKey } from "../../src/audit/evidence/keys.ts";
import { loadNodeKey, makeNextNodeKey, readNodeKey } from "../../src/audit/evidence/node-key.ts";
import { parseProof, verifyProof } from "../../src/audit/evidence/proof.ts";
import { createTileReader, tilePath } from "../../src/audit/evidence/tiles.ts";
import { isConsistent, rootAt } from "../../src/audit/evidence/tree.ts";
import { type AuditLogDeps, type OpenAuditLog, openAuditLog } from "../../src/audit/log.ts";
import type { RecordDraft } from "../../src/audit/record.ts";
import { listSegments } from "../../src/audit/spool/files.ts";
import { scanSegment } from "../../src/audit/spool/scan.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";
import { until } from "../support/deadline.ts";
import { createMemoryAuditStore } from "../support/memory-audit-store.ts";
import { openMemoryVault } from "../support/sealing.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

interface Life extends AsyncDisposable {
  readonly log: OpenAuditLog;
  readonly evidence: Evidence;
  readonly logId: string;
  readonly metrics: ReturnType<typeof createMetrics>;
  /** Ends as a process does that is stopped in order. */
  stop(): Promise<void>;
}

const quick = {
  ...{ tellMs: 5, signAfterMs: 20, retryMs: 20 },
  ...{ proofDeadlineMs: 30_000, leafDeadlineMs: 30_000 },
};

async function live(dataDir: string, more: Partial<AuditLogDeps> = {}): Promise<Life> {
  const metrics = createMetrics();
  const { options, ...rest } = more;
  const log = await openAuditLog({
    dataDir,
    store: { audit: createMemoryAuditStore() },
    clock: systemClock,
    log: silentLog,
    metrics,
    keys: await openMemoryVault(),
    life: { version: "test" },
    options: { ...quick, ...options },
    ...rest,
  });
  const { evidence } = log;
  if (evidence === undefined) throw new Error("the log was opened without evidence");
  let closing: Promise<void> | undefined;
  const close = () => {
    closing ??= log.close();
    return closing;
  };
  const { logId } = log.status();
  return {
    log,
    evidence,
    logId,
    metrics,
    stop: async () => {
      await log.append(draft("lifecycle.stopped"), "synced");
      await close();
    },
    [Symbol.asyncDispose]: close,
  };
}

function draft(event: RecordDraft["event"], facts: RecordDraft["facts"] = {}): RecordDraft {
  return { event, class: "A", timeMs: systemClock.nowMs(), facts, details: {} };
}

async function appendMany({ log }: Life, count: number): Promise<number> {
  const refs = await Promise.all(
    Array.from({ length: count }, () => log.append(draft("admin.change"), "synced")),
  );
  return refs.at(-1)?.seq ?? 0;
}

const signed = ({ evidence }: Life, seq: number) =>
  until(`a checkpoint over ${seq}`, () => evidence.signedSeq() >= seq);

interface SpoolRecord {
  readonly seq: number;
  readonly leaf: string;
  readonly event: string;
  readonly facts: Record<string, unknown>;
}

function recordsIn(dataDir: string): readonly SpoolRecord[] {
  return listSegments(join(dataDir, "spool")).flatMap(({ path }) =>
    scanSegment(readFileSync(path)).records.map(({ envelope, leaf }) => ({
      ...JSON.parse(envelope),
      leaf,
    })),
  );
}

async function nodeVerifier(dataDir: string, logId: string): Promise<VerifierKey> {
  const key = await readNodeKey(dataDir, originOf(logId));
  if (key === undefined) throw new Error("there is no node key");
  return key.verifier;
}

/** What a stranger does who holds a leaf, a proof and the node's public key. */
function checkOffline(text: string, leaf: string, origin: string, nodeKey: VerifierKey) {
  const proof = parseProof(text);
  const certificate = Buffer.from(proof.extra ?? []).toString();
  const boot = verifyBootCertificate(certificate, [nodeKey]);
  return verifyProof(proof, Buffer.from(leaf, "hex"), origin, [boot.key]);
}

describe("checkpoints", () => {
  test("cover every record soon, and prove each to whoever knows the node's key", async () => {
    await using folder = temporaryFolder("evidence");
    const dataDir = folder.path;
    await using life = await live(dataDir);
    const lastSeq = await appendMany(life, 700);
    const nodeKey = await nodeVerifier(dataDir, life.logId);
    const origin = originOf(life.logId);
    for (const seq of [1, 2, 256, 257, 512, lastSeq]) {
      const { text, index } = await life.evidence.prove(seq, undefined);
      const leaf = await life.evidence.leafOf(seq);
      expect(leaf).toBe(recordsIn(dataDir).find((one) => one.seq === seq)?.leaf ?? "none");
      const checkpoint = checkOffline(text, leaf ?? "", origin, nodeKey);
      expect(checkpoint.size).toBeGreaterThanOrEqual(seq);
      expect(index).toBe(seq - 1);
    }
    await signed(life, lastSeq);
    expect(existsSync(join(evidenceFolder(dataDir), tilePath(0, 0)))).toBe(true);
    expect(existsSync(join(evidenceFolder(dataDir), "tile/0/000.p"))).toBe(false);
    expect(await life.metrics.render()).toContain("mcp_gateway_audit_unsigned_seconds 0\n");
  });

  test("K-03: each life certifies a new key in its first record, and goes on from the tree before", async () => {
    await using folder = temporaryFolder("evidence-lives");
    const dataDir = folder.path;
    const checkpoints: { size: number; root: Uint8Array }[] = [];
    let logId = "";
    for (const [number, ends] of ["closed", "closed", "crashed", "closed"].entries()) {
      const life = await live(dataDir);
      logId = life.logId;
      await appendMany(life, 100 + number * 300);
      const view = await until("a checkpoint", () => life.evidence.checkpoint());
      const { size, root } = view as { size: number; root: string };
      checkpoints.push({ size, root: Buffer.from(root, "hex") });
      if (ends === "closed") await life.stop();
      else await life.log.close();
    }
    const started = recordsIn(dataDir).filter((one) => one.event === "lifecycle.started");
    expect(started.map(({ facts }) => facts.previous)).toEqual([
      "none",
      "closed",
      "closed",
      "crashed",
    ]);
    expect(started[0]?.seq).toBe(1);
    expect(new Set(started.map(({ facts }) => facts.bootKey)).size).toBe(4);
    const dir = evidenceFolder(dataDir);
    const last = readCheckpoint(dir);
    const node = createTileReader(realEvidenceDisk, dir, last?.size ?? 0);
    for (const { facts, seq } of started) {
      expect(facts.treeSize).toBe(seq - 1);
      expect(facts.treeRoot).toBe(Buffer.from(rootAt(seq - 1, node)).toString("hex"));
    }
    for (const { size, root } of checkpoints) {
      expect(Buffer.from(rootAt(size, node))).toEqual(Buffer.from(root));
    }
    const keys = started.map(({ facts }) => parseVerifierKey(String(facts.bootKey)));
    expect(
      verifyCheckpoint(readFileSync(join(dir, "checkpoint"), "utf8"), originOf(logId), keys).size,
    ).toBe(recordsIn(dataDir).length);
  });

  test("go on from an older one, as the notary proves", async () => {
    await using folder = temporaryFolder("evidence-consistency");
    await using life = await live(folder.path);
    await signed(life, await appendMany(life, 300));
    const old = life.evidence.checkpoint();
    const seq = await appendMany(life, 300);
    const { consistency, checkpoint } = await life.evidence.prove(seq, old?.size);
    const claim = {
      oldSize: old?.size ?? 0,
      oldRoot: Buffer.from(old?.root ?? "", "hex"),
      newSize: checkpoint.size,
      newRoot: Buffer.from(checkpoint.root, "hex"),
      proof: consistency.map((hash) => Buffer.from(hash, "hex")),
    };
    expect(isConsistent(claim)).toBe(true);
    expect(isConsistent({ ...claim, oldRoot: Buffer.alloc(32) })).toBe(false);
  });
});

describe("the node's key", () => {
  test("is the owner's alone, and handed over by a record that both keys sign", async () => {
    await using folder = temporaryFolder("evidence-rotation");
    const dataDir = folder.path;
    await using life = await live(dataDir);
    expect(statSync(join(dataDir, "node.key")).mode & 0o777).toBe(0o600);
    const before = await nodeVerifier(dataDir, life.logId);
    const facts = await life.evidence.rotateNodeKey();
    const after = await nodeVerifier(dataDir, life.logId);
    expect(verifyHandOver(facts)).toEqual({ oldKey: before, newKey: after });
    const record = recordsIn(dataDir).find((one) => one.event === "keys.rotated");
    expect(record?.facts).toEqual({ purpose: "node", ...facts });
    // A proof of this life is checked with the new key from now on.
    const { text, leaf } = await life.evidence.prove(1, undefined);
    expect(checkOffline(text, leaf, originOf(life.logId), after).size).toBeGreaterThan(0);
  });

  test("ST-12: a rotation cut short is completed at the next start", async () => {
    await using folder = temporaryFolder("evidence-cut-rotation");
    const dataDir = folder.path;
    const first = await live(dataDir);
    const origin = originOf(first.logId);
    await first.stop();
    const next = await makeNextNodeKey(dataDir, origin);
    await using life = await live(dataDir);
    expect(await nodeVerifier(dataDir, life.logId)).toEqual(next.verifier);
    expect(recordsIn(dataDir).map((one) => one.event)).toEqual([
      "lifecycle.started",
      "lifecycle.stopped",
      "lifecycle.started",
      "keys.rotated",
    ]);
    expect(existsSync(join(dataDir, "node.key.next"))).toBe(false);
  });

  test("with open doors is refused", async () => {
    await using folder = temporaryFolder("evidence-open-key");
    const { path } = folder;
    const key = await loadNodeKey(path, "mcp-gateway/x");
    writeFileSync(join(path, "copy"), key.exportPem(), { mode: 0o644 });
    rmSync(join(path, "node.key"));
    symlinkSync(join(path, "copy"), join(path, "node.key"));
    const refused = await loadNodeKey(path, "mcp-gateway/x").catch((error: Error) => error.message);
    expect(refused).toContain("ELOOP");
    rmSync(join(path, "node.key"));
    writeFileSync(join(path, "node.key"), key.exportPem());
    chmodSync(join(path, "node.key"), 0o640);
    const open = await loadNodeKey(path, "mcp-gateway/x").catch((error: Error) => error.message);
    expect(open).toContain("has mode 640; it must be 600");
  });
});

/** Flips a bit in the middle of the segment that holds record `seq`, within that record's envelope. */
function flipBitOf(dataDir: string, seq: number): void {
  const segment = listSegments(join(dataDir, "spool")).findLast((one) => one.firstSeq <= seq);
  const bytes = readFileSync(segment?.path ?? "");
  const at = bytes.indexOf(`"seq":${seq},`);
  if (at === -1) throw new Error(`record ${seq} is not there`);
  bytes[at + 20] = (bytes[at + 20] ?? 0) ^ 1;
  writeFileSync(segment?.path ?? "", bytes);
}

/** Flips a bit in a tile and returns its bytes. */
function spoil(tile: string) {
  const bytes = Buffer.from(readFileSync(tile));
  bytes[4] = (bytes[4] ?? 0) ^ 1;
  writeFileSync(tile, bytes);
  return bytes;
}

const violationsIn = (dataDir: string) =>
  recordsIn(dataDir)
    .filter((one) => one.event === "integrity.violation")
    .map(({ facts }) => facts);

describe("ST-14: what is wrong is not signed over", () => {
  test("a flipped bit in a record that is not signed yet stops the notary before it", async () => {
    await using folder = temporaryFolder("evidence-flip");
    const dataDir = folder.path;
    // The notary is told late, so that the record can be spoilt before it looks.
    await using life = await live(dataDir, { options: { tellMs: 2_000, proofDeadlineMs: 20 } });
    const first = await appendMany(life, 10);
    await signed(life, first);
    const seq = await appendMany(life, 10);
    flipBitOf(dataDir, seq - 5);
    await until("a refusal", () => violationsIn(dataDir).length > 0);
    await appendMany(life, 5);
    await until("another look", async () => life.evidence.signedSeq() >= seq - 6);
    expect(violationsIn(dataDir)).toMatchObject([
      { kind: "bytes", seq: seq - 5, foundBy: "notary" },
    ]);
    expect(life.evidence.signedSeq()).toBe(seq - 6);
    expect(await life.metrics.total("mcp_gateway_audit_signing_failures_total")).toBe(1);
    const refused = await life.evidence
      .prove(seq, undefined)
      .catch(({ fault }: { fault: { name: string } }) => fault.name);
    expect(refused).toBe("not-signed-yet");
    // Put right again (healed), it is signed without a new start.
    flipBitOf(dataDir, seq - 5);
    await signed(life, await appendMany(life, 1));
  });

  test("a tile that was changed is refused at the start, and left as it is", async () => {
    await using folder = temporaryFolder("evidence-tile");
    const dataDir = folder.path;
    const before = await live(dataDir);
    await signed(before, await appendMany(before, 300));
    await before.stop();
    const tile = join(evidenceFolder(dataDir), tilePath(1, 0, 1));
    const bytes = spoil(tile);
    const checkpoint = readFileSync(join(evidenceFolder(dataDir), "checkpoint"));
    {
      await using life = await live(dataDir);
      await appendMany(life, 10);
      await until("a refusal", () => violationsIn(dataDir).length > 0);
      const started = recordsIn(dataDir).findLast((one) => one.event === "lifecycle.started");
      expect(started?.facts.bootKey).toBeUndefined();
    }
    expect(violationsIn(dataDir)).toMatchObject([{ kind: "tiles", foundBy: "notary" }]);
    expect(readFileSync(tile)).toEqual(bytes);
    expect(readFileSync(join(evidenceFolder(dataDir), "checkpoint"))).toEqual(checkpoint);
  });

  test("a tile deep in the tree that was changed proves nothing, and is named", async () => {
    await using folder = temporaryFolder("evidence-deep-tile");
    const dataDir = folder.path;
    await using life = await live(dataDir);
    await signed(life, await appendMany(life, 600));
    spoil(join(evidenceFolder(dataDir), tilePath(0, 0)));
    const refused = await life.evidence.prove(5, undefined).catch(({ message }: Error) => message);
    expect(refused).toContain("the tiles do not lead to the signed root");
    await until("a violation", () => violationsIn(dataDir).length > 0);
    expect(violationsIn(dataDir)).toMatchObject([{ kind: "tiles", foundBy: "notary" }]);
  });

  test("tiles that hold another record than the spool are refused", async () => {
    await using folder = temporaryFolder("evidence-other");
    await using other = temporaryFolder("evidence-other-log");
    const lives = [];
    for (const dataDir of [folder.path, other.path]) {
      const life = await live(dataDir);
      await signed(life, await appendMany(life, 20));
      lives.push(life.logId);
      await life.stop();
    }
    // The evidence of another log, under this log's name: consistent in itself, and not of these records.
    const dir = evidenceFolder(folder.path);
    rmSync(dir, { recursive: true });
    cpSync(evidenceFolder(other.path), dir, { recursive: true });
    const note = readFileSync(join(dir, "checkpoint"), "utf8");
    writeFileSync(join(dir, "checkpoint"), note.replaceAll(lives[1] ?? "", lives[0] ?? ""));
    await using life = await live(folder.path);
    await until("a refusal", () => violationsIn(folder.path).length > 0);
    expect(violationsIn(folder.path)).toMatchObject([
      { kind: "tiles", where: "the spool holds another record" },
    ]);
    expect(life.evidence.checkpoint()?.size).toBeGreaterThan(0);
  });

  test("ST-16: a spool that ends before its checkpoint gives way to a new log", async () => {
    await using folder = temporaryFolder("evidence-rolled-back");
    const dataDir = folder.path;
    const before = await live(dataDir);
    await signed(before, await appendMany(before, 20));
    await before.log.close();
    const [segment] = listSegments(join(dataDir, "spool"));
    const path = segment?.path ?? "";
    const bytes = readFileSync(path);
    writeFileSync(path, bytes.subarray(0, bytes.indexOf('"seq":11,') - 80));
    await using life = await live(dataDir);
    expect(life.logId).not.toBe(before.logId);
    expect(existsSync(`${evidenceFolder(dataDir)}-${before.logId}`)).toBe(true);
    expect(violationsIn(dataDir)).toMatchObject([
      { kind: "rolled-back", log: before.logId, lastSeqSigned: 21 },
    ]);
    await signed(life, await appendMany(life, 1));
  });
});

describe("ST-23: without signatures", () => {
  /** A notary that answers nothing: its thread was started and hangs. */
  const stuck = { startNotary: () => ({ post: () => {}, terminate: () => {} }) };
  const impatient = { adoptTimeoutMs: 10, closeTimeoutMs: 10, graceMs: 100 };

  test("records are taken, the alarm is raised and recorded once", async () => {
    await using folder = temporaryFolder("evidence-stuck");
    const dataDir = folder.path;
    const startedMs = performance.now();
    await using life = await live(dataDir, { ...stuck, options: impatient });
    await appendMany(life, 5);
    const alarm = () => recordsIn(dataDir).filter((one) => one.event === "signing.unavailable");
    await until("the alarm", () => alarm().length > 0);
    await appendMany(life, 5);
    expect(alarm()).toMatchObject([{ facts: { status: "began", signedSeq: 0 } }]);
    const metrics = await life.metrics.render();
    expect(metrics).toContain("mcp_gateway_audit_signing_late 1\n");
    const unsigned = Number(/^mcp_gateway_audit_unsigned_seconds (\S+)/m.exec(metrics)?.[1]);
    expect(unsigned).toBeGreaterThan(0);
    expect(unsigned).toBeLessThanOrEqual((performance.now() - startedMs) / 1_000);
  });

  test("an operator may have class A refused, but never what tells of something done", async () => {
    await using folder = temporaryFolder("evidence-required");
    const options = { ...impatient, requireCheckpoints: true };
    await using life = await live(folder.path, { ...stuck, options });
    await until("the alarm", () =>
      recordsIn(folder.path).some((one) => one.event === "signing.unavailable"),
    );
    const outcomeOf = (one: RecordDraft) =>
      life.log.append(one, "synced").then(
        () => "taken",
        ({ fault }: { fault: { name: string; reason: string } }) => `${fault.name} ${fault.reason}`,
      );
    expect(await outcomeOf(draft("call.intent"))).toBe("audit-unavailable nothing-is-signed");
    expect(await outcomeOf({ ...draft("call.intent"), class: "B" })).toBe("taken");
    expect(await outcomeOf(draft("call.outcome", { intent: 1 }))).toBe("taken");
    expect(await outcomeOf(draft("lifecycle.stopped"))).toBe("taken");
  });

  test("a notary that signs again ends the alarm", async () => {
    await using folder = temporaryFolder("evidence-back");
    const dataDir = folder.path;
    // What a slow disk takes to sign is no alarm.
    const options = { adoptTimeoutMs: 30_000, closeTimeoutMs: 10, graceMs: 2_000 };
    await using life = await live(dataDir, { options });
    const dir = evidenceFolder(dataDir);
    await signed(life, 1);
    // Where the checkpoint goes stands a folder: the disk does not take it.
    rmSync(join(dir, "checkpoint"));
    mkdirSync(join(dir, "checkpoint", "in-the-way"), { recursive: true });
    await appendMany(life, 3);
    const alarms = () =>
      recordsIn(dataDir)
        .filter((one) => one.event === "signing.unavailable")
        .map(({ facts }) => facts.status);
    await until("the alarm", () => alarms().length > 0);
    rmSync(join(dir, "checkpoint"), { recursive: true });
    await until("its end", () => alarms().length === 2);
    expect(alarms()).toEqual(["began", "ended"]);
    await signed(life, await appendMany(life, 1));
  });

  test("a notary whose thread died says so, and questions are refused", async () => {
    await using folder = temporaryFolder("evidence-dead");
    const dead: AuditLogDeps["startNotary"] = ({ died }) => {
      queueMicrotask(() => died("of a test"));
      return { post: () => {}, terminate: () => {} };
    };
    await using life = await live(folder.path, {
      startNotary: dead,
      options: { closeTimeoutMs: 10, proofDeadlineMs: 10, leafDeadlineMs: 10 },
    });
    expect(await life.evidence.leafOf(1)).toBeUndefined();
    expect(await life.metrics.total("mcp_gateway_audit_signing_failures_total")).toBe(1);
    await appendMany(life, 3);
  });
});
