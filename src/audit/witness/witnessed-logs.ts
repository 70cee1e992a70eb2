/**
 * What this node remembers of the logs it witnesses: of each origin the last size and root it cosigned, durable in
 * `<data>/witnessed/` before anybody hears of it. A place that cannot be read is an error: taking it for "never seen"
 * would let the log begin a second history.
 */
import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { mkdir, open, readFile, rename } from "node:fs/promises";
import { join } from "node:path";

export interface WitnessedPlace {
  readonly size: number;
  /** Hex. */
  readonly root: string;
}

export interface WitnessedLogs {
  /** Size 0 of a log never cosigned. */
  load(origin: string): Promise<WitnessedPlace>;
  save(origin: string, place: WitnessedPlace): Promise<void>;
}

const nothing: WitnessedPlace = { size: 0, root: "" };

export function createWitnessedLogs(dir: string): WitnessedLogs {
  const known = new Map<string, WitnessedPlace>();

  async function load(origin: string): Promise<WitnessedPlace> {
    const found = known.get(origin) ?? (await readPlace(pathOf(dir, origin), origin));
    known.set(origin, found);
    return found;
  }

  async function save(origin: string, place: WitnessedPlace): Promise<void> {
    // Where it fails nobody knows which of the two is on the disk, until it is read.
    known.delete(origin);
    await writePlace(dir, pathOf(dir, origin), { v: 1, origin, ...place });
    known.set(origin, place);
  }

  return { load, save };
}

function pathOf(dir: string, origin: string): string {
  return join(dir, `${createHash("sha256").update(origin).digest("hex").slice(0, 32)}.json`);
}

async function readPlace(path: string, origin: string): Promise<WitnessedPlace> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return nothing;
    throw error;
  }
  const place = JSON.parse(text) as Record<string, unknown>;
  const { size, root } = place;
  const isSound =
    place.v === 1 &&
    place.origin === origin &&
    Number.isSafeInteger(size) &&
    /^[0-9a-f]{64}$/.test(String(root));
  if (!isSound) throw new Error(`${path} does not say what was cosigned of ${origin}`);
  return { size: Number(size), root: String(root) };
}

async function writePlace(dir: string, path: string, place: object): Promise<void> {
  const { O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW, O_RDONLY, O_DIRECTORY } = constants;
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const file = await open(`${path}.new`, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0o600);
  try {
    await file.writeFile(`${JSON.stringify(place)}\n`);
    await file.datasync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
  const folder = await open(dir, O_RDONLY | O_DIRECTORY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
