/**
 * Runs shredding on the spool's thread, between records: the writer ends the active segment first, and healing is kept
 * out of the segments meanwhile. Called by `serve.ts`.
 */
import { reasonOf, type SpoolDisk, type SpoolFolder } from "./disk.ts";
import { lockRewriting } from "./files.ts";
import type { FromSpool } from "./messages.ts";
import { type ShredStep, shredSegments } from "./shred.ts";

/** Healing holds the segments for as long as it asks the database. */
const lockPollMs = 20;
const lockTriesMax = 3_000;

interface SpoolParts {
  readonly writer: { endSegment(ended: (folder: SpoolFolder) => void): void };
  readonly disk: SpoolDisk;
  readonly dir: string;
}

/** Empties what lies under the keys, and reports `shredded` or `not-shredded`. */
export async function shredSpool(
  parts: SpoolParts,
  keys: ReadonlySet<string>,
  emit: (message: FromSpool) => void,
): Promise<void> {
  try {
    emit({ kind: "shredded", frames: await shredEnded(parts, keys) });
  } catch (error) {
    emit({ kind: "not-shredded", reason: reasonOf(error) });
  }
}

async function shredEnded(
  { writer, disk, dir }: SpoolParts,
  keys: ReadonlySet<string>,
): Promise<number> {
  const unlock = await lock(dir);
  try {
    // Begun in the turn in which no segment is being written.
    return await new Promise<number>((resolve, reject) =>
      writer.endSegment((folder) => {
        takeSteps(disk, shredSegments({ disk, folder, dir }, keys)).then(resolve, reject);
      }),
    );
  } finally {
    unlock();
  }
}

async function lock(dir: string): Promise<() => void> {
  for (let tries = 1; ; tries += 1) {
    try {
      return lockRewriting(dir);
    } catch (error) {
      if (tries >= lockTriesMax) throw error;
      await Bun.sleep(lockPollMs);
    }
  }
}

/** Its first step is taken before this returns. */
export async function takeSteps<T>(
  disk: Pick<SpoolDisk, "sync">,
  steps: Generator<ShredStep, T>,
): Promise<T> {
  let taken = steps.next();
  while (taken.done !== true) {
    const failure = await end(disk, taken.value);
    taken = failure === null ? steps.next() : steps.throw(failure);
  }
  return taken.value;
}

function end(disk: Pick<SpoolDisk, "sync">, step: ShredStep): Promise<Error | null> {
  return new Promise((resolve) => {
    if (step === "turn") setImmediate(() => resolve(null));
    else disk.sync(step.fd, resolve);
  });
}
