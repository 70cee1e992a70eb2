/**
 * Flags to a request message: `--display-name "CI"` finds its field by the descriptor, in the request or one message
 * below it (`client.display_name`), and its text becomes the field's type. Pure; called by `admin-verbs.ts`.
 */
import { findNearest } from "../lib/nearest.ts";
import { messageOf, UsageError } from "./command.ts";
import { type Field, listFields } from "./descriptor.ts";

type Message = { [name: string]: unknown };

/** One flag as written; `text` is undefined where no value followed. */
export interface WrittenFlag {
  readonly name: string;
  readonly text: string | undefined;
}

interface Place {
  readonly path: readonly string[];
  readonly field: Field;
}

/** Builds the request from `base` (of --params), flags and at most one bare argument, which names the object. */
export function buildRequest(
  messageType: string,
  base: object,
  flags: readonly WrittenFlag[],
  bare: string | undefined,
): Message {
  const request: Message = { ...base };
  const fields = listFields(messageType);
  if (bare !== undefined) {
    const place = findNamePlace(fields);
    if (place === undefined) throw new UsageError(`unexpected argument "${bare}"`);
    put(request, place, bare);
  }
  for (const { name, text } of flags) {
    const place = findPlace(fields, name.replaceAll("-", "_").split("."));
    if (place === undefined) throw new UsageError(adviseFlag(fields, name));
    put(request, place, parseValue(name, place.field, text));
  }
  return request;
}

/** Every flag of a request, in the order of its fields, as `--name TYPE`. */
export function describeFlags(messageType: string): readonly string[] {
  return flagPlaces(listFields(messageType)).map(({ path, field }) => {
    const choices = field.choices?.map(shortChoice).filter((choice) => choice !== "unspecified");
    const type = field.isMap ? "KEY=VALUE" : (choices?.join("|") ?? typeWord(field));
    const name = path.at(-1)?.replaceAll("_", "-");
    return `--${name} ${type}${field.isRepeated || field.isMap ? " …" : ""}`;
  });
}

function typeWord(field: Field): string {
  if (field.fields !== undefined) return "JSON";
  if (field.type === "bool") return "[true|false]";
  return field.type === "string" ? "TEXT" : "N";
}

/** Leaf fields of the request and of its single messages, nearest first. */
function flagPlaces(fields: readonly Field[]): readonly Place[] {
  const near: Place[] = [];
  const below: Place[] = [];
  for (const field of fields) {
    if (field.fields === undefined || field.isRepeated || field.isMap) {
      near.push({ path: [field.name], field });
      continue;
    }
    for (const inner of flagPlaces(field.fields())) {
      below.push({ path: [field.name, ...inner.path], field: inner.field });
    }
  }
  return [...below, ...near];
}

function findPlace(fields: readonly Field[], written: readonly string[]): Place | undefined {
  const places = flagPlaces(fields).filter(({ path }) =>
    written.every((step, index) => path[path.length - written.length + index] === step),
  );
  const nearest = places.sort((a, b) => a.path.length - b.path.length)[0];
  if (nearest !== undefined) return nearest;
  // A whole message can be given as JSON: --server '{…}'.
  const whole = fields.find((field) => written.length === 1 && field.name === written[0]);
  return whole && { path: [whole.name], field: whole };
}

/** Where a bare argument goes: `id`, `name`, or the first text field. */
function findNamePlace(fields: readonly Field[]): Place | undefined {
  return findPlace(fields, ["id"]) ?? findPlace(fields, ["name"]) ?? firstText(fields);
}

function firstText(fields: readonly Field[]): Place | undefined {
  const field = fields.find(({ type, isRepeated }) => type === "string" && !isRepeated);
  return field && { path: [field.name], field };
}

function adviseFlag(fields: readonly Field[], name: string): string {
  const known = flagPlaces(fields).map(({ path }) => path.at(-1)?.replaceAll("_", "-") ?? "");
  const nearest = findNearest(name, known);
  return `unknown flag --${name}${nearest === undefined ? "" : `; did you mean --${nearest}?`}`;
}

function put(request: Message, { path, field }: Place, value: unknown): void {
  let target = request;
  for (const step of path.slice(0, -1)) {
    const inner = target[step];
    const next: Message = isMessage(inner) ? { ...inner } : {};
    target[step] = next;
    target = next;
  }
  const last = path.at(-1) ?? "";
  const present = target[last];
  if (field.isMap && isMessage(value))
    target[last] = { ...(isMessage(present) ? present : {}), ...value };
  else if (field.isRepeated) target[last] = [...(Array.isArray(present) ? present : []), value];
  else target[last] = value;
}

function parseValue(name: string, field: Field, text: string | undefined): unknown {
  if (field.type === "bool" && !field.isMap) return parseBool(name, text);
  if (text === undefined) throw new UsageError(`--${name} needs a value`);
  if (field.isMap) return parsePair(name, text);
  if (field.fields !== undefined) return parseJson(`--${name}`, text);
  if (field.choices !== undefined) return parseChoice(name, field.choices, text);
  if (field.type === "string") return text;
  if (!/^-?\d+$/.test(text) || !Number.isSafeInteger(Number(text))) {
    throw new UsageError(`--${name} needs a whole number, not "${text}"`);
  }
  return Number(text);
}

function parseBool(name: string, text: string | undefined): boolean {
  if (text === undefined || text === "true") return true;
  if (text === "false") return false;
  throw new UsageError(`--${name} is true or false, not "${text}"`);
}

function parsePair(name: string, text: string): Message {
  const at = text.indexOf("=");
  if (at < 1) throw new UsageError(`--${name} needs KEY=VALUE, not "${text}"`);
  return { [text.slice(0, at)]: text.slice(at + 1) };
}

/** Accepts a value's whole name or its end: `RULE_EFFECT_DENY`, `deny`. */
function parseChoice(name: string, choices: readonly string[], text: string): string {
  const prefix = commonPrefix(choices);
  const wanted = text.toUpperCase().replaceAll("-", "_");
  const found = choices.find((choice) => choice === wanted || choice === `${prefix}${wanted}`);
  if (found !== undefined) return found;
  const known = choices.map((choice) => choice.slice(prefix.length).toLowerCase());
  throw new UsageError(`--${name} is one of ${known.slice(1).join(", ")}; not "${text}"`);
}

function shortChoice(choice: string, _: number, choices: readonly string[]): string {
  return choice.slice(commonPrefix(choices).length).toLowerCase();
}

/** `RULE_EFFECT_` of RULE_EFFECT_UNSPECIFIED: the first value of every enumeration names it. */
function commonPrefix(choices: readonly string[]): string {
  return (choices[0] ?? "").replace(/UNSPECIFIED$/, "");
}

/** Parses JSON that must be an object; the flag's name goes into the advice. */
export function parseJson(flag: string, text: string): Message {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new UsageError(`${flag} is not JSON: ${messageOf(error)}`);
  }
  if (!isMessage(value)) throw new UsageError(`${flag} needs a JSON object`);
  return value;
}

function isMessage(value: unknown): value is Message {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
