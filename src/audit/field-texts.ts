/**
 * A record's personal values as the texts they are committed to: the members of a flat JSON object, cut out of the text
 * that `JSON.stringify` made of it instead of parsed and written again, which cost more than the hashing. Pure.
 */
export interface FieldText {
  readonly name: string;
  /** The value as JSON. */
  readonly text: string;
}

const quote = 0x22;
const backslash = 0x5c;

/** The members in the order in which they stand. `json` is an object of strings, numbers, booleans and nulls. */
export function splitFields(json: string): FieldText[] {
  const fields: FieldText[] = [];
  let at = 1;
  while (json.charCodeAt(at) === quote) {
    const nameEnd = endOfString(json, at);
    const end = endOfValue(json, nameEnd + 1);
    fields.push({ name: readString(json.slice(at, nameEnd)), text: json.slice(nameEnd + 1, end) });
    at = end + 1;
  }
  return fields;
}

/** Reads a JSON string. */
export function readString(text: string): string {
  return text.includes("\\") ? JSON.parse(text) : text.slice(1, -1);
}

/** Where the string that opens at `from` ends. */
function endOfString(json: string, from: number): number {
  let end = from;
  do end = json.indexOf('"', end + 1);
  while (isEscaped(json, end));
  return end + 1;
}

function isEscaped(json: string, at: number): boolean {
  let before = at;
  while (json.charCodeAt(before - 1) === backslash) before -= 1;
  return (at - before) % 2 === 1;
}

function endOfValue(json: string, from: number): number {
  if (json.charCodeAt(from) === quote) return endOfString(json, from);
  const comma = json.indexOf(",", from);
  return comma === -1 ? json.length - 1 : comma;
}
