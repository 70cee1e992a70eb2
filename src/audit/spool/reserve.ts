/**
 * Room kept on the disk for the day it is full (ST-07): a file of bytes that mean nothing, given back when a write
 * finds no room, so that the outcomes of calls already let through and the event itself can still be recorded. While
 * the disk is full nothing new is let in, and the whole of what was given back must be had again before that ends.
 *
 * It is begun as soon as the spool is open, grows by a piece a second and never takes more than an eighth of what is
 * free, so no call waits behind it and a small disk is not filled by it.
 */
import { randomFillSync } from "node:crypto";
import { join } from "node:path";
import type { Later } from "../../lib/later.ts";
import type { SpoolDisk } from "./disk.ts";
import { writeAt } from "./segment.ts";

export interface Reserve {
  /** Told of a failed write. True where room was given back, so that the write may be tried once more. */
  noteFailure(error: unknown): boolean;
  close(): void;
}

export interface ReserveDeps {
  readonly disk: SpoolDisk;
  readonly dir: string;
  readonly bytesMax: number;
  /** How often a full disk is tried again. */
  readonly probeIntervalMs: number;
  readonly later: Later;
  readonly changed: (isFull: boolean, reason: string) => void;
}

export const reserveName = "reserve";
const pieceBytes = 1024 * 1024;
const growIntervalMs = 1_000;
/** Share of the free room the reserve may grow into. */
const freeShare = 8;
/** Least room that must be there before a full disk counts as having room. */
const probeBytesMin = 64 * 1024;

/** What cannot be compressed or shared with another file; a file of zeros might take no room at all. */
const filling = randomFillSync(new Uint8Array(pieceBytes));

export function createReserve(deps: ReserveDeps): Reserve {
  const { disk, dir, bytesMax, later } = deps;
  const path = join(dir, reserveName);
  let file: { readonly fd: number; held: number } | undefined;
  let isFull = false;
  let isClosed = false;
  let wanted = 0;
  let cancel = later(0, grow);

  function opened() {
    if (file !== undefined) return file;
    const isThere = disk.list(dir).includes(reserveName);
    file = {
      fd: isThere ? disk.open(path) : disk.create(path),
      held: isThere ? disk.size(path) : 0,
    };
    return file;
  }

  /** Adds a piece; a reserve that is larger than it should be is cut. */
  function grow(): void {
    if (isClosed || isFull) return;
    try {
      const reserve = opened();
      const free = disk.free(dir);
      const share = (reserve.held + free) / freeShare;
      const target = Math.min(bytesMax, reserve.held + pieceBytes, share);
      if (reserve.held > bytesMax) shrinkTo(reserve, bytesMax);
      else if (target >= reserve.held + probeBytesMin) {
        fillTo(reserve, Math.floor(target));
        disk.sync(reserve.fd, () => {});
      }
    } catch {
      // No room to keep any aside: the next attempt may find some.
    }
    cancel = later(growIntervalMs, grow);
  }

  function fillTo(reserve: { readonly fd: number; held: number }, target: number): void {
    try {
      while (reserve.held < target) {
        const length = Math.min(pieceBytes, target - reserve.held);
        writeAt(disk, reserve.fd, filling.subarray(0, length), reserve.held);
        reserve.held += length;
      }
    } catch (error) {
      shrinkTo(reserve, 0);
      throw error;
    }
  }

  function shrinkTo(reserve: { readonly fd: number; held: number }, length: number): void {
    disk.truncate(reserve.fd, length);
    reserve.held = length;
  }

  function noteFailure(error: unknown): boolean {
    const reason = (error as NodeJS.ErrnoException | undefined)?.code ?? "";
    if (isClosed || (reason !== "ENOSPC" && reason !== "EDQUOT")) return false;
    if (!isFull) {
      isFull = true;
      cancel();
      cancel = later(deps.probeIntervalMs, probe);
      deps.changed(true, reason);
    }
    return giveBack();
  }

  function giveBack(): boolean {
    try {
      const reserve = opened();
      if (reserve.held === 0) return false;
      wanted = Math.max(wanted, reserve.held);
      shrinkTo(reserve, 0);
      return true;
    } catch {
      return false;
    }
  }

  function probe(): void {
    try {
      fillTo(opened(), Math.min(bytesMax, Math.max(wanted, probeBytesMin)));
    } catch {
      cancel = later(deps.probeIntervalMs, probe);
      return;
    }
    isFull = false;
    wanted = 0;
    cancel = later(growIntervalMs, grow);
    deps.changed(false, "");
  }

  function close(): void {
    isClosed = true;
    cancel();
    try {
      if (file !== undefined) disk.close(file.fd);
    } catch {
      // It holds nothing.
    }
  }

  return { noteFailure, close };
}
