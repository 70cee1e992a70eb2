/**
 * logs are tampered with in fourteen ways, and single bits flipped, by what knows no verifier; both
 * verifiers must find each, and name it alike. FAULT_TAMPERINGS sets how many of each (100), FAULT_FLIPS how many bits
 * (300), FAULT_SEED where to begin; a failure names the seed that shows it again.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseVerifierKey } from "../../src/audit/evidence/keys.ts";
import { verifyExport } from "../../src/audit/verify/read-export.ts";
import { verifySpool } from "../../src/audit/verify/verify.ts";
import {
  type Artefact,
  renderExport,
  toArtefact,
  writeSpool,
} from "../support/audit-forge/artefact.ts";
import { forgeLog } from "../support/audit-forge/log.ts";
import { createSeededRandom, type SeededRandom } from "../support/audit-forge/random.ts";
import { addCalls, forgeStory } from "../support/audit-forge/story.ts";
import { type TamperClass, tamper, tamperClasses } from "../support/audit-forge/tamper.ts";
import { startIndependentVerifier } from "../support/independent-verifier.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const tamperings = Number(process.env.FAULT_TAMPERINGS ?? 100);
const flips = Number(process.env.FAULT_FLIPS ?? 300);
const firstSeed = Number(process.env.FAULT_SEED ?? 1);

const folder = temporaryFolder("tamper");
const independent = startIndependentVerifier();
afterAll(async () => {
  independent[Symbol.dispose]();
  await folder[Symbol.asyncDispose]();
});

type Medium = "spool" | "export";

interface Findings {
  readonly ours: string;
  readonly theirs: string;
}

/** What both say of an artefact: the kind of tampering and the first bad record, or that it is sound. */
async function verifyBoth(artefact: Artefact, medium: Medium, dir: string): Promise<Findings> {
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true });
  const known = artefact.known.flatMap((note, index) => {
    const path = join(dir, `known-${index}`);
    writeFileSync(path, note);
    return ["--checkpoint", path];
  });
  if (medium === "spool") writeSpool(artefact, dir);
  else writeFileSync(join(dir, "export.jsonl"), renderExport(artefact));
  return await askBoth(artefact, medium, dir, known);
}

async function askBoth(
  { keys: pinned, known }: Pick<Artefact, "keys" | "known">,
  medium: Medium,
  dir: string,
  knownFlags: readonly string[] = [],
): Promise<Findings> {
  const target =
    medium === "spool" ? [join(dir, "spool")] : ["--export", join(dir, "export.jsonl")];
  const flags = pinned.flatMap((key) => ["--key", key]);
  // A process of its own: it verifies while ours does.
  const asked = independent.verify([...flags, ...knownFlags, ...target]);
  const options = { keys: pinned.map(parseVerifierKey), known };
  const reports =
    medium === "spool"
      ? [verifySpool(join(dir, "spool"), options)]
      : await verifyExport(join(dir, "export.jsonl"), options);
  const theirs = await asked;
  const violation = reports.find(({ ok }) => !ok)?.violation;
  const render = (found: { kind: string; seq: number } | undefined) =>
    found === undefined ? "sound" : `${found.kind} at ${found.seq}`;
  return { ours: render(violation), theirs: theirs.error ?? render(theirs.violation) };
}

const storiesPerMedium = 6;
const storiesOf = (isPruned: boolean) =>
  Array.from({ length: storiesPerMedium }, (_, index) =>
    forgeStory(createSeededRandom(firstSeed + index + (isPruned ? 1000 : 0)), isPruned),
  );
const stories = { spool: storiesOf(false), export: storiesOf(true) };
const storyOf = (medium: Medium, index: number) => {
  const story = stories[medium][index % storiesPerMedium];
  if (story === undefined) throw new Error("there is no such story");
  return story;
};

describe("R-11 tamper", () => {
  for (const medium of ["spool", "export"] as const) {
    test(`K-14 what nobody touched is sound: ${medium}`, async () => {
      for (let index = 0; index < storiesPerMedium; index += 1) {
        const artefact = toArtefact(storyOf(medium, index));
        const found = await verifyBoth(artefact, medium, join(folder.path, "sound"));
        expect(found).toEqual({ ours: "sound", theirs: "sound" });
      }
    });
  }

  test("K-14 an order may name records of segments that are gone", async () => {
    const random = createSeededRandom(firstSeed);
    const log = forgeLog(random);
    log.start();
    addCalls(log, random, 40);
    log.order("erased", [4, 50, 60]);
    const artefact = toArtefact(log);
    const dir = join(folder.path, "pruned-start");
    writeSpool(artefact, dir);
    rmSync(join(dir, "spool", "0000000000000001.seg"));
    expect(await askBoth(artefact, "spool", dir)).toEqual({ ours: "sound", theirs: "sound" });
    rmSync(join(dir, "evidence", "tile"), { recursive: true });
    expect(await askBoth(artefact, "spool", dir)).toEqual({ ours: "sound", theirs: "sound" });
  });

  for (const kind of tamperClasses) {
    test(`ST-06 each of ${tamperings} is found and named: ${kind}`, async () => {
      const dir = join(folder.path, kind);
      for (let index = 0; index < tamperings; index += 1) {
        await checkOne(kind, index, dir);
      }
    });
  }

  async function checkOne(kind: TamperClass, index: number, dir: string): Promise<void> {
    const medium = index % 2 === 0 ? "spool" : "export";
    const seed = firstSeed * 1_000_003 + index;
    const random = createSeededRandom(seed);
    const story = storyOf(medium, random.below(storiesPerMedium));
    const { artefact, how } = tamper(kind, random, story, medium === "export");
    const { ours, theirs } = await verifyBoth(artefact, medium, dir);
    const what = { medium, seed, how };
    expect({ ...what, found: theirs.split(" at ")[0] }).toEqual({ ...what, found: kind });
    expect({ ...what, ours }).toEqual({ ...what, ours: theirs });
  }
});

describe("R-10 tamper", () => {
  /** Flips a bit of a file for as long as `look` takes. */
  async function flipped<T>(
    path: string,
    random: SeededRandom,
    look: () => Promise<T>,
  ): Promise<T> {
    const bytes = readFileSync(path);
    const changed = Buffer.from(bytes);
    const at = random.below(bytes.length);
    changed.writeUInt8((bytes[at] ?? 0) ^ (1 << random.below(8)), at);
    writeFileSync(path, changed);
    try {
      return await look();
    } finally {
      writeFileSync(path, bytes);
    }
  }

  function listFiles(dir: string): string[] {
    return readdirSync(dir, { recursive: true, encoding: "utf8" })
      .map((name) => join(dir, name))
      .filter((path) => statSync(path).isFile());
  }

  test(`ST-14 each of ${flips} single bits in spool, tiles and checkpoint is found`, async () => {
    const dir = join(folder.path, "flips");
    const story = storyOf("spool", 0);
    const artefact = toArtefact(story);
    writeSpool(artefact, dir);
    const groups = ["spool", "evidence/tile", "evidence/checkpoint"].map((name) => {
      const path = join(dir, name);
      return statSync(path).isFile() ? [path] : listFiles(path);
    });
    for (let index = 0; index < flips; index += 1) {
      const seed = firstSeed * 7919 + index;
      const random = createSeededRandom(seed);
      const path = random.pick(groups[index % groups.length] ?? []);
      const found = await flipped(path, random, () => askBoth(artefact, "spool", dir));
      const what = { path, seed };
      expect({ ...what, ours: found.ours }).not.toEqual({ ...what, ours: "sound" });
      expect({ ...what, theirs: found.theirs }).not.toEqual({ ...what, theirs: "sound" });
    }
  });

  test(`each of ${flips} single bits in an export is found`, async () => {
    const dir = join(folder.path, "flipped-export");
    mkdirSync(dir, { recursive: true });
    const artefact = toArtefact(storyOf("export", 0));
    const path = join(dir, "export.jsonl");
    writeFileSync(path, renderExport(artefact));
    for (let index = 0; index < flips; index += 1) {
      const seed = firstSeed * 104_729 + index;
      const look = () =>
        askBoth(artefact, "export", dir).catch((error: Error) => {
          return { ours: error.message, theirs: "refused" };
        });
      const found = await flipped(path, createSeededRandom(seed), look);
      expect({ seed, ours: found.ours }).not.toEqual({ seed, ours: "sound" });
      expect({ seed, theirs: found.theirs }).not.toEqual({ seed, theirs: "sound" });
    }
  });
});
