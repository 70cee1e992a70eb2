#!/usr/bin/env node
/**
 * Verifies an audit log of MCP Gateway without trusting it or its code: plain JavaScript for Node
 * 20.15, no dependency, nothing shared with the gateway, on purpose. docs/audit.md says what the
 * bytes mean. Records are read once, in their order. Kept in memory are one segment and of each
 * record its hash, as hex text. A problem is [record number, kind, why].
 *
 *   verify-audit.mjs --key VKEY <data>/spool [--evidence <data>/evidence]   a spool and its tree
 *   verify-audit.mjs --key VKEY --export FILE                    an export as JSON lines
 *   verify-audit.mjs --key VKEY --receipt FILE --proof FILE      a receipt and its proof
 *   verify-audit.mjs --opening FILE                              the opening proof of one field
 *
 * --key: of each node. --checkpoint FILE: one kept elsewhere, which the log must contain.
 * --unsigned: also without keys and checkpoints. --records: each record's verdict. --json.
 * Exit: 0 sound, 1 a violation, 2 it could not be checked.
 */
import { createHash, createHmac, createPublicKey, hash, verify } from "node:crypto";
import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { crc32 } from "node:zlib";

const [GENESIS, NOTHING] = ["0".repeat(64), hash("sha256", "")];
const ENVELOPE = new RegExp(
  '^\\{"v":2,"log":"([^"\\\\]+)","seq":(\\d{1,15}),"prev":"([0-9a-f]{64})","time":(\\d{1,15})' +
    ',"event":"([^"\\\\]+)","class":"[^"]+","facts":(\\{.*\\}),"commitment":"([0-9a-f]{64})"\\}$',
);
const UNSEALED = '{"v":1}';
const [TOLERANCE_MS, REST_MAX] = [300_000, 1_000_000];
const ORDERS = { "retention.executed": "deleted", "erasure.executed": "erased" };
const VERDICTS = { deleted: "ok-pruned", erased: "ok-shredded" };
/** What may be the reason that a part is missing without an order that commits to it. */
const LOST = ["cut", "replay", "splice", "foreign-key", "key-history"];
const EXPLAINS = { "removed-tombstone": LOST, "fake-tombstone": [...LOST, "fork"] };

class Violation extends Error {
  constructor([seq, kind, why]) {
    super(`record ${seq}: ${why}`);
    Object.assign(this, { seq, kind });
  }
}

// ---- keys and signed notes --------------------------------------------------

/** Base64 in its one right spelling; undefined for any other. */
function fromBase64(text) {
  const bytes = Buffer.from(String(text), "base64");
  return bytes.toString("base64") === text ? bytes : undefined;
}

function parseKey(text) {
  const [, name, id, encoded] = /^([^+\s]+)\+([0-9a-f]{8})\+(\S+)$/.exec(text) ?? [];
  const bytes = fromBase64(encoded);
  if (bytes?.length !== 33 || bytes[0] !== 1) return undefined;
  const named = hash("sha256", Buffer.concat([Buffer.from(`${name}\n`), bytes]));
  const der = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), bytes.subarray(1)]);
  const key = createPublicKey({ key: der, format: "der", type: "spki" });
  const signed = (said, bytes) => bytes?.length && verify(null, Buffer.from(said), key, bytes);
  return named.startsWith(id) ? { text, name, id, signed } : undefined;
}

/** {text, signatures: [{name, id, bytes}]}; undefined where it is not a signed note. */
function parseNote(note) {
  const [, text, lines] = /^([^\r]*\n)\n((?:— \S+ \S+\n)+)$/.exec(note) ?? [];
  const signatures = lines?.match(/.+/g).map((line) => {
    const [, name, encoded] = line.split(" ");
    const bytes = fromBase64(encoded);
    return { name, id: bytes?.toString("hex", 0, 4), bytes: bytes?.subarray(4) };
  });
  return signatures?.every(({ bytes }) => bytes?.length > 0) ? { text, signatures } : undefined;
}

/** [kind, why] of what is wrong with a note's signatures; undefined if one of the keys signed. */
function problemOfNote({ text, signatures }, keys) {
  let problem = ["foreign-key", "the checkpoint is signed by no key of this node"];
  for (const { name, id, bytes } of signatures) {
    const key = keys.find((one) => one.name === name && one.id === id);
    if (key && !key.signed(text, bytes)) return ["checkpoint", "its checkpoint was changed"];
    if (key) problem = undefined;
  }
  return problem;
}

/** {note, origin, size, root}; undefined where it is not a checkpoint. */
function parseCheckpoint(text) {
  const note = parseNote(text);
  const [origin, size, encoded, ...rest] = note?.text.slice(0, -1).split("\n") ?? [];
  const root = fromBase64(encoded);
  const isSound = root?.length === 32 && /^(0|[1-9]\d{0,15})$/.test(size) && !rest.includes("");
  return isSound ? { note, origin, size: Number(size), root: root.toString("hex") } : undefined;
}

/** A record of the keys' history: [key it makes valid, statement, [signer, signature]..]. */
function parseStatement(origin, { event, facts: f }) {
  if (event !== "lifecycle.started" && event !== "keys.rotated") return undefined;
  const boot = `mcp-gateway boot key v1\n${origin}\n${f.bootKey}\n${f.treeSize}\n${f.treeRoot}\n`;
  const node = `mcp-gateway node key v1\n${origin}\n${f.oldKey}\n${f.newKey}\n`;
  if (event === "lifecycle.started" && f.bootKey !== undefined)
    return [f.bootKey, boot, [f.nodeKey, f.bootSignature]];
  if (event === "keys.rotated" && f.purpose === "node" && f.newKey !== undefined)
    return [f.newKey, node, [f.oldKey, f.oldSignature], [f.newKey, f.newSignature]];
  return undefined;
}

// ---- the tree and its tiles -------------------------------------------------

const pair = Buffer.alloc(65, 1);
function hashNode(left, right) {
  pair.write(left, 1, "hex");
  pair.write(right, 33, "hex");
  return hash("sha256", pair);
}

/** The RFC 6962 tree over `leaves`, which may grow. */
class Tree {
  constructor(leaves) {
    this.leaves = leaves;
    this.known = new Map();
  }
  root(count, from = 0) {
    if (count < 2) return count === 0 ? NOTHING : this.leaves[from];
    const place = `${from}/${count}`;
    if (this.known.has(place)) return this.known.get(place);
    const left = 2 ** Math.floor(Math.log2(count - 1));
    const node = hashNode(this.root(left, from), this.root(count - left, from + left));
    if (count % 256 === 0) this.known.set(place, node);
    return node;
  }
}

/** [{path, level, index, width}] of a folder's tiles; of one tile the widest file comes last. */
function listTiles(root) {
  const tiles = [];
  for (const name of existsSync(root) ? readdirSync(root, { recursive: true }) : []) {
    const found = /^(\d+)\/((?:x\d{3}\/)*\d{3})(?:\.p\/(\d{1,3}))?$/.exec(name) ?? [];
    const numbers = found.slice(1).map((text = "256") => Number(text.replace(/\D/g, "")));
    const [level, index, width] = numbers;
    if (level !== undefined) tiles.push({ level, index, width, path: join(root, name) });
  }
  return tiles.sort((a, b) => a.level - b.level || a.index - b.index || a.width - b.width);
}
const nodesOf = ({ path }) => readFileSync(path, "hex").match(/.{1,64}/g) ?? [];

function leavesOfTiles(tiles, count = Infinity) {
  const leaves = [];
  for (const tile of tiles.filter(({ level, index }) => level === 0 && index * 256 < count))
    if (leaves.length >= tile.index * 256) leaves.splice(tile.index * 256, 256, ...nodesOf(tile));
  return leaves.slice(0, count);
}

/** Whether a proof leads from a record's leaf to a checkpoint's root (RFC 9162, 2.1.3.2). */
function isIncluded(checkpoint, seq, leaf, proof) {
  let [at, last, node] = [seq - 1, (checkpoint?.size ?? 0) - 1, leaf];
  if (at > last) return false;
  for (const sibling of proof.map((text) => fromBase64(text))) {
    if (last === 0 || sibling?.length !== 32) return false;
    const isRight = at % 2 === 1 || at === last;
    const other = sibling.toString("hex");
    node = isRight ? hashNode(other, node) : hashNode(node, other);
    for (; isRight && at % 2 === 0 && at > 0; at /= 2) last = Math.floor(last / 2);
    [at, last] = [Math.floor(at / 2), Math.floor(last / 2)];
  }
  return last === 0 && node === checkpoint.root;
}

// ---- records ----------------------------------------------------------------

const leafOf = (envelope) => hash("sha256", `\0${envelope}`);

function parseEnvelope(text) {
  const [, log, seq, prev, time, event, facts, commitment] = ENVELOPE.exec(text) ?? [];
  try {
    return { log, seq: +seq, prev, time: +time, event, facts: JSON.parse(facts), commitment };
  } catch {
    return undefined;
  }
}

/**
 * {seq, e, leaf, missing, isOrder, isEmpty}; `e`: the envelope, undefined where it is gone. A
 * `problem` is told first, a `remark` if nothing else is wrong. `place` and `stored`: the number
 * and the leaf that are kept beside it.
 */
function toRecord({ envelope, sealed, leaf: given, place, stored }) {
  const e = envelope === null ? undefined : parseEnvelope(envelope);
  if (envelope !== null && !e) return { problem: [place, "edit", "its envelope cannot be read"] };
  const [seq, leaf] = [e?.seq ?? place, e ? (given ?? leafOf(envelope)) : stored];
  const missing = e ? (sealed ? undefined : "erased") : "deleted";
  const isOrder = ORDERS[e?.event] !== undefined;
  const record = { seq, e, leaf, missing, isOrder, isEmpty: sealed === UNSEALED };
  if (leaf !== (stored ?? leaf))
    record.problem = [seq, isOrder ? "fake-tombstone" : "edit", "it does not hash to its leaf"];
  if (record.isEmpty && e && e.commitment !== NOTHING)
    record.remark = [seq, "edit", "its sealed part was replaced by an empty one"];
  if (seq !== (place ?? seq)) record.remark = [place, "reorder", `its place has record ${seq}`];
  return record;
}

/** What an order says may be missing: the whole record (retention) or its sealed part (erasure). */
function parseOrder({ e, isLeft }) {
  const kind = ORDERS[e.event];
  const ranges = String(e.facts[`${kind}Seqs`]).split(",");
  const numbers = ranges.map((range) => /^(\d{1,15})(?:-(\d{1,15}))?$/.exec(range) ?? []);
  const bounds = numbers.map(([, from, to = from]) => [Number(from), Number(to)]);
  const isSound = bounds.every(([from, to]) => from <= to);
  const log = e.facts[`${kind}Log`] ?? e.log;
  return { kind, e, log, isLeft, ranges: isSound ? bounds : [] };
}

// ---- one log ----------------------------------------------------------------

/**
 * `source`: {start, checkpoints, certificates, tiles}, and `isChosen` where the records are single
 * ones with a proof each. What takes all records to know is checked at the end.
 */
class Log {
  constructor(id, source, options) {
    Object.assign(this, { id, source, options, origin: `mcp-gateway/${id}`, last: source.start });
    this.leaves = leavesOfTiles(source.tiles, source.start.seq);
    this.isWhole = !source.isChosen && this.leaves.length === source.start.seq;
    this.tree = new Tree(this.leaves);
    this.signed = [...source.checkpoints, ...options.known].map(parseCheckpoint);
    this.statements = [];
    this.intents = new Map();
    this.proved = 0;
    this.latest = -Infinity;
    this.missing = new Map();
    this.rest = [];
    this.counts = { ok: 0, "ok-sealed": 0, "ok-shredded": 0, "ok-pruned": 0 };
    if (this.isWhole && (this.leaves.at(-1) ?? GENESIS) !== source.start.leaf)
      this.found = [source.start.seq + 1, "fork", "the tree holds another record before it"];
  }
  take(record) {
    const { seq, e, leaf, missing, isOrder, isEmpty, isProved, isAside } = record;
    if (isAside && e) this.problemOfKey(e);
    if (isAside) return;
    if (isProved) this.proved += 1;
    this.found ??= record.problem ?? this.problemOf(record) ?? record.remark;
    if (this.found) {
      const { log = this.id, prev } = e ?? {};
      if (leaf && this.rest.length < REST_MAX) this.rest.push({ seq, log, prev, leaf, isOrder });
      return;
    }
    if (missing) this.missing.set(seq, missing);
    else this.count(seq, isEmpty ? "ok" : "ok-sealed");
    if (this.isWhole) this.leaves.push(leaf);
    this.last = { seq, leaf, isOrder };
  }
  count(seq, verdict, by) {
    this.counts[verdict] += 1;
    this.options.report?.({ log: this.id, seq, verdict, by });
  }
  problemOf({ seq, e }) {
    const { seq: last, leaf } = this.last;
    const isForeign = e && e.log !== this.id;
    if (this.source.isChosen && seq <= last)
      return [seq, seq === last ? "replay" : "reorder", `it follows record ${last}`];
    if (this.source.isChosen) return isForeign ? [seq, "splice", `it is of ${e.log}`] : undefined;
    if (seq !== last + 1 || isForeign) return ["order"];
    if (!e) return undefined;
    const problem = this.problemOfKey(e) ?? this.problemOfTime(e);
    return problem ?? (e.prev === leaf ? this.problemOfStart(e) : ["order"]);
  }
  /** Who may sign is known at the end; that they did sign is checked here. */
  problemOfKey(e) {
    const [made, said, ...signers] = parseStatement(this.origin, e) ?? [];
    if (said === undefined || this.options.pinned.length === 0) return undefined;
    const [key, ...keys] = [made, ...signers.map(([signer]) => signer)].map(parseKey);
    const isSigned = keys.every((one, at) => one?.signed(said, fromBase64(signers[at][1])));
    if (key?.name !== this.origin || !isSigned)
      return [e.seq, "key-history", "it is not signed by the keys it names"];
    this.statements.push({ seq: e.seq, isBoot: keys.length === 1, key, keys });
  }
  /** An outcome may be as old as its intent; `clock.jump` starts time anew. */
  problemOfTime({ seq, event, facts, time }) {
    const isOutcome = event === "call.outcome" && typeof facts.intent === "number";
    const before = isOutcome && facts.intent <= this.source.start.seq ? -Infinity : Infinity;
    const began = isOutcome ? (this.intents.get(facts.intent) ?? before) : Infinity;
    if (event === "clock.jump") this.latest = -Infinity;
    if (time < Math.min(this.latest - TOLERANCE_MS, began))
      return [seq, "back-dated", `its time ${time} lies before the records it follows`];
    if (event === "call.intent") this.intents.set(seq, time);
    if (isOutcome) this.intents.delete(facts.intent);
    if (this.intents.size > 100_000) this.intents.delete(this.intents.keys().next().value);
    this.latest = Math.max(this.latest, time);
  }
  /** A boot key is certified for the tree it was started on. */
  problemOfStart({ seq, event, facts: { treeSize, treeRoot } }) {
    if (event !== "lifecycle.started" || treeRoot === undefined) return undefined;
    if (treeSize >= seq)
      return [seq, "key-history", `it adopts ${treeSize} records, not yet there`];
    return !this.isWhole || this.tree.root(treeSize) === treeRoot ? undefined : ["fork", treeSize];
  }

  /** After all records. `orders`: those that stand in any of the logs. */
  finish(orders) {
    let found = this.found;
    if (found?.[0] === "order") found = this.diagnose(this.rest);
    if (found?.[0] === "fork") found = this.problemOfFork(found[1], 0);
    found = this.problemOfKeys() ?? found ?? this.problemOfSigned();
    const doubt = this.problemOfMissing(orders.filter(({ log }) => log === this.id));
    if (doubt && !EXPLAINS[doubt[1]].includes(found?.[1])) found = doubt;
    if (found) throw new Violation(found);
    const records = Object.values(this.counts).reduce((sum, count) => sum + count);
    const { id: log, last, covered, counts } = this;
    return { log, records, lastSeq: last.seq, lastLeaf: last.leaf, covered, counts };
  }
  /** Who knows one key knows, by both signatures, which one it followed and which follows it. */
  problemOfKeys() {
    const nodes = this.options.pinned.filter(({ name }) => name === this.origin);
    const knows = (key) => nodes.some(({ text }) => text === key.text);
    const handOvers = this.statements.filter(({ isBoot }) => !isBoot);
    for (const { keys } of [...handOvers.toReversed(), ...handOvers])
      if (keys[0].name === this.origin && keys.some(knows)) nodes.push(...keys);
    const boots = this.statements.filter(({ isBoot, keys }) => isBoot && knows(keys[0]));
    this.keys = [...nodes, ...boots.map(({ key }) => key)];
    for (const note of this.source.certificates.map(parseNote)) {
      const [first, of, text] = note?.text.split("\n") ?? [];
      const isOwn = first === "mcp-gateway boot key v1" && of === this.origin && parseKey(text);
      if (isOwn && !problemOfNote(note, nodes)) this.keys.push(parseKey(text));
    }
    const { seq, keys } = this.statements.find(({ keys }) => !knows(keys[0])) ?? {};
    return keys && [seq, "foreign-key", `${keys[0].text} is not this node's key`];
  }
  /** The tree must be the one that was signed. */
  problemOfSigned() {
    const { seq } = this.last;
    const { checkpoints, isChosen, tiles } = this.source;
    if (this.signed.length === 0 && !this.options.unsigned)
      return [seq, "checkpoint", "there is no signed checkpoint"];
    for (const one of this.signed) {
      if (one?.origin !== this.origin) return [seq, "checkpoint", "it cannot be read"];
      const problem = this.options.pinned.length > 0 && problemOfNote(one.note, this.keys);
      if (problem) return [Math.min(one.size, seq), ...problem];
    }
    this.covered = isChosen ? this.proved : 0;
    if (isChosen) return undefined;
    const own = Math.max(0, ...this.signed.slice(0, checkpoints.length).map(({ size }) => size));
    const { size: later } = this.signed.find(({ size }) => size > seq) ?? {};
    const kind = later > own && own > 0 ? "replay" : "cut";
    if (later) return [seq + 1, kind, `it is missing, and a checkpoint covers ${later} records`];
    if (!this.isWhole) return undefined;
    for (const { size, root } of this.signed.sort((a, b) => a.size - b.size)) {
      if (this.tree.root(size) !== root) return this.problemOfFork(size, this.covered);
      this.covered = size;
    }
    for (const tile of tiles) {
      const span = 256 ** tile.level;
      const first = tile.index * 256 * span;
      const isOther = (node, at) => this.tree.root(span, first + at * span) !== node;
      if (first + tile.width * span > seq) return [seq + 1, "cut", "tiles hold what is missing"];
      const nodes = nodesOf(tile);
      if (nodes.length !== tile.width || nodes.some(isOther))
        return [first + 1, "tiles", `the tile ${tile.path} is not of this tree`];
    }
  }
  /** The tiles tell which record departed from the signed tree, if they are still that tree's. */
  problemOfFork(size, after) {
    const tree = new Tree(leavesOfTiles(this.source.tiles));
    const signed = this.signed.filter((one) => one?.size <= tree.leaves.length);
    const sound = signed.filter(({ size, root }) => tree.root(size) === root);
    const end = Math.max(0, ...sound.map(({ size }) => size));
    const leaves = [...this.leaves, ...this.rest.map(({ leaf }) => leaf)].slice(0, end);
    const at = leaves.findIndex((leaf, place) => leaf !== tree.leaves[place]);
    return [(at < 0 ? after : at) + 1, "fork", `it or one after it is not in the tree of ${size}`];
  }
  /** What was done where a record does not follow the one before it, told from what comes after. */
  diagnose([first, ...next]) {
    const p = this.last.seq + 1;
    const all = [first, ...next];
    const edited = (seq, isOrder) => [seq, isOrder ? "fake-tombstone" : "edit", "it was changed"];
    if (first.log !== this.id || (first.seq > p && all.some(({ log }) => log !== this.id)))
      return [p, "splice", "a record of another log stands in its place"];
    if (first.seq === p) {
      if (next[0]?.prev !== first.leaf || p === this.source.start.seq + 1)
        return edited(p, first.isOrder);
      const leaves = [...this.leaves.slice(0, -1), first.prev, ...all.map(({ leaf }) => leaf)];
      const tree = new Tree(leaves);
      const signed = this.signed.filter((one) => one?.size >= p - 1);
      const isOne = ({ size, root }) => size <= leaves.length && tree.root(size) === root;
      if (signed.length === 0 || signed.some(isOne)) return edited(p - 1, this.last.isOrder);
      return [p, "splice", "it goes on from another record than the one before it"];
    }
    if (first.seq < p) {
      if (this.leaves[first.seq - 1] === first.leaf)
        return [p, "replay", `record ${first.seq} stands here again`];
      if (first.seq < p - 1 && next.length > 0)
        return [first.seq, "fork", "two histories go on from here"];
      const isOrder = first.isOrder || this.last.isOrder;
      return [first.seq, isOrder ? "fake-tombstone" : "insert", "two records claim this number"];
    }
    if (!all.some(({ seq }) => seq >= p && seq < first.seq))
      return [p, "delete", `it is missing; the next one is ${first.seq}`];
    const moved = all.filter(({ seq }, at) => seq !== p + at).length;
    return [p, moved === 2 ? "swap" : "reorder", `record ${first.seq} stands in its place`];
  }
  /** What is missing must be named by a signed order that commits to the leaves it names. */
  problemOfMissing(orders) {
    const [covered, refused] = [new Map(), new Set()];
    const size = Math.max(0, ...this.signed.map((one) => one?.size ?? 0));
    for (const { kind, e, isLeft, ranges } of orders) {
      const named = [];
      for (const [from, to] of ranges)
        for (let seq = from; seq <= to && seq <= this.last.seq; seq += 1) named.push(seq);
      const isOver = this.isWhole && ranges.every(([, to]) => to <= this.leaves.length);
      const leaves = named.map((seq) => this.leaves[seq - 1]).sort();
      const digest = hash("sha256", leaves.join("\n"));
      const isLate = isLeft || ranges.some(([, to]) => to >= e.seq) || (size > 0 && e.seq > size);
      const isSound = !(isOver && digest !== e.facts.digest) && !(e.log === this.id && isLate);
      // What was ordered away whole may be gone in its sealed part alone.
      const covers = (gone) => gone === kind || (gone !== undefined && kind === "deleted");
      for (const seq of named.filter((one) => covers(this.missing.get(one))))
        if (isSound) covered.set(seq, e.seq);
        else refused.add(seq);
    }
    for (const [seq, kind] of this.missing) {
      if (covered.has(seq)) this.count(seq, VERDICTS[kind], covered.get(seq));
      else if (refused.has(seq)) return [seq, "fake-tombstone", "its order is not a sound one"];
      else return [seq, "removed-tombstone", "it is missing, and no order covers it"];
    }
  }
}

// ---- where [log, record] come from -------------------

const readText = (path) => readFileSync(path, "utf8");
const [RECORD, HEADER] = [0, 0x80];
/** A frame: length after the checksum, checksum, length of the envelope, kind, envelope, sealed. */
function frameAt(bytes, at) {
  if (bytes.length - at < 13) return undefined;
  const end = at + 8 + bytes.readUInt32LE(at);
  const split = at + 13 + bytes.readUInt32LE(at + 8);
  const isWhole = split <= end && end <= bytes.length;
  if (!isWhole || crc32(bytes.subarray(at + 8, end)) !== bytes.readUInt32LE(at + 4))
    return undefined;
  const leaf = hash("sha256", bytes.subarray(at + 12, split));
  const [envelope, sealed] = [
    bytes.toString("utf8", at + 13, split),
    bytes.toString("latin1", split, end),
  ];
  return { kind: bytes[at + 12], envelope, sealed, leaf, end };
}

/** The frames of a segment; {} for bytes that are none. One that was never finished ends it. */
function* readFrames(bytes) {
  for (let at = 0; at < bytes.length; ) {
    const frame = frameAt(bytes, at);
    let next = frame ? frame.end + 13 : bytes.indexOf('{"v":', at + 14);
    while (!frame && next > 0 && !frameAt(bytes, next - 13))
      next = bytes.indexOf('{"v":', next + 1);
    const end = bytes.length - at < 8 ? Infinity : at + 8 + bytes.readUInt32LE(at);
    if (next < 0 && (end > bytes.length || bytes.subarray(at, end + 8).includes(Buffer.alloc(8))))
      return;
    yield frame ?? {};
    at = next < 0 ? bytes.length : next - 13;
  }
}

function* readSpool(segments, log) {
  let last = { seq: segments[0][1] - 1 };
  for (const [path, first, next] of segments) {
    let [header, remark] = [undefined, undefined];
    for (const frame of readFrames(readFileSync(path))) {
      const record = frame.kind === RECORD ? toRecord(frame) : {};
      // What follows the last record before the next segment's first was never acknowledged.
      const isLeft = last.seq === next - 1 && !(record.seq < next);
      if (isLeft && record.isOrder) yield [log, { ...record, isLeft, isAside: true }];
      if (isLeft) continue;
      if (frame.kind === HEADER) {
        header = JSON.parse(frame.envelope);
        const isNext = header.firstSeq === first && (last.leaf ?? header.prev) === header.prev;
        if (header.log !== log || !isNext) remark = [first, "edit", "its header is not its own"];
      }
      if (!header || frame.kind === undefined)
        record.problem = [last.seq + 1, "damage", "its bytes are damaged"];
      if (record.problem) record.problem[0] ??= last.seq + 1;
      if (record.seq) record.remark ??= remark;
      if (record.seq || record.problem) yield [log, record];
      if (record.seq) [last, remark] = [record, undefined];
    }
  }
}

function openSpool(dir, { evidence = join(dir, "..", "evidence") }) {
  const names = readdirSync(dir).filter((name) => /^\d{16}\.seg$/.test(name));
  const firsts = names.map((name) => Number.parseInt(name, 10)).sort((a, b) => a - b);
  const path = (first) => join(dir, `${String(first).padStart(16, "0")}.seg`);
  const segments = firsts.map((first, at) => [path(first), first, firsts[at + 1] ?? Infinity]);
  if (segments.length === 0) throw new Error(`there is no segment in ${dir}`);
  const opening = readFrames(readFileSync(segments[0][0])).next().value;
  if (opening?.kind !== HEADER)
    throw new Violation([segments[0][1], "damage", "its segment has no sound header"]);
  const { log, firstSeq, prev } = JSON.parse(opening.envelope);
  const [checkpoint, folder] = [join(evidence, "checkpoint"), join(evidence, "certificates")];
  const listed = existsSync(folder) ? readdirSync(folder) : [];
  const source = {
    start: { seq: firstSeq - 1, leaf: prev },
    checkpoints: existsSync(checkpoint) ? [readText(checkpoint)] : [],
    certificates: listed.map((name) => readText(join(folder, name))),
    tiles: listTiles(join(evidence, "tile")),
  };
  return { records: readSpool(segments, log), sourceOf: () => source };
}

function* readLines(path) {
  const file = openSync(path, "r");
  const chunk = Buffer.alloc(1 << 20);
  let rest = Buffer.alloc(0);
  for (let count = readSync(file, chunk); count > 0; count = readSync(file, chunk)) {
    rest = Buffer.concat([rest, chunk.subarray(0, count)]);
    for (let end = rest.indexOf("\n"); end >= 0; end = rest.indexOf("\n")) {
      yield rest.subarray(0, end + 1);
      rest = rest.subarray(end + 1);
    }
  }
  closeSync(file);
  if (rest.length > 0) throw new SyntaxError("its last line has no end");
}

/** An export: what proves its records comes before them, and its manifest after them. */
function openExport(path, { unsigned }) {
  const [heads, whole] = [[], createHash("sha256")];
  let [head, manifest, count] = [{}, undefined, 0];
  const notesOf = (kind, log) =>
    heads.filter((one) => one.kind === kind && one.log === log).map(({ note }) => note);
  function toLine({ log, seq, leaf, envelope, sealed, proof, kind }) {
    const record = toRecord({
      envelope,
      sealed: sealed ?? (head.hidden && envelope),
      place: seq,
      stored: leaf,
    });
    const checkpoint = parseCheckpoint(notesOf("checkpoint", log)[0]);
    record.isProved = proof !== undefined && isIncluded(checkpoint, record.seq, record.leaf, proof);
    record.isAside = kind === "support";
    if (proof && !record.isProved) record.remark ??= [seq, "edit", "its proof is not sound"];
    const isBare = !proof && !head.contiguous && !unsigned;
    if (isBare) record.remark ??= [seq, "checkpoint", "it has no proof"];
    return [log, record];
  }
  function* readRecords() {
    for (const bytes of readLines(path)) {
      const line = JSON.parse(bytes);
      if (line.kind === "manifest") manifest = line;
      else whole.update(bytes);
      if (line.kind === "export") head = line;
      if (head.v !== 1) throw new Error(`${path} is no export of version 1`);
      if (line.kind === "record") count += 1;
      if (line.kind === "record" || line.kind === "support") yield toLine(line);
      else heads.push(line);
    }
  }
  const sourceOf = (log) => ({
    isChosen: !head.contiguous,
    start: { seq: 0, leaf: GENESIS },
    checkpoints: notesOf("checkpoint", log),
    certificates: notesOf("certificate", log),
    tiles: [],
  });
  function close() {
    const isWhole = manifest?.count === count && manifest.sha256 === whole.digest("hex");
    const kind = manifest === undefined ? "cut" : manifest.count === count ? "damage" : "delete";
    if (!isWhole) throw new Violation([count, kind, "the export is not what its manifest says"]);
  }
  return { records: readRecords(), sourceOf, close };
}

/** A receipt ({log, seq, leaf}) and the proof of its record: one chosen record. */
function openReceipt({ log, seq, leaf }, text) {
  const [, extra = "", index, hashes, note] =
    /^c2sp\.org\/tlog-proof@v1\n(?:extra (\S*)\n)?index (\d+)\n((?:\S+\n)*)\n(.*)$/s.exec(text) ??
    [];
  const proof = hashes?.match(/\S+/g) ?? [];
  const isProved = index === String(seq - 1) && isIncluded(parseCheckpoint(note), seq, leaf, proof);
  const certificates = [Buffer.from(extra, "base64").toString()];
  const source = { start: { seq: 0, leaf: GENESIS }, checkpoints: [note], certificates, tiles: [] };
  const record = { seq, leaf, isProved };
  if (!isProved) record.problem = [seq, "edit", "its proof does not lead to the signed root"];
  return { records: [[log, record]], sourceOf: () => ({ ...source, isChosen: true }) };
}

/** One field opened, and the commitments of the others, against the envelope's commitment. */
function openField({ envelope, commitment, leaf, name, value, random, others }) {
  const { seq = 0, e, problem } = envelope ? toRecord({ envelope, stored: leaf }) : {};
  const mac = createHmac("sha256", Buffer.from(random, "hex"));
  const opened = mac.update(`${name}\0${JSON.stringify(value)}`).digest("hex");
  const whole = createHash("sha256");
  for (const [one, hex] of [...others, [name, opened]].sort(([a], [b]) => (a < b ? -1 : 1)))
    whole.update(`${one}\0`).update(hex, "hex");
  if (problem || whole.digest("hex") !== (e?.commitment ?? commitment))
    throw new Violation([seq, "edit", `${name} is not what was committed to`]);
  return { records: [] };
}

// ---- the command ------------------------------------------------------------

const flags = (names, kind) => names.map((name) => [name, kind]);
const FLAGS = Object.fromEntries([
  ...flags(["key", "checkpoint"], { type: "string", multiple: true, default: [] }),
  ...flags(["evidence", "export", "receipt", "proof", "opening"], { type: "string" }),
  ...flags(["unsigned", "records", "json"], { type: "boolean", default: false }),
]);

function open(options, [spool, ...more]) {
  if (options.opening) return openField(JSON.parse(readText(options.opening)));
  const { pinned, unsigned } = options;
  if (pinned.includes(undefined)) throw new Error("--key must be as `mcp-gateway audit key` says");
  if (pinned.length === 0 && !unsigned) throw new Error("--key is needed, or --unsigned");
  if (options.export) return openExport(options.export, options);
  if (options.receipt)
    return openReceipt(JSON.parse(readText(options.receipt)), readText(options.proof));
  if (spool && more.length === 0) return openSpool(spool, options);
  throw new Error("give a spool directory, --export, --receipt and --proof, or --opening");
}

function verifyAll({ records, sourceOf, close }, options) {
  const [logs, orders] = [new Map(), []];
  for (const [id, record] of records) {
    const log = logs.get(id) ?? new Log(id, sourceOf(id), options);
    logs.set(id, log);
    if (record.isOrder && (record.isProved || !log.source.isChosen))
      orders.push(parseOrder(record));
    log.take(record);
  }
  const read = [...logs.values()].filter((log) => log.found || log.last !== log.source.start);
  const found = read.map((log) => log.finish(orders));
  close?.();
  return found;
}

export function run(args, write = console.log) {
  let values = { json: args.includes("--json") };
  const print = (value, line) => write(values.json ? JSON.stringify(value) : line);
  const report = ({ by, ...one }) =>
    print({ ...one, by }, `${one.log} ${one.seq} ${one.verdict}${by ? `(by ${by})` : ""}`);
  const describe = ({ log, records, covered, counts }) =>
    `${log}: ${records} records, ${covered} under a signed checkpoint: ${JSON.stringify(counts)}`;
  try {
    const parsed = parseArgs({ args, allowPositionals: true, options: FLAGS });
    values = parsed.values;
    const { key, checkpoint, records } = values;
    const known = checkpoint.map(readText);
    const pinned = key.map(parseKey);
    const options = { ...values, pinned, known, report: records ? report : undefined };
    const logs = verifyAll(open(options, parsed.positionals), options);
    print({ ok: true, logs }, logs.map(describe).join("\n") || "it is what was committed to");
    return 0;
  } catch (error) {
    const { seq, kind, message } = error;
    const isFound = error instanceof Violation;
    const said = isFound ? { violation: { seq, kind, message } } : { error: message };
    const begin = isFound ? `violation(${kind})` : "cannot verify";
    print({ ok: false, ...said }, `${begin}: ${message}`);
    return isFound ? 1 : 2;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  process.exitCode = run(process.argv.slice(2));
