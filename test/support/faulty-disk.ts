/**
 * A disk in memory that is as bad as disks are allowed to be: what was not synced may be lost, in any order and in
 * pieces of 512 bytes or 4 KiB; so may directory entries; a sync may fail, and then the next one succeeds without having
 * written what that one lost; there may be no room; and the process, or its power, may end at any call.
 */
import { basename, join } from "node:path";
import type { SpoolDisk } from "../../src/audit/spool/disk.ts";

export type CrashKind = "kill" | "power";
type CallName = keyof SpoolDisk | "folder.sync";

export interface FaultyDisk {
  readonly disk: SpoolDisk;
  /** Syncs that were started and have not ended. */
  readonly running: RunningSync[];
  /** What must never be done to a disk, where it was done. */
  readonly offences: string[];
  calls(): number;
  used(): number;
  capacity: number;
  /** Asked before each call; an error is thrown by it. */
  fault: (name: CallName, call: number) => Error | undefined;
  crash(kind: CrashKind): void;
  /** Flips one bit of what is durable, as rot does. */
  flip(name: string, at: number): void;
}

export interface RunningSync {
  end(error: Error | null): void;
}

interface Inode {
  readonly number: number;
  cache: Buffer;
  durable: Buffer;
  /** Sectors that differ from what is durable, as far as the kernel knows. */
  dirty: Set<number>;
  /** The life in which a sync of it failed. */
  failedInLife: number;
}

interface BegunSync {
  readonly inode: Inode;
  readonly content: Buffer;
  readonly sectors: ReadonlySet<number>;
}

interface DirectoryChange {
  apply(names: Map<string, Inode>): void;
}

/** Thrown by every call once the process is gone: whatever the caller makes of it, nothing more reaches the disk. */
export class Gone extends Error {}

const sectorBytes = 512;
const tearSizes = [512, 4096] as const;

export function createFaultyDisk(random: (below: number) => number): FaultyDisk {
  let names = new Map<string, Inode>();
  let durableNames = new Map<string, Inode>();
  let changes: DirectoryChange[] = [];
  let files = new Map<number, Inode>();
  const begunSyncs = new Set<BegunSync>();
  let nextFd = 3;
  let nextInode = 0;
  let life = 0;
  let calls = 0;
  let isTaken = false;
  const self: FaultyDisk = {
    disk: {
      take,
      list: (dir) => call("list", () => (dir === "" ? [] : [...names.keys()])),
      size: (path) => call("size", () => find(path).cache.length),
      read: (path) => call("read", () => Buffer.from(find(path).cache)),
      identify: (path) => call("identify", () => identify(basename(path))),
      openToRead: (path) => call("openToRead", () => openInode(find(path))),
      readAt: (fd, into, from, length, position) =>
        call("readAt", () => at(fd).cache.copy(into, from, position, position + length)),
      setAge: (path) => call("setAge", () => void find(path)),
      create: (path) => call("create", () => create(path)),
      open: (path) => call("open", () => openInode(find(path))),
      close: (fd) => call("close", () => void files.delete(fd)),
      write: (fd, bytes, from, length, position) =>
        call("write", () => write(at(fd), bytes.subarray(from, from + length), position)),
      truncate: (fd, length) => call("truncate", () => resize(at(fd), length)),
      sync: (fd, done) => startSync(fd, done),
      syncNow,
      rename: (from, to) => call("rename", () => rename(basename(from), basename(to))),
      unlink: (path) => call("unlink", () => unlink(basename(path))),
      free: () => call("free", () => self.capacity - used()),
    },
    running: [],
    offences: [],
    calls: () => calls,
    used,
    capacity: Number.POSITIVE_INFINITY,
    fault: () => undefined,
    crash,
    flip,
  };
  return self;

  function call<T>(name: CallName, work: () => T): T {
    const error = nextFault(name);
    if (error !== undefined) throw error;
    return work();
  }

  function nextFault(name: CallName): Error | undefined {
    calls += 1;
    return self.fault(name, calls);
  }

  function take() {
    if (isTaken) throw new Error("taken twice");
    isTaken = true;
    life += 1;
    for (const name of names.keys()) if (name.endsWith(".new")) unlink(name);
    return {
      sync: () =>
        call("folder.sync", () => {
          durableNames = new Map(names);
          changes = [];
        }),
      release: () => {
        isTaken = false;
      },
    };
  }

  function find(path: string): Inode {
    const inode = names.get(basename(path));
    if (inode === undefined) throw Object.assign(new Error(`no ${path}`), { code: "ENOENT" });
    return inode;
  }

  function identify(name: string) {
    const inode = names.get(name);
    return inode && { inode: inode.number, bytes: inode.cache.length, modifiedMs: 0 };
  }

  function at(fd: number): Inode {
    const inode = files.get(fd);
    if (inode === undefined) throw Object.assign(new Error("bad fd"), { code: "EBADF" });
    return inode;
  }

  function openInode(inode: Inode): number {
    nextFd += 1;
    files.set(nextFd, inode);
    return nextFd;
  }

  function create(path: string): number {
    const name = basename(path);
    if (names.has(name)) throw Object.assign(new Error(`there is ${path}`), { code: "EEXIST" });
    const empty = () => Buffer.alloc(0);
    nextInode += 1;
    const bytes = { cache: empty(), durable: empty(), dirty: new Set<number>() };
    const inode = { number: nextInode, ...bytes, failedInLife: -1 };
    change({ apply: (into) => into.set(name, inode) });
    return openInode(inode);
  }

  function rename(from: string, to: string): void {
    const inode = find(from);
    change({
      apply: (into) => {
        into.set(to, inode);
        into.delete(from);
      },
    });
  }

  function unlink(name: string): void {
    find(name);
    change({ apply: (into) => into.delete(name) });
  }

  function change(one: DirectoryChange): void {
    one.apply(names);
    changes.push(one);
  }

  function used(): number {
    return [...new Set(names.values())].reduce((sum, inode) => sum + inode.cache.length, 0);
  }

  function write(inode: Inode, bytes: Uint8Array, position: number): number {
    const room = Math.max(0, self.capacity - used());
    const growth = Math.max(0, position + bytes.length - inode.cache.length);
    const length = growth <= room ? bytes.length : bytes.length - (growth - room);
    if (length <= 0) throw Object.assign(new Error("no room"), { code: "ENOSPC" });
    if (position + length > inode.cache.length) resize(inode, position + length);
    inode.cache.set(bytes.subarray(0, length), position);
    markDirty(inode, position, position + length);
    return length;
  }

  function resize(inode: Inode, length: number): void {
    const before = inode.cache;
    inode.cache = Buffer.alloc(length);
    before.copy(inode.cache);
    markDirty(inode, Math.min(length, before.length), Math.max(length, before.length));
  }

  function markDirty(inode: Inode, from: number, to: number): void {
    for (let one = Math.floor(from / sectorBytes); one * sectorBytes < to; one += 1) {
      inode.dirty.add(one);
    }
  }

  function syncNow(fd: number): void {
    const error = nextFault("syncNow");
    if (error instanceof Gone) throw error;
    endSync(beginSync(at(fd)), error ?? null);
    if (error !== undefined) throw error;
  }

  /** Like the system's, it tells of a failure when it ends, never when it begins. */
  function startSync(fd: number, done: (error: Error | null) => void): void {
    const injected = nextFault("sync");
    if (injected instanceof Gone) throw injected;
    const begun = beginSync(at(fd));
    const one: RunningSync = {
      end(error) {
        self.running.splice(self.running.indexOf(one), 1);
        const outcome = injected ?? error;
        endSync(begun, outcome);
        done(outcome);
      },
    };
    self.running.push(one);
  }

  /** What is written while it runs is not part of it. */
  function beginSync(inode: Inode): BegunSync {
    if (inode.failedInLife === life) self.offences.push("a file was synced after a failed sync");
    const begun = { inode, content: Buffer.from(inode.cache), sectors: inode.dirty };
    inode.dirty = new Set();
    begunSyncs.add(begun);
    return begun;
  }

  /** What a failed one did not write is held to be clean from then on. */
  function endSync(begun: BegunSync, error: Error | null): void {
    begunSyncs.delete(begun);
    const { inode, content, sectors } = begun;
    if (error !== null) inode.failedInLife = life;
    settle(inode, sectors, content, () => error === null || random(2) === 0);
  }

  /** Makes the sectors that are `kept` durable, and the length with them where any that is beyond is. */
  function settle(
    inode: Inode,
    sectors: ReadonlySet<number>,
    content: Buffer,
    isKept: () => boolean,
    tearBytes: number = sectorBytes,
  ): void {
    const verdicts = new Map<number, boolean>();
    const isAll = [...sectors].every((one) => {
      const piece = Math.floor((one * sectorBytes) / tearBytes);
      if (!verdicts.has(piece)) verdicts.set(piece, isKept());
      return verdicts.get(piece);
    });
    const kept = [...sectors].filter((one) =>
      verdicts.get(Math.floor((one * sectorBytes) / tearBytes)),
    );
    const reach = Math.max(
      0,
      ...kept.map((one) => Math.min(content.length, (one + 1) * sectorBytes)),
    );
    const length = isAll ? content.length : Math.max(inode.durable.length, reach);
    const next = Buffer.alloc(length);
    inode.durable.copy(next);
    for (const one of kept) {
      const end = Math.min(content.length, (one + 1) * sectorBytes);
      if (one * sectorBytes < end) content.copy(next, one * sectorBytes, one * sectorBytes, end);
    }
    inode.durable = next;
  }

  function crash(kind: CrashKind): void {
    self.running.splice(0);
    for (const begun of begunSyncs) {
      // Nobody is there to be told that it failed.
      if (kind === "kill" && random(3) === 0) endSync(begun, new Error("lost"));
      else for (const one of begun.sectors) begun.inode.dirty.add(one);
    }
    begunSyncs.clear();
    const tearBytes = tearSizes[random(tearSizes.length)] ?? sectorBytes;
    if (kind === "power") {
      const inodes = new Set([...names.values(), ...durableNames.values(), ...files.values()]);
      for (const change of changes) if (random(2) === 0) change.apply(durableNames);
      names = new Map(durableNames);
      changes = [];
      const luck = random(4);
      for (const inode of inodes) {
        const lost = [...inode.dirty];
        settle(inode, new Set(lost), inode.cache, () => random(4) < luck, tearBytes);
        inode.cache = Buffer.from(inode.durable);
        inode.dirty.clear();
      }
    }
    files = new Map();
    isTaken = false;
    self.fault = () => undefined;
  }

  function flip(name: string, place: number): void {
    const inode = find(join("/", name));
    for (const bytes of [inode.cache, inode.durable]) {
      if (place < bytes.length) bytes[place] = (bytes[place] ?? 0) ^ (1 << (place % 8));
    }
  }
}
