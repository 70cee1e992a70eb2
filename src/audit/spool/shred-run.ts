/**
 * Runs shredding on the spool's thread, between records: the writer ends the active segment first, and healing is kept
 * out of the segments meanwhile. Called by `serve.ts`.
 */
import { reasonOf, type SpoolDisk, type SpoolFolder } from "./disk.ts";
import { lockRewriting } from "./files.ts";
import type { FromSpool, ShredRequest } from "./messages.ts";
import { findSealed, type ShredPlace, type ShredStep, shredSegments } from "./shred.ts";

/** Healing holds the segments for as long as it asks the database. */
const lockPollMs = 20;
const lockTriesMax = 3_000;

/** Ends the active segment, empties (or finds) what lies under the keys, and reports `shredded` or `not-shredded`. */
export async function shredSpool(
  writer: { endSegment(ended: (folder: SpoolFolder) => void): void },
  { disk, dir, request }: { disk: SpoolDisk; dir: string; request: ShredRequest },
  emit: (message: FromSpool) => void,
): Promise<void> {
  try {
    const unlock = await lock(dir);
    try {
      // Begun in the turn in which no segment is being written.
      const done = await new Promise<Shredded>((resolve, reject) =>
        writer.endSegment((folder) => {
          takeSteps(disk, stepsOf({ disk, folder, dir }, request)).then(resolve, reject);
        }),
      );
      emit({ kind: "shredded", ...done });
    } finally {
      unlock();
    }
  } catch (error) {
    emit({ kind: "not-shredded", reason: reasonOf(error) });
  }
}

type Shredded = Pick<FromSpool & { readonly kind: "shredded" }, "frames" | "found">;

function* stepsOf(place: ShredPlace, request: ShredRequest): Generator<ShredStep, Shredded> {
  const keys = new Set(request.keys);
  if (request.lookExcept === undefined) {
    return { frames: yield* shredSegments(place, keys), found: [] };
  }
  return { frames: 0, found: yield* findSealed(place, keys, new Set(request.lookExcept)) };
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
