/**
 * Ways to break what the spool relies on, one at a time: the simulated power loss must notice each of them, or it proves
 * nothing. Each wraps the disk between the writer and the simulation.
 */
import type { SpoolDisk } from "../../src/audit/spool/disk.ts";

export const sabotages: Readonly<Record<string, (disk: SpoolDisk) => SpoolDisk>> = {
  "directory entries are not synced": (disk) => ({
    ...disk,
    take: (dir) => ({ ...disk.take(dir), sync: () => {} }),
  }),
  "a sync is called done that was never made": (disk) => ({
    ...disk,
    sync: (_fd, done) => done(null),
  }),
  "a failed sync is called a success": (disk) => ({
    ...disk,
    sync: (fd, done) => disk.sync(fd, () => done(null)),
  }),
  "a failed sync is tried again on the same file": (disk) => ({
    ...disk,
    sync: (fd, done) =>
      disk.sync(fd, (error) => {
        if (error === null) done(null);
        else disk.sync(fd, done);
      }),
  }),
  "segments begin and end without a sync": (disk) => ({ ...disk, syncNow: () => {} }),
  "a failed sync at the end of a segment is ignored": (disk) => ({
    ...disk,
    syncNow: (fd) => {
      try {
        disk.syncNow(fd);
      } catch {
        // As if it had been well.
      }
    },
  }),
  "what was shredded is not synced": (disk) => {
    const shredded = new Set<number>();
    return {
      ...disk,
      create: (path) => {
        const fd = disk.create(path);
        if (path.endsWith(".shred.new")) shredded.add(fd);
        return fd;
      },
      sync: (fd, done) => (shredded.has(fd) ? done(null) : disk.sync(fd, done)),
    };
  },
  "a shredded segment is put in place and its folder not synced": (disk) => {
    let isSynced = true;
    return {
      ...disk,
      take: (dir) => {
        const folder = disk.take(dir);
        const sync = () => (isSynced ? folder.sync() : undefined);
        return { ...folder, sync };
      },
      openToRead: (path) => {
        isSynced = false;
        return disk.openToRead(path);
      },
      create: (path) => {
        if (!path.endsWith(".shred.new")) isSynced = true;
        return disk.create(path);
      },
    };
  },
  "a short write is taken for a whole one": (disk) => ({
    ...disk,
    write: (fd, bytes, from, length, position) => {
      disk.write(fd, bytes, from, length, position);
      return length;
    },
  }),
  "what recovery read back is not written again": (disk) => {
    const reopened = new Set<number>();
    return {
      ...disk,
      open: (path) => {
        const fd = disk.open(path);
        if (path.endsWith(".seg")) reopened.add(fd);
        return fd;
      },
      write: (fd, bytes, from, length, position) =>
        reopened.has(fd) ? length : disk.write(fd, bytes, from, length, position),
      syncNow: (fd) => {
        disk.syncNow(fd);
        reopened.delete(fd);
      },
    };
  },
};
