/**
 * Checks a protobuf message's bytes before they are decoded: protobufjs skips unknown fields, takes the last of
 * duplicates and repairs broken UTF-8, so an operator's mistake would pass for "not set". Called by `handle.ts`.
 */
import wire from "../gen/wire.json";

export interface WireLimits {
  readonly depthMax: number;
  /** Fields in the whole message, nested ones included. */
  readonly fieldsMax: number;
}

type FieldRow = readonly string[];
interface WireTable {
  readonly messages: Readonly<Record<string, Readonly<Record<string, FieldRow>>>>;
  readonly enums: Readonly<Record<string, readonly number[]>>;
}

const table: WireTable = wire;
const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Wire type by scalar type; what is not here (messages, strings, bytes) is length-delimited. */
const varint = 0;
const delimited = 2;
const scalarWireTypes: Readonly<Record<string, number>> = {
  bool: varint,
  double: 1,
  float: 5,
  int32: varint,
  int64: varint,
  uint32: varint,
  uint64: varint,
};

class WireProblem extends Error {}

/** What is wrong with the bytes as a message of `type` (full name), or undefined. */
export function findWireProblem(
  type: string,
  bytes: Uint8Array,
  limits: WireLimits,
): string | undefined {
  const cursor: Cursor = { bytes, at: 0, fieldsLeft: limits.fieldsMax };
  try {
    checkMessage(cursor, bytes.length, type, "", limits.depthMax);
    return undefined;
  } catch (error) {
    if (error instanceof WireProblem) return error.message;
    throw error;
  }
}

interface Cursor {
  readonly bytes: Uint8Array;
  at: number;
  fieldsLeft: number;
}

function checkMessage(
  cursor: Cursor,
  end: number,
  type: string,
  path: string,
  depth: number,
): void {
  if (depth === 0) throw new WireProblem(`${path}: nested too deeply`);
  const rows = table.messages[type] ?? {};
  const seen = new Set<number | string>();
  while (cursor.at < end) {
    const key = readVarint(cursor, end);
    const id = Number(key >> 3n);
    const row = rows[id];
    if (row === undefined) throw new WireProblem(`${path || "message"}: unknown field ${id}`);
    const fieldPath = path === "" ? `${row[0]}` : `${path}.${row[0]}`;
    if (cursor.fieldsLeft-- <= 0) throw new WireProblem(`${fieldPath}: too many fields`);
    // Of a oneof, a second member is as wrong as the same one twice: which one would win is chance.
    const slot = row[2] === "oneof" ? `${row[3]}` : id;
    const mayRepeat = row[2] === "repeated" || row[2] === "map";
    if (!mayRepeat && seen.has(slot)) throw new WireProblem(`${fieldPath}: given twice`);
    seen.add(slot);
    checkField(cursor, end, row, Number(key & 7n), fieldPath, depth);
  }
}

function checkField(
  cursor: Cursor,
  end: number,
  row: FieldRow,
  wireType: number,
  path: string,
  depth: number,
): void {
  const [, type = "", rule] = row;
  const expected = rule === "map" ? delimited : wireTypeOf(type);
  // Numbers in a repeated field may come packed into one length-delimited run.
  const isPacked = rule === "repeated" && expected !== delimited && wireType === delimited;
  if (wireType !== expected && !isPacked) throw new WireProblem(`${path}: wrong wire type`);
  if (rule === "map") {
    checkMapEntry(cursor, readEnd(cursor, end, path), row, path, depth);
  } else if (isPacked) {
    const stop = readEnd(cursor, end, path);
    while (cursor.at < stop) checkValue(cursor, stop, type, path, depth);
  } else {
    checkValue(cursor, end, type, path, depth);
  }
}

function checkMapEntry(
  cursor: Cursor,
  end: number,
  [, valueType = "", , keyType = ""]: FieldRow,
  path: string,
  depth: number,
): void {
  while (cursor.at < end) {
    const key = readVarint(cursor, end);
    const id = Number(key >> 3n);
    const type = id === 1 ? keyType : id === 2 ? valueType : undefined;
    if (type === undefined) throw new WireProblem(`${path}: unknown field ${id}`);
    checkField(cursor, end, [path, type, "singular"], Number(key & 7n), path, depth);
  }
}

function checkValue(cursor: Cursor, end: number, type: string, path: string, depth: number): void {
  const wireType = wireTypeOf(type);
  if (wireType === varint) {
    checkVarint(readVarint(cursor, end), type, path);
  } else if (wireType === delimited) {
    checkDelimited(cursor, readEnd(cursor, end, path), type, path, depth);
  } else {
    const next = cursor.at + (wireType === 1 ? 8 : 4);
    if (next > end) throw new WireProblem(`${path}: longer than its message`);
    cursor.at = next;
  }
}

function checkDelimited(
  cursor: Cursor,
  end: number,
  type: string,
  path: string,
  depth: number,
): void {
  if (type.startsWith("message:")) {
    checkMessage(cursor, end, type.slice("message:".length), path, depth - 1);
    return;
  }
  if (type === "string") checkUtf8(cursor.bytes.subarray(cursor.at, end), path);
  cursor.at = end;
}

/** Beyond 2^53 a decoded number would not be the one sent; beyond its own width it would be cut. */
function checkVarint(value: bigint, type: string, path: string): void {
  const signed = BigInt.asIntN(64, value);
  if (type.startsWith("enum:")) {
    const known = table.enums[type.slice("enum:".length)] ?? [];
    if (!known.includes(Number(signed))) {
      throw new WireProblem(`${path}: unknown enumeration value`);
    }
  } else if (!fits(signed, type)) {
    throw new WireProblem(`${path}: number out of range`);
  }
}

function fits(value: bigint, type: string): boolean {
  if (type === "int32") return value === BigInt.asIntN(32, value);
  return type !== "int64" || Number.isSafeInteger(Number(value));
}

function checkUtf8(bytes: Uint8Array, path: string): void {
  try {
    utf8.decode(bytes);
  } catch {
    throw new WireProblem(`${path}: not valid UTF-8`);
  }
}

function readEnd(cursor: Cursor, end: number, path: string): number {
  const length = Number(readVarint(cursor, end));
  if (cursor.at + length > end) throw new WireProblem(`${path}: longer than its message`);
  return cursor.at + length;
}

function readVarint(cursor: Cursor, end: number): bigint {
  let value = 0n;
  for (let shift = 0n; shift < 70n; shift += 7n) {
    const byte = cursor.at < end ? cursor.bytes[cursor.at] : undefined;
    if (byte === undefined) throw new WireProblem("message ends inside a number");
    cursor.at += 1;
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  throw new WireProblem("number longer than 10 bytes");
}

function wireTypeOf(type: string): number {
  if (type.startsWith("enum:")) return varint;
  return scalarWireTypes[type] ?? delimited;
}
