/**
 * Where a sink stands, kept in `<data>/sinks/<name>.cursor`: written aside, synced and renamed, so a crash leaves the
 * place before or after and never half of it. What came after the last place kept is delivered again.
 */
import {
  closeSync,
  constants,
  fdatasyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";

export interface SinkPlace {
  readonly log: string;
  /** The last record delivered. */
  readonly seq: number;
}

export interface SinkCursor {
  /** Undefined at a sink's first start. Throws where the file is not a cursor: guessing would lose or repeat much. */
  load(): SinkPlace | undefined;
  save(place: SinkPlace): void;
}

export function createSinkCursor(path: string): SinkCursor {
  return {
    load() {
      let text: string;
      try {
        text = readFileSync(path, "utf8");
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
        throw error;
      }
      const place = parsePlace(text);
      if (place !== undefined) return place;
      throw new Error(`${path} is no cursor; remove it to deliver all that the spool still holds`);
    },
    save(place) {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      const { O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW } = constants;
      const aside = `${path}.new`;
      const file = openSync(aside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0o600);
      try {
        writeSync(file, `${JSON.stringify({ v: 1, log: place.log, seq: place.seq })}\n`);
        fdatasyncSync(file);
      } finally {
        closeSync(file);
      }
      renameSync(aside, path);
    },
  };
}

function parsePlace(text: string): SinkPlace | undefined {
  try {
    const { v, log, seq } = JSON.parse(text) as Record<string, unknown>;
    if (v !== 1 || typeof log !== "string" || !Number.isSafeInteger(seq)) return undefined;
    return { log, seq: Number(seq) };
  } catch {
    return undefined;
  }
}
