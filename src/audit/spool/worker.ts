/**
 * The spool's thread: owns the segment files and runs the writer on them, and seals what it writes, so no call's
 * event loop ever waits for the disk or for a cipher. Started by `spool.ts` through `lib/worker.ts`; an extra entry point of the executable.
 */
import { realDisk } from "./disk.ts";
import { serveSpool } from "./serve.ts";

declare const self: Worker;

serveSpool(self, realDisk);
