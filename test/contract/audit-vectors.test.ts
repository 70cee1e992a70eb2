/**
 * R-13, K-17: golden vectors for verifiers, on which the gateway's own and the independent one agree; and the files of
 * them are what the format says today.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkOpening } from "../../src/audit/commitment.ts";
import { verifyBootCertificate } from "../../src/audit/evidence/boot-certificate.ts";
import { originOf } from "../../src/audit/evidence/checkpoint.ts";
import { EvidenceError } from "../../src/audit/evidence/evidence-error.ts";
import { parseVerifierKey } from "../../src/audit/evidence/keys.ts";
import { parseProof, verifyProof } from "../../src/audit/evidence/proof.ts";
import { verifyExport } from "../../src/audit/verify/read-export.ts";
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

describe("what the independent verifier once let pass", () => {
  type Line = { kind: string; envelope?: string; sealed?: string | null } & Record<string, unknown>;
  const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
  const [whole] = load<ExportVector>("exports.json");
  const lines: readonly Line[] = (whole?.text ?? "")
    .split("\n")
    .slice(0, -2)
    .map((line) => JSON.parse(line));

  /** Verifies an export of these lines, with a manifest that fits them. */
  async function verifyLines(changed: readonly Line[]) {
    const text = changed.map((line) => `${JSON.stringify(line)}\n`).join("");
    const count = changed.filter(({ kind }) => kind === "record").length;
    const manifest = { kind: "manifest", count, sha256: sha256(text) };
    const path = put("changed.jsonl", `${text}${JSON.stringify(manifest)}\n`);
    const keys = whole?.keys.flatMap((key) => ["--key", key]) ?? [];
    return await independent.verify([...keys, "--export", path]);
  }

  test("a whole log without any record, though a checkpoint covers some", async () => {
    const found = await verifyLines(lines.filter(({ kind }) => kind !== "record"));
    expect(found).toMatchObject({ ok: false, violation: { kind: "cut", seq: 1 } });
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
    const found = await verifyLines(changed.toSpliced(first, 0, support));
    expect(found).toMatchObject({ ok: false, violation: { seq: victim.seq } });
    expect(found.violation?.kind).toBe("fake-tombstone");
  });

  test("anything at all, where it was started through a link", async () => {
    const link = join(folder.path, "verify.mjs");
    symlinkSync(independentVerifierPath, link);
    const { exitCode } = Bun.spawnSync(["node", link, "--key", "none"]);
    expect(exitCode).toBe(2);
  });
});
