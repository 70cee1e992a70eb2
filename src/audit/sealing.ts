/**
 * A record's sealed part: its personal values under a key used for this record alone, which takes a subject's key and
 * a data class's key of one month to derive. Bound to the record's place and commitment, so it opens nowhere else.
 * Pure; `sealer.ts` makes parts on the spool's thread, `opener.ts` opens them for readers.
 */
import { createCipheriv, createDecipheriv } from "node:crypto";
import { type Fields, randomBytesPerRecord } from "./commitment.ts";
import { hmacInto } from "./hmac.ts";

export const saltBytes = 16;
const tagBytes = 16;
const tagLength = { authTagLength: tagBytes };
/** Every key seals one text, so its nonce need not differ. */
const nonce = Buffer.alloc(12);

/** Of a record without fields: there is nothing to seal. */
export const emptyPart = '{"v":1}';

/** The members of a record's values that the copy is searched by, as HMACs. */
export const tokenMembers = ["principal", "client", "session"] as const;
export type TokenMember = (typeof tokenMembers)[number];
export type Tokens = Readonly<Partial<Record<TokenMember, string>>>;

/** What a sealed part is bound to. */
export interface SealedPlace {
  readonly log: string;
  readonly seq: number;
  readonly commitment: string;
}

export interface SealedPart {
  /** Key ids, 16 hex digits each. */
  readonly subject: string;
  readonly class: string;
  /** 32 hex digits. */
  readonly salt: string;
  readonly tokens: Tokens;
  /** Base64 of ciphertext and tag. */
  readonly sealed: string;
}

export interface OpenedValues {
  readonly random: Uint8Array;
  readonly values: Fields;
  /** The values as the JSON text that was sealed. */
  readonly text: string;
}

export interface PartToSeal {
  readonly subject: string;
  readonly class: string;
  /** 32 bytes that both keys made (see `vault/`). */
  readonly key: Uint8Array;
  readonly salt: Uint8Array;
  /** Begins with the fields' random, of which `commitFields` made the commitment. */
  readonly random: Uint8Array;
  readonly tokens: Tokens;
  /** The values as JSON text. */
  readonly values: string;
}

/** The sealed part of one record, as the text that lies beside its envelope. */
export function sealPart(place: SealedPlace, part: PartToSeal): string {
  const salt = part.salt.toHex();
  const own = recordKey(part.key, part.salt);
  const cipher = createCipheriv("aes-256-gcm", own, nonce, tagLength);
  cipher.setAAD(writeText(bindingOf(place, part)));
  const plain = writePlain(part.random, part.values);
  const head = cipher.update(plain);
  cipher.final();
  own.fill(0);
  plain.fill(0);
  // In the plaintext's place, which has room for the tag behind it.
  scratch.set(head);
  scratch.set(cipher.getAuthTag(), head.length);
  const sealed = scratch.toString("base64", 0, head.length + tagBytes);
  return `{"v":1,"subject":"${part.subject}","class":"${part.class}","salt":"${salt}","tokens":${renderTokens(part.tokens)},"sealed":"${sealed}"}`;
}

const plainStart = '{"r":"';
const plainMiddle = '","values":';
const valuesOffset = plainStart.length + 2 * randomBytesPerRecord + plainMiddle.length;
const hexDigits = Buffer.from("0123456789abcdef");
/** Used for one plaintext after the other, and zeroed by who asked for it. */
let scratch = Buffer.allocUnsafeSlow(4_096);
const bytesPerCharMax = 3;

/** The text of `JSON.stringify`, made for less: tokens are hex digits. */
function renderTokens(tokens: Tokens): string {
  let members = "";
  for (const member of tokenMembers) {
    const token = tokens[member];
    if (token !== undefined) members += `${members === "" ? "" : ","}"${member}":"${token}"`;
  }
  return `{${members}}`;
}

/** Valid until something else is written. */
function writeText(text: string): Buffer {
  makeRoom(bytesPerCharMax * text.length);
  return scratch.subarray(0, scratch.write(text));
}

function makeRoom(bytes: number): void {
  if (bytes > scratch.length) scratch = Buffer.allocUnsafeSlow(2 * bytes);
}

/** The random goes in and out as bytes: what was a text once, nobody can zero. */
function writePlain(random: Uint8Array, values: string): Buffer {
  makeRoom(valuesOffset + bytesPerCharMax * values.length + 1 + tagBytes);
  let at = scratch.write(plainStart);
  for (let index = 0; index < randomBytesPerRecord; index += 1) {
    const byte = random[index] ?? 0;
    scratch[at] = hexDigits[byte >> 4] ?? 0;
    scratch[at + 1] = hexDigits[byte & 15] ?? 0;
    at += 2;
  }
  at += scratch.write(plainMiddle, at);
  at += scratch.write(values, at);
  scratch[at] = 0x7d;
  return scratch.subarray(0, at + 1);
}

function recordKey(key: Uint8Array, salt: Uint8Array): Uint8Array {
  return hmacInto(new Uint8Array(32), key, "record\0", salt);
}

/** Everything that stands in clear, so that nothing of it can be changed and the values still open. */
function bindingOf(place: SealedPlace, part: Pick<SealedPart, "subject" | "class" | "tokens">) {
  const { principal = "", client = "", session = "" } = part.tokens;
  const ids = `${part.subject}\n${part.class}`;
  return `${place.log}\n${place.seq}\n${place.commitment}\n${ids}\n${principal}\n${client}\n${session}`;
}

/** Each member where it is there, with a comma between two. */
const tokensPattern = tokenMembers
  .map((member) => `(?:"${member}":"([0-9a-f]{32})"(?:,(?!\\})|(?=\\})))?`)
  .join("");
/** To the byte as `sealPart` writes it, so that no part has a second form. */
const partPattern = new RegExp(
  `^\\{"v":1,"subject":"([0-9a-f]{16})","class":"([0-9a-f]{16})","salt":"([0-9a-f]{32})","tokens":\\{${tokensPattern}\\},"sealed":"([A-Za-z0-9+/]+={0,2})"\\}$`,
);

/** The sealed part in a text; "empty" for that of a record without fields, undefined where it is neither. */
export function parsePart(text: string): SealedPart | "empty" | undefined {
  if (text === emptyPart) return "empty";
  const found = partPattern.exec(text);
  if (found === null) return undefined;
  const [, subject = "", classId = "", salt = "", principal, client, session, sealed = ""] = found;
  const tokens: { -readonly [Member in TokenMember]?: string } = {};
  if (principal !== undefined) tokens.principal = principal;
  if (client !== undefined) tokens.client = client;
  if (session !== undefined) tokens.session = session;
  return { subject, class: classId, salt, tokens, sealed };
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    const isObject = typeof parsed === "object" && parsed !== null && !Array.isArray(parsed);
    return isObject ? (parsed as Readonly<Record<string, unknown>>) : undefined;
  } catch {
    return undefined;
  }
}

/** Opens a part in its place; undefined for another key, another place, or a part that was changed. */
export function openPart(
  place: SealedPlace,
  part: SealedPart,
  key: Uint8Array,
): OpenedValues | undefined {
  const bytes = Buffer.from(part.sealed, "base64");
  // A text that is not the base64 of its bytes would be a second form of the same part.
  if (bytes.length < tagBytes || bytes.toString("base64") !== part.sealed) return undefined;
  const own = recordKey(key, Buffer.from(part.salt, "hex"));
  try {
    const decipher = createDecipheriv("aes-256-gcm", own, nonce, tagLength);
    decipher.setAAD(Buffer.from(bindingOf(place, part)));
    decipher.setAuthTag(bytes.subarray(-tagBytes));
    const plain = decipher.update(bytes.subarray(0, -tagBytes));
    try {
      // Gives no bytes, and throws where it is not what was sealed.
      decipher.final();
      return readPlain(plain);
    } finally {
      plain.fill(0);
    }
  } catch {
    return undefined;
  } finally {
    own.fill(0);
  }
}

function readPlain(plain: Buffer): OpenedValues | undefined {
  const text = plain.toString("utf8", valuesOffset, plain.length - 1);
  const values = parseObject(text);
  const random = new Uint8Array(randomBytesPerRecord);
  random.forEach((_, index) => {
    const at = plainStart.length + 2 * index;
    random[index] =
      (hexDigits.indexOf(plain[at] ?? 0) << 4) | hexDigits.indexOf(plain[at + 1] ?? 0);
  });
  if (values === undefined) return undefined;
  return { random, values: values as Fields, text };
}
