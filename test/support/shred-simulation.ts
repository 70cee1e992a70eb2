/**
 * Shredding inside a simulated power loss: takes its steps one by one between everything else, and says after each
 * recovery whether what was reported shredded has come back, or anything else has lost its sealed part.
 */
import { parseEnvelope } from "../../src/audit/envelope.ts";
import { emptyPart } from "../../src/audit/sealing.ts";
import type { SpoolDisk, SpoolFolder } from "../../src/audit/spool/disk.ts";
import { listSegments } from "../../src/audit/spool/files.ts";
import { scanSegment } from "../../src/audit/spool/scan.ts";
import { type ShredStep, shredSegments } from "../../src/audit/spool/shred.ts";
import type { SpoolWriter } from "../../src/audit/spool/writer.ts";
import { type FaultyDisk, Gone } from "./faulty-disk.ts";
import { createSampleSealer, samplePair } from "./sealing.ts";

interface Sealed {
  readonly id: number;
  readonly pair: number;
}

/** Every record handed to the writer so far, and those that were acknowledged as synced. */
interface Extent {
  readonly written: readonly Sealed[];
  readonly synced: readonly Sealed[];
}

const subjects = [samplePair.subject, "dddddddddddddddd"] as const;

export function createShreddingOf(deps: {
  readonly disk: SpoolDisk;
  readonly dir: string;
  readonly random: (below: number) => number;
}) {
  const { disk, dir, random } = deps;
  /** Records that may, and records that must have lost their sealed part. */
  const begun = new Set<number>();
  const done = new Set<number>();
  let isAsked = false;
  let current:
    | { readonly steps: Generator<ShredStep, number>; readonly must: Set<number> }
    | undefined;
  let isSyncing = false;

  function act(writer: SpoolWriter, extent: () => Extent): void {
    if (current !== undefined) goOn();
    else if (!isAsked) {
      isAsked = true;
      writer.endSegment((folder) => begin(folder, extent()));
    }
  }

  function begin(folder: SpoolFolder, { written, synced }: Extent): void {
    const pair = 1 + random(subjects.length);
    const idsOf = (some: readonly Sealed[]) =>
      some.filter((one) => one.pair === pair).map(({ id }) => id);
    for (const id of idsOf(written)) begun.add(id);
    const keys = new Set([subjects[pair - 1] ?? ""]);
    current = { steps: shredSegments({ disk, folder, dir }, keys), must: new Set(idsOf(synced)) };
    goOn();
  }

  /** Some steps, at the most up to the next sync. */
  function goOn(): void {
    for (let count = 1 + random(8); count > 0 && current !== undefined && !isSyncing; count -= 1) {
      take(({ steps }) => steps.next());
    }
  }

  function take(
    next: (own: NonNullable<typeof current>) => IteratorResult<ShredStep, number>,
  ): void {
    const own = current;
    if (own === undefined) return;
    try {
      const step = next(own);
      if (step.done) {
        for (const id of own.must) done.add(id);
        end();
      } else if (step.value !== "turn") {
        isSyncing = true;
        disk.sync(step.value.fd, (error) => {
          if (current !== own) return;
          isSyncing = false;
          take(({ steps }) => (error === null ? steps.next() : steps.throw(error)));
        });
      }
    } catch (error) {
      // It is reported as not done, and asked for again.
      end();
      if (error instanceof Gone) throw error;
    }
  }

  function end(): void {
    current = undefined;
    isAsked = false;
    isSyncing = false;
  }

  function check(
    { disk: found }: FaultyDisk,
    posted: ReadonlyMap<number, Sealed>,
  ): readonly string[] {
    const problems: string[] = [];
    for (const { path } of listSegments(dir, found.list(dir))) {
      for (const { envelope, details } of scanSegment(found.read(path)).records) {
        const id = Number(parseEnvelope(envelope)?.facts.id);
        const isSealed = details !== "" && details !== emptyPart;
        if (isSealed && done.has(id)) problems.push(`what was shredded of ${id} is back`);
        const wasSealed = (posted.get(id)?.pair ?? 0) > 0;
        if (wasSealed && !isSealed && !begun.has(id)) problems.push(`${id} lost its sealed part`);
      }
    }
    return problems;
  }

  return {
    act,
    check,
    /** The process is gone, or the spool closed. */
    forget: end,
    sealer() {
      const sealer = createSampleSealer();
      const key = new Uint8Array(32).fill(8);
      sealer.pair({ ...samplePair, ref: 2, subject: subjects[1], key });
      return sealer;
    },
  };
}
