/**
 * R-13, K-17: golden vectors for verifiers, on which the gateway's own and the independent one agree; and the files of
 * them are what the format says today.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkOpening } from "../../src/audit/commitment.ts";
import { verifyBootCertificate } from "../../src/audit/evidence/boot-certificate.ts";
import { originOf } from "../../src/audit/evidence/checkpoint.ts";
import { EvidenceError } from "../../src/audit/evidence/evidence-error.ts";
import { parseVerifierKey } from "../../src/audit/evidence/keys.ts";
import { parseProof, verifyProof } from "../../src/audit/evidence/proof.ts";
import { verifyExport } from "../../src/audit/verify/read-export.ts";
import { verifySpool } from "../../src/audit/verify/verify.ts";
import { auditVerify } from "../../src/cli/audit-verify.ts";
import { createOutput } from "../../src/cli/output.ts";
import { renderExport, toArtefact, writeSpool } from "../support/audit-forge/artefact.ts";
import { type ForgedLog, type ForgedRecord, forgeLog } from "../support/audit-forge/log.ts";
import { createSeededRandom } from "../support/audit-forge/random.ts";
import { forgeStory } from "../support/audit-forge/story.ts";
import {
  type ExportVector,
  makeExportVectors,
  makeOpeningVectors,
  makeProofVectors,
  type OpeningVector,
  type ProofVector,
} from "../support/audit-forge/vectors.ts";
import {
  independentVerifierPath,
  startIndependentVerifier,
} from "../support/independent-verifier.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const vectorDir = join(import.meta.dir, "../support/audit-vectors");
const load = <T>(name: string): readonly T[] =>
  JSON.parse(readFileSync(join(vectorDir, name), "utf8"));

const folder = temporaryFolder("vectors");
const independent = startIndependentVerifier();
afterAll(async () => {
  independent[Symbol.dispose]();
  await folder[Symbol.asyncDispose]();
});

function put(name: string, text: string): string {
  const path = join(folder.path, name);
  writeFileSync(path, text);
  return path;
}

const made = {
  "proofs.json": makeProofVectors,
  "openings.json": makeOpeningVectors,
  "exports.json": makeExportVectors,
};
for (const [name, make] of Object.entries(made)) {
  test(`${name} is what the format says today`, () => {
    expect(load<unknown>(name)).toEqual(JSON.parse(JSON.stringify(make())));
  });
}

test("R-13 there are at least 80 vectors, 50 of them of what must be refused", () => {
  // Those of sealing are the vault's, which the independent verifier does not hold.
  const all = Object.keys(made).flatMap((name) => [...load<{ ok: boolean }>(name)]);
  expect(all.length).toBeGreaterThanOrEqual(80);
  expect(all.filter(({ ok }) => !ok).length).toBeGreaterThanOrEqual(50);
});

test("R-13 the independent verifier is short, plain to read, and needs nothing but Node", () => {
  const lines = readFileSync(independentVerifierPath, "utf8").trimEnd().split("\n");
  expect(lines.length).toBeLessThan(500);
  expect(lines.filter((line) => line.length > 100)).toEqual([]);
  const imported = lines.flatMap((line) => /(?:from|import\() ?"([^"]+)"/.exec(line)?.[1] ?? []);
  expect(imported.length).toBeGreaterThan(0);
  expect(imported.filter((name) => !name.startsWith("node:"))).toEqual([]);
});

describe("proofs and receipts", () => {
  function isProved({ key, receipt, proof: text }: ProofVector): boolean {
    try {
      const proof = parseProof(text);
      const note = Buffer.from(proof.extra ?? "").toString();
      const boot = verifyBootCertificate(note, [parseVerifierKey(key)]);
      const leaf = Buffer.from(receipt.leaf, "hex");
      verifyProof(proof, leaf, originOf(receipt.log), [boot.key]);
      return proof.index === receipt.seq - 1;
    } catch (error) {
      if (error instanceof EvidenceError) return false;
      throw error;
    }
  }

  for (const vector of load<ProofVector>("proofs.json")) {
    test(`${vector.ok ? "believed" : "refused"}: ${vector.name}`, async () => {
      expect(isProved(vector)).toBe(vector.ok);
      const receipt = put("receipt.json", JSON.stringify(vector.receipt));
      const proof = put("record.tlog-proof", vector.proof);
      const args = ["--key", vector.key, "--receipt", receipt, "--proof", proof];
      expect(await independent.verify(args)).toMatchObject({ ok: vector.ok });
    });
  }
});

describe("K-17 opened fields", () => {
  for (const vector of load<OpeningVector>("openings.json")) {
    test(`${vector.ok ? "believed" : "refused"}: ${vector.name}`, async () => {
      const { commitment, opening } = vector;
      expect(checkOpening(commitment, opening)).toBe(vector.ok);
      const path = put("opening.json", JSON.stringify({ commitment, ...opening }));
      expect(await independent.verify(["--opening", path])).toMatchObject({ ok: vector.ok });
    });
  }
});

describe("exports", () => {
  for (const vector of load<ExportVector>("exports.json")) {
    test(`${vector.ok ? "sound" : "refused"}: ${vector.name}`, async () => {
      const path = put("export.jsonl", vector.text);
      const known = vector.known.flatMap((note, index) => [
        "--checkpoint",
        put(`known-${index}`, note),
      ]);
      const keys = vector.keys.flatMap((key) => ["--key", key]);
      const theirs = await independent.verify([...keys, ...known, "--export", path]);
      const options = { keys: vector.keys.map(parseVerifierKey), known: vector.known };
      const [ours] = await verifyExport(path, options);
      expect(theirs.violation?.kind).toBe(vector.kind);
      const { seq, kind } = ours?.violation ?? {};
      expect<unknown>([kind, seq]).toEqual([vector.kind, theirs.violation?.seq]);
    });
  }
});

describe("what a verifier once let pass", () => {
  type Line = { kind: string; envelope?: string; sealed?: string | null } & Record<string, unknown>;
  const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
  const vectors = load<ExportVector>("exports.json");
  const [whole] = vectors;
  const linesOf = (text = ""): readonly Line[] =>
    text
      .split("\n")
      .slice(0, -2)
      .map((line) => JSON.parse(line));
  const lines = linesOf(whole?.text);
  const without = (...kinds: readonly string[]) =>
    lines.filter(({ kind }) => !kinds.includes(kind));

  function withManifest(changed: readonly Line[], written = JSON.stringify): string {
    const text = changed.map((line) => `${written(line)}\n`).join("");
    const count = changed.filter(({ kind }) => kind === "record").length;
    return `${text}${JSON.stringify({ kind: "manifest", count, sha256: sha256(text) })}\n`;
  }

  /** What both verifiers say of an export: they must say the same. */
  async function verifyText(
    text: string,
    { keys = whole?.keys ?? [], known = [] as string[] } = {},
  ) {
    const path = put("changed.jsonl", text);
    const kept = known.flatMap((note, index) => ["--checkpoint", put(`kept-${index}`, note)]);
    const args = [...keys.flatMap((key) => ["--key", key]), ...kept];
    const theirs = await independent.verify([...args, "--export", path]);
    const ours = await verifyExport(path, { keys: keys.map(parseVerifierKey), known });
    const { kind, seq } = ours.find(({ violation }) => violation)?.violation ?? {};
    expect<unknown>([theirs.violation?.kind, theirs.violation?.seq]).toEqual([kind, seq]);
    const open = kind ? undefined : ours.find(({ undecided }) => undecided)?.undecided;
    expect<unknown>(theirs.undecided).toEqual(open);
    expect(ours.every(({ ok }) => ok)).toBe(theirs.ok);
    return theirs;
  }

  const note = String(lines.find(({ kind }) => kind === "checkpoint")?.note);
  const stripped: readonly (readonly [string, string, string, string[]?])[] = [
    ["its records", withManifest(without("record")), "cut"],
    [
      "its records, but for a manifest that names them",
      (whole?.text ?? "").replaceAll(/^.*"kind":"record".*\n/gm, ""),
      "cut",
    ],
    [
      "its records and manifest",
      without("record")
        .map((line) => `${JSON.stringify(line)}\n`)
        .join(""),
      "cut",
    ],
    ["its records and checkpoints", withManifest(without("record", "checkpoint")), "checkpoint"],
    ["everything", withManifest(without("record", "checkpoint", "certificate")), "checkpoint"],
    [
      "everything a kept checkpoint covers",
      withManifest(without("record", "checkpoint", "certificate")),
      // Who signed it stood in the records.
      "foreign-key",
      [note],
    ],
  ];
  for (const [what, text, kind, known] of stripped) {
    test(`R-11 a whole log without ${what}`, async () => {
      const found = await verifyText(text, { ...(known && { known }) });
      expect(found.violation?.kind).toBe(kind);
    });
  }

  test("an export without a record nor its manifest, where no key is asked for", async () => {
    const path = put("empty.jsonl", `${JSON.stringify(lines[0])}\n`);
    expect(await verifyExport(path)).toMatchObject([{ ok: false, violation: { kind: "cut" } }]);
    expect(await independent.verify(["--unsigned", "--export", path])).toMatchObject({
      exitCode: 1,
    });
  });

  test("R-11 a spool of which only the first header is left, or nothing", async () => {
    await using place = temporaryFolder("header-only");
    const log = forgeLog(createSeededRandom(71));
    log.start();
    log.append("admin.change", {});
    const artefact = toArtefact(log);
    artefact.records = [];
    writeSpool(artefact, place.path);
    const dir = join(place.path, "spool");
    const options = { keys: artefact.keys.map(parseVerifierKey) };
    const cut = { ok: false, violation: { kind: "cut", seq: 1 } };
    expect<unknown>(verifySpool(dir, options)).toMatchObject(cut);
    expect<unknown>(await independent.verify(["--key", artefact.keys[0] ?? "", dir])).toMatchObject(
      cut,
    );
    rmSync(dir, { recursive: true });
    mkdirSync(dir);
    const theirs = () => independent.verify(["--key", artefact.keys[0] ?? "", dir]);
    expect<unknown>(verifySpool(dir, options)).toMatchObject(cut);
    expect<unknown>(await theirs()).toMatchObject({ ...cut, exitCode: 1 });
    rmSync(join(place.path, "evidence"), { recursive: true });
    const empty = { ok: false, violation: { kind: "checkpoint", seq: 0 } };
    expect<unknown>(verifySpool(dir, options)).toMatchObject(empty);
    expect<unknown>(await theirs()).toMatchObject({ ...empty, exitCode: 1 });
    expect(verifySpool(dir)).toMatchObject({ ok: true, records: 0 });
    expect(await independent.verify(["--unsigned", dir])).toMatchObject({ ok: true, exitCode: 0 });
  });

  /** A log of which the last order is newer than its checkpoint, with `known` ones that a reader kept. */
  async function verifyLate(forge: (log: ForgedLog) => void, known: readonly string[] = []) {
    await using place = temporaryFolder("late");
    const log = forgeLog(createSeededRandom(75));
    log.start();
    for (let call = 0; call < 4; call += 1) log.append("admin.change", {}, { principal: "p" });
    const checkpoint = log.checkpoint();
    forge(log);
    const artefact = toArtefact(log, [checkpoint]);
    writeSpool({ ...artefact, tiles: new Map() }, place.path);
    const dir = join(place.path, "spool");
    const paths = known.map((note, index) => ["--checkpoint", put(`late-${index}`, note)]);
    const theirs = await independent.verify(["--key", log.pinned, ...paths.flat(), dir]);
    const ours = verifySpool(dir, { keys: [parseVerifierKey(log.pinned)], known });
    expect<unknown>(theirs.undecided).toEqual(ours.undecided);
    expect(theirs.violation?.kind as unknown).toBe(ours.violation?.kind);
    expect(theirs.ok).toBe(ours.ok);
    const text = renderExport(artefact);
    const exported = await verifyText(text, { keys: [log.pinned], known: [...known] });
    expect([exported.ok, exported.violation?.kind]).toEqual([theirs.ok, theirs.violation?.kind]);
    return theirs;
  }

  test("K-14 an order of the last seconds is neither proof nor tampering", async () => {
    const found = await verifyLate((log) => log.order("erased", [3, 4]));
    expect(found.undecided).toMatchObject({ kind: "not-yet-witnessed", seq: 3, records: 2 });
    expect([found.ok, found.exitCode]).toEqual([false, 3]);
    let later = "";
    await verifyLate((log) => {
      log.order("erased", [3, 4]);
      later = log.checkpoint();
    });
    // The checkpoint that covers it decides.
    const proved = await verifyLate((log) => log.order("erased", [3, 4]), [later]);
    expect(proved).toMatchObject({ ok: true, exitCode: 0 });
  });

  test("R-11 a forged order beyond the checkpoint: never sound, and a violation once there is one over it", async () => {
    let signed = "";
    await verifyLate((log) => {
      log.append("admin.change", {});
      log.append("admin.change", {});
      signed = log.checkpoint();
    });
    const forge = (log: ForgedLog) => {
      log.order("erased", [3]);
      log.append("admin.change", {});
    };
    expect(await verifyLate(forge)).toMatchObject({ ok: false, exitCode: 3 });
    expect(await verifyLate(forge, [signed])).toMatchObject({
      ok: false,
      exitCode: 1,
      violation: { kind: "fork" },
    });
  });

  test("R-11 a forged order that commits to something else, or beside a violation, is that violation", async () => {
    const facts = { erasedSeqs: "3", digest: sha256("another") };
    const empty = (log: ForgedLog, at: number) => {
      log.records[at] = { ...(log.records[at] as ForgedRecord), sealed: null };
    };
    const other = await verifyLate((log) => {
      log.append("erasure.executed", { ...facts, erasedLog: log.id });
      empty(log, 2);
    });
    expect(other.violation as unknown).toMatchObject({ kind: "fake-tombstone", seq: 3 });
    const more = await verifyLate((log) => {
      log.order("erased", [3]);
      empty(log, 3);
    });
    expect(more.violation as unknown).toMatchObject({ kind: "removed-tombstone", seq: 4 });
  });

  test("R-11 what no order of a spool's own log covers is a violation, whatever another log may say", async () => {
    const found = await verifyLate((log) => {
      log.records[2] = { ...(log.records[2] as ForgedRecord), sealed: null };
    });
    expect(found).toMatchObject({ exitCode: 1, violation: { kind: "removed-tombstone", seq: 3 } });
  });

  test("K-14 a line ends at its line feed and nowhere else", async () => {
    const opened = { said: "one\u2028two\u2029three" };
    const at = lines.findLastIndex(({ kind }) => kind === "record");
    const text = withManifest(lines.with(at, { ...(lines[at] as Line), opened }));
    expect(text).toContain("\u2028");
    expect(await verifyText(text)).toMatchObject({ ok: true });
    const windows = (whole?.text ?? "").replaceAll("\n", "\r\n");
    expect((await verifyText(windows)).violation?.kind).toBe("damage");
    const path = put("endless.jsonl", (whole?.text ?? "").slice(0, -1));
    expect(verifyExport(path)).rejects.toThrow("its last line has no end");
    expect(await independent.verify(["--unsigned", "--export", path])).toMatchObject({
      exitCode: 2,
    });
  });

  test("an order beside a whole log that does not stand in it", async () => {
    const at = lines.findLastIndex(({ sealed }) => sealed?.includes("subject"));
    const victim = lines[at] as Line;
    const last = JSON.parse(lines.at(-1)?.envelope ?? "{}");
    const facts = {
      erasedLog: victim.log,
      erasedSeqs: String(victim.seq),
      digest: sha256(String(victim.leaf)),
    };
    const commitment = sha256("");
    const order = { ...last, event: "erasure.executed", facts, commitment };
    order.seq = Number(victim.seq) + 1;
    const support = { ...victim, kind: "support", seq: order.seq, envelope: JSON.stringify(order) };
    const changed = lines.with(at, { ...victim, sealed: null });
    const first = lines.findIndex(({ kind }) => kind === "record");
    const found = await verifyText(withManifest(changed.toSpliced(first, 0, support)));
    expect(found).toMatchObject({ ok: false, violation: { seq: victim.seq } });
    expect(found.violation?.kind).toBe("fake-tombstone");
  });

  test("R-11 an order in another log that this log's checkpoint does not cover", async () => {
    const own = forgeLog(createSeededRandom(72));
    own.start();
    own.append("admin.change", {}, { principal: "p" });
    const other = forgeLog(createSeededRandom(73));
    other.start();
    const signed = other.records.length;
    const facts = {
      erasedLog: own.id,
      erasedSeqs: "2",
      digest: sha256(own.records[1]?.leaf ?? ""),
    };
    other.append("erasure.executed", facts);
    own.records[1] = { ...(own.records[1] as ForgedRecord), sealed: null };
    const textOf = (size: number) => {
      const parts = [toArtefact(own), toArtefact(other, [other.checkpoint(size)])];
      const [first = [], second = []] = parts.map((one) => linesOf(renderExport(one)));
      const heads = [...first, ...second.slice(1)].filter(({ kind }) => kind !== "record");
      const records = [...first, ...second].filter(({ kind }) => kind === "record");
      return withManifest([...heads, ...records]);
    };
    const keys = [own.pinned, other.pinned];
    expect(await verifyText(textOf(signed + 1), { keys })).toMatchObject({ ok: true });
    const found = await verifyText(textOf(signed), { keys });
    expect(found).toMatchObject({
      exitCode: 3,
      ok: false,
      undecided: { kind: "not-yet-witnessed", seq: 2, records: 1 },
    });
  });

  test("anything at all, where it was started through a link", async () => {
    const link = join(folder.path, "verify.mjs");
    symlinkSync(independentVerifierPath, link);
    const { exitCode } = Bun.spawnSync(["node", link, "--key", "none"]);
    expect(exitCode).toBe(2);
  });
});

test("K-14 a spool without tiles and oldest segments does not pass for signed", async () => {
  await using place = temporaryFolder("no-tiles");
  const artefact = toArtefact(forgeStory(createSeededRandom(74), false));
  artefact.records = artefact.records
    .filter(({ segment }) => segment > 0)
    .map((one) => ({ ...one, segment: one.segment - 1 }));
  artefact.heads = artefact.heads.slice(1);
  artefact.tiles.clear();
  writeSpool(artefact, place.path);
  const [key = ""] = artefact.keys;
  const said: string[] = [];
  const write = (text: string) => void said.push(text);
  const output = createOutput({ write, writeNote: write, color: false });
  const args = ["--key", key, "--data-dir", place.path];
  await auditVerify.run(args, { output, stop: new AbortController().signal });
  expect(said.join("\n")).toContain("signed   NOTHING");
  const node = Bun.spawnSync([
    "node",
    independentVerifierPath,
    "--key",
    key,
    join(place.path, "spool"),
  ]);
  expect(node.stdout.toString()).toContain("NONE under a signed checkpoint");
  expect(node.exitCode).toBe(0);
});
