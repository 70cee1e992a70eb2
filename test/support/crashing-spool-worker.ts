/**
 * The spool's thread with numbered crash points: the process is killed before or after its n-th call to the disk
 * (CRASH_AT, CRASH_WHEN). Product code knows nothing of it. Started by `crashing-child.ts`.
 */
import { realDisk, type SpoolDisk } from "../../src/audit/spool/disk.ts";
import { serveSpool } from "../../src/audit/spool/serve.ts";

declare const self: Worker;

const crashAt = Number(process.env.CRASH_AT);
const isAfter = process.env.CRASH_WHEN === "after";
let calls = 0;

function counted<Args extends unknown[], Result>(work: (...args: Args) => Result) {
  return (...args: Args): Result => {
    calls += 1;
    const isDoomed = calls === crashAt;
    if (isDoomed && !isAfter) die();
    const result = work(...args);
    if (isDoomed) die();
    return result;
  };
}

function die(): void {
  process.kill(process.pid, "SIGKILL");
}

const disk: SpoolDisk = {
  take: (dir) => {
    const folder = realDisk.take(dir);
    return { ...folder, sync: counted(folder.sync) };
  },
  list: realDisk.list,
  size: realDisk.size,
  read: realDisk.read,
  identify: realDisk.identify,
  openToRead: realDisk.openToRead,
  readAt: realDisk.readAt,
  free: realDisk.free,
  close: realDisk.close,
  create: counted(realDisk.create),
  open: counted(realDisk.open),
  write: counted(realDisk.write),
  truncate: counted(realDisk.truncate),
  sync: (fd, done) => {
    counted(() => {})();
    realDisk.sync(fd, (error) => counted(done)(error));
  },
  syncNow: counted(realDisk.syncNow),
  rename: counted(realDisk.rename),
  unlink: counted(realDisk.unlink),
  setAge: counted(realDisk.setAge),
};

serveSpool(self, disk);
