/**
 * Syncs on the calling thread for as long as the disk is quick: handing such a sync to the pool's threads and being told
 * of its end costs more than the sync itself. Off the thread once one was slow, so that records which only have to be
 * written do not wait behind it. Used by `serve.ts` for what the writer syncs.
 */
import type { Clock } from "../../lib/clock.ts";
import type { SpoolDisk } from "./disk.ts";

/** A sync no longer than this is waited for on the thread. */
const quickMs = 1;

/** The same disk, whose `sync` may be done before it returns. */
export function withQuickSync(disk: SpoolDisk, clock: Pick<Clock, "monotonicMs">): SpoolDisk {
  let wasQuick = false;

  function sync(fd: number, done: (error: Error | null) => void): void {
    const startedMs = clock.monotonicMs();
    const ended = (error: Error | null) => {
      wasQuick = clock.monotonicMs() - startedMs <= quickMs;
      done(error);
    };
    if (wasQuick) ended(errorOf(() => disk.syncNow(fd)));
    else disk.sync(fd, ended);
  }

  return { ...disk, sync };
}

function errorOf(work: () => void): Error | null {
  try {
    work();
    return null;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}
