/** Looks for byte sequences in every file of a folder. Asserts nothing. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

/** Every form in which bytes are likely to be written down. */
export function formsOf(bytes: Uint8Array): readonly Buffer[] {
  const raw = Buffer.from(bytes);
  const texts = [raw.toString("hex"), raw.toString("base64"), raw.toString("base64url")];
  return [raw, ...texts.map((text) => Buffer.from(text))];
}

/** `needle: file` for each needle found, by the name it is given under. */
export function findOnDisk(
  folder: string,
  needles: Readonly<Record<string, readonly Buffer[]>>,
): readonly string[] {
  const found: string[] = [];
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    const path = join(folder, name);
    if (!statSync(path, { throwIfNoEntry: false })?.isFile()) continue;
    const bytes = readFileSync(path);
    for (const [needle, forms] of Object.entries(needles)) {
      if (forms.some((form) => bytes.includes(form))) found.push(`${needle}: ${name}`);
    }
  }
  return found;
}
