#!/usr/bin/env node
/**
 * Verifies an audit log of MCP Gateway without trusting it or its code: plain JavaScript for Node 20.15, no dependency.
 * docs/audit.md says what the bytes mean. Nothing here is shared with the gateway, on purpose: two programs that agree
 * are worth more than one. All hashes are held as hex text; a problem is [record number, kind, why].
 *
 *   verify-audit.mjs --key VKEY <data>/spool [--evidence <data>/evidence]   a spool and the tree beside it
 *   verify-audit.mjs --key VKEY --export FILE                               an export as JSON lines
 *   verify-audit.mjs --key VKEY --receipt FILE --proof FILE                 a receipt and its proof of inclusion
 *   verify-audit.mjs --opening FILE                                         the opening proof of one field
 *
 * --key may be given several times (nodes). --checkpoint FILE: a checkpoint kept elsewhere, which the log must contain.
 * --unsigned: also without keys and checkpoints, the chain alone. --records: each record's verdict. --json.
 * Exit: 0 sound, 1 a violation, 2 it could not be checked.
 */
import { createHash, createHmac, createPublicKey, hash, verify } from "node:crypto";
import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { crc32 } from "node:zlib";

const GENESIS = "0".repeat(64);
const NOTHING = hash("sha256", "");
const VERDICTS = { deleted: "ok-pruned", erased: "ok-shredded" };
const UNSEALED = '{"v":1}';
const ENVELOPE =
  /^\{"v":2,"log":"([^"\\]+)","seq":(\d{1,15}),"prev":"([0-9a-f]{64})","time":(\d{1,15}),"event":"([^"\\]+)","class":"[^"\\]+","facts":(\{.*\}),"commitment":"([0-9a-f]{64})"\}$/;
const TOLERANCE_MS = 300_000;
const ORDERS = { "retention.executed": "deleted", "erasure.executed": "erased" };
/** Records that must be known before their place is reached: orders, and the history of the keys. */
const LANDMARKS =
  /"event":"(retention\.executed|erasure\.executed|lifecycle\.started|keys\.rotated)"/;
/** What all of them have in their bytes, and few other records. */
const LANDMARK = 'ed","class":"';
const [RECORD, HEADER, DAMAGE] = [0, 0x80, undefined];
/** What else may be the reason that a part is missing without its order, or that an order's digest is another. */
const LOST = ["cut", "replay", "splice", "foreign-key", "key-history"];
const EXPLAINS = { "removed-tombstone": LOST, "fake-tombstone": [...LOST, "fork"] };

class Violation extends Error {
  constructor(seq, kind, why) {
    super(`record ${seq}: ${why}`);
    Object.assign(this, { seq, kind });
  }
}
const fail = (...problem) => {
  throw new Violation(...problem);
};

// ---- keys and signed notes ----------------------------------------------------------------------------------------

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

/** {note, origin, size, root}; undefined where it is not a checkpoint. */
function parseCheckpoint(text) {
  const note = parseNote(text);
  const [origin, size, encoded, ...rest] = note?.text.slice(0, -1).split("\n") ?? [];
  const root = fromBase64(encoded);
  const isSound = root?.length === 32 && /^(0|[1-9]\d{0,15})$/.test(size) && !rest.includes("");
  return isSound ? { note, origin, size: Number(size), root: root.toString("hex") } : undefined;
}

/** What the records of the keys' history say, who must have signed that, and the key it makes valid. */
const STATEMENTS = {
  "lifecycle.started": (origin, { bootKey, nodeKey, bootSignature, treeSize, treeRoot }) => ({
    said: `mcp-gateway boot key v1\n${origin}\n${bootKey}\n${treeSize}\n${treeRoot}\n`,
    signers: [[nodeKey, bootSignature]],
    made: bootKey,
  }),
  "keys.rotated": (origin, { oldKey, newKey, oldSignature, newSignature }) => ({
    said: `mcp-gateway node key v1\n${origin}\n${oldKey}\n${newKey}\n`,
    signers: [
      [oldKey, oldSignature],
      [newKey, newSignature],
    ],
    made: newKey,
  }),
};

/** The keys of one log: those the reader pinned, those handed over, and the boot keys they certified. */
class KeyRing {
  constructor(origin, pinned, landmarks, certificates) {
    this.origin = origin;
    this.isPinned = pinned.length > 0;
    this.nodes = pinned.filter(({ name }) => name === origin);
    this.boots = [];
    // Who knows one key knows, by the signatures of both, which key it followed and which one follows it.
    for (const e of [...landmarks.toReversed(), ...landmarks]) {
      const { keys } = e.event === "keys.rotated" ? this.read(e) : {};
      if (keys?.[0].name === this.origin && keys.some((key) => this.knows(key)))
        this.nodes.push(...keys);
    }
    for (const note of certificates.map(parseNote)) {
      const [first, of, text] = note?.text.split("\n") ?? [];
      const isMine = first === "mcp-gateway boot key v1" && of === origin;
      if (isMine && !this.problemOf(note, this.nodes)) this.boots.push(parseKey(text));
    }
  }
  knows(key) {
    return this.nodes.some(({ text }) => text === key.text);
  }
  /** {keys, made} of a record of the keys' history: who signed it; nothing where one did not. */
  read({ event, facts }) {
    const { said, signers, made } = STATEMENTS[event](this.origin, facts);
    const keys = signers.map(([key]) => parseKey(key));
    const isSigned = keys.every((key, at) => key?.signed(said, fromBase64(signers[at][1])));
    return isSigned && parseKey(made)?.name === this.origin ? { keys, made: parseKey(made) } : {};
  }
  pass(e) {
    const isHistory =
      e.event === "keys.rotated" ? e.facts.newKey : STATEMENTS[e.event] && e.facts.bootKey;
    if (!this.isPinned || isHistory === undefined) return;
    const { keys, made } = this.read(e);
    if (!keys) fail(e.seq, "key-history", "it is not signed by the keys it names");
    if (!this.knows(keys[0]))
      fail(e.seq, "foreign-key", `it is signed by ${keys[0].text}, which is not this node's key`);
    if (e.event === "lifecycle.started") this.boots.push(made);
  }
  /** [kind, why] of what is wrong with a note's signatures. */
  problemOf({ text, signatures }, keys = [...this.boots, ...this.nodes]) {
    let problem = ["foreign-key", "the checkpoint is signed by no key of this node"];
    for (const { name, id, bytes } of this.isPinned ? signatures : []) {
      const key = keys.find((one) => one?.name === name && one.id === id);
      if (key && !key.signed(text, bytes)) return ["checkpoint", "its checkpoint was changed"];
      if (key) problem = undefined;
    }
    return this.isPinned ? problem : undefined;
  }
}

// ---- the tree and its tiles ---------------------------------------------------------------------------------------

const pair = Buffer.alloc(65, 1);
function hashNode(left, right) {
  pair.write(left, 1, "hex");
  pair.write(right, 33, "hex");
  return hash("sha256", pair);
}

/** The files of each tile, by `<level>/<index>`: [{width, path}], the widest last. */
function listTiles(root) {
  const tiles = new Map();
  for (const name of existsSync(root) ? readdirSync(root, { recursive: true }) : []) {
    const [, level, place, width = 256] =
      /^(\d+)\/((?:x\d{3}\/)*\d{3})(?:\.p\/(\d{1,3}))?$/.exec(name) ?? [];
    if (level === undefined) continue;
    const tile = `${level}/${Number(place.replace(/\D/g, ""))}`;
    const files = [...(tiles.get(tile) ?? []), { width: Number(width), path: join(root, name) }];
    tiles.set(
      tile,
      files.sort((a, b) => a.width - b.width),
    );
  }
  return tiles;
}

/** The leaves that the tiles hold, one after the other. */
function* tileLeaves(tiles) {
  for (let index = 0; tiles.has(`0/${index}`); index += 1)
    yield* readFileSync(tiles.get(`0/${index}`).at(-1).path, "hex").match(/.{64}/g) ?? [];
}

/** The RFC 6962 tree, leaf by leaf, held against the tiles that it passes. */
class Tree {
  constructor(tiles) {
    this.size = 0;
    this.edge = [];
    this.levels = [];
    this.unseen = new Map(tiles);
  }
  append(leaf) {
    this.hold(0, leaf);
    let [node, height] = [leaf, 0];
    for (let rest = this.size; rest % 2 === 1; rest = (rest - 1) / 2) {
      node = hashNode(this.edge.pop(), node);
      height += 1;
      if (height % 8 === 0) this.hold(height / 8, node);
    }
    this.edge.push(node);
    this.size += 1;
  }
  hold(level, node) {
    if (this.unseen.size === 0) return;
    this.levels[level] ??= { index: 0, nodes: [] };
    this.levels[level].nodes.push(node);
    if (this.levels[level].nodes.length === 256) this.compare(level);
  }
  /** Also at the end, for the tiles that are not full. */
  compare(level) {
    const { index, nodes } = this.levels[level];
    const files = this.unseen.get(`${level}/${index}`) ?? [];
    const within = files.filter(({ width }) => width <= nodes.length);
    for (const { width, path } of within) {
      const kept = readFileSync(path, "hex");
      const at = nodes.findIndex((node, place) => !kept.startsWith(node, place * 64));
      const seq = (index * 256 + Math.max(at, 0)) * 256 ** level + 1;
      if (kept !== nodes.slice(0, width).join("")) this.wrong ??= { path, seq };
    }
    if (within.length === files.length) this.unseen.delete(`${level}/${index}`);
    this.levels[level] = { index: index + 1, nodes: [] };
  }
  root() {
    return this.size === 0
      ? NOTHING
      : this.edge.reduceRight((right, left) => hashNode(left, right));
  }
}

/** Whether a proof of inclusion leads from a record's leaf to a checkpoint's root (RFC 9162, 2.1.3.2). */
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

// ---- records ------------------------------------------------------------------------------------------------------

const leafOf = (envelope) => hash("sha256", `\0${envelope}`);

function parseEnvelope(text) {
  const [, log, seq, prev, time, event, facts, commitment] = ENVELOPE.exec(text) ?? [];
  try {
    const numbers = { seq: Number(seq), time: Number(time) };
    return log && { log, prev, event, commitment, facts: JSON.parse(facts), ...numbers };
  } catch {
    return undefined;
  }
}

/**
 * {seq, e, leaf, missing, isOrder, isEmpty}; `e`: the envelope, undefined where it is gone. `problem` is told at once,
 * `remark` only if nothing else is wrong with the record. `place` and `stored`: number and leaf kept beside it.
 */
function toRecord(envelope, sealed, place, stored, hashed) {
  const e = envelope === null ? undefined : parseEnvelope(envelope);
  if (envelope !== null && !e) return { problem: [place, "edit", "its envelope cannot be read"] };
  const [seq, leaf] = [e?.seq ?? place, e ? (hashed ?? leafOf(envelope)) : stored];
  const missing = e ? (sealed ? undefined : "erased") : "deleted";
  const isOrder = ORDERS[e?.event] !== undefined;
  const record = { seq, e, leaf, missing, isOrder, isEmpty: sealed === UNSEALED };
  if (leaf !== (stored ?? leaf))
    record.problem = [seq, isOrder ? "fake-tombstone" : "edit", "it does not hash to its leaf"];
  if (record.isEmpty && e && e.commitment !== NOTHING)
    record.remark = [seq, "edit", "its sealed part was replaced by an empty one"];
  if (seq !== (place ?? seq)) record.remark = [place, "reorder", `its place holds record ${seq}`];
  return record;
}

/** What an order says may be missing: the whole record (retention) or its sealed part (erasure). */
function parseOrder({ e, leaf }) {
  const kind = ORDERS[e.event];
  const ranges = String(e.facts[`${kind}Seqs`])
    .split(",")
    .map((part) => {
      const [, from, to = from] = /^(\d{1,15})(?:-(\d{1,15}))?$/.exec(part) ?? [];
      return { from: Number(from), to: Number(to) };
    });
  const isSound = ranges.every(({ from, to }) => from <= to);
  const log = e.facts[`${kind}Log`] ?? e.log;
  return { kind, log, e, leaf, ranges: isSound ? ranges : [], leaves: [], missing: [] };
}

/** The orders for one log, held against what is missing of it. */
class OrderBook {
  constructor(orders) {
    this.orders = orders;
    this.waiting = orders
      .flatMap((order) => order.ranges.map((range) => ({ ...range, order })))
      .sort((a, b) => b.from - a.from);
    this.active = [];
  }
  /** Takes the next record; the order that covers what of it is missing. */
  pass({ seq, leaf, missing }) {
    if (!missing && this.active.length === 0 && !(this.waiting.at(-1)?.from <= seq))
      return undefined;
    while (this.waiting.at(-1)?.from <= seq) this.active.push(this.waiting.pop());
    this.active = this.active.filter(({ to }) => to >= seq);
    for (const { order } of this.active) order.leaves.push(leaf);
    const covering = this.active.filter(({ order }) => order.kind === missing);
    const { order } = covering.find(({ order }) => !order.isRefused) ?? covering[0] ?? {};
    order?.missing.push(seq);
    if (missing && !order)
      this.uncovered ??= new Violation(seq, "removed-tombstone", "no order covers what is missing");
    return order;
  }
  /** The first doubt about what is missing, unless what else was `found` explains it. */
  choose(found, lastSeq) {
    const doubts = this.uncovered ? [this.uncovered] : [];
    for (const { e, ranges, leaves, missing, isRefused } of this.orders) {
      const isOver = missing.length > 0 && ranges.every(({ to }) => to <= lastSeq);
      const isOther = isOver && hash("sha256", leaves.sort().join("\n")) !== e.facts.digest;
      if (!isOther && !(isRefused && missing.length > 0)) continue;
      const why = `the order ${e.seq} that names it is not signed, or does not commit to it`;
      doubts.push(new Violation(missing[0], "fake-tombstone", why));
    }
    const [first] = doubts.sort((a, b) => a.seq - b.seq);
    return first && !EXPLAINS[first.kind].includes(found?.kind) ? first : found;
  }
}

// ---- one log ------------------------------------------------------------------------------------------------------

/**
 * Verifies one log in the order of its records. `source`: {id, start, checkpoints, certificates, tiles, landmarks,
 * records()}, and `isChosen` where the records are single ones, each with its proof.
 */
class Log {
  constructor(source, options) {
    const { id, start, checkpoints, certificates, landmarks } = source;
    const origin = `mcp-gateway/${id}`;
    const own = landmarks.filter(({ e }) => e.log === id).map(({ e }) => e);
    const orders = landmarks.filter(({ isOrder }) => isOrder).map(parseOrder);
    Object.assign(this, { id, start, origin, source, options, last: start });
    this.tiles = source.tiles ?? new Map();
    this.keys = new KeyRing(origin, options.pinned, own, certificates);
    this.notes = [...checkpoints, ...options.known];
    this.signed = this.notes.map(parseCheckpoint);
    const size = Math.max(0, ...this.signed.map((one) => one?.size ?? 0));
    const isLater = ({ e, ranges }) =>
      ranges.some(({ to }) => to >= e.seq) || (size > 0 && e.seq > size);
    this.orders = new OrderBook(orders.filter(({ log }) => log === id));
    for (const order of this.orders.orders) order.isRefused = order.e.log === id && isLater(order);
    this.tree = new Tree(this.tiles);
    this.roots = new Map([[0, NOTHING]]);
    this.watched = new Set([
      ...this.signed.map((one) => one?.size),
      ...own.map((e) => e.facts.treeSize),
    ]);
    this.latest = -Infinity;
    this.intents = new Map();
    this.counts = { ok: 0, "ok-sealed": 0, "ok-shredded": 0, "ok-pruned": 0 };
    this.proved = 0;
  }
  verify(stood) {
    const records = this.source.records();
    try {
      this.growBefore();
      for (const record of records) {
        if (record.problem) fail(...record.problem);
        if (this.source.isChosen) this.checkChosen(record);
        else this.checkChained(record, records);
        if (record.remark) fail(...record.remark);
        this.count(record);
        if (record.isOrder) stood.add(record.leaf);
        this.last = record;
      }
      this.covered = this.checkSigned();
    } catch (error) {
      throw error instanceof Violation ? this.orders.choose(error, this.last.seq) : error;
    }
    const found = this.orders.choose(undefined, this.source.isChosen ? 0 : this.last.seq);
    if (found) throw found;
  }
  grow(leaf) {
    if (!this.isWhole) return;
    this.tree.append(leaf);
    if (this.watched.has(this.tree.size)) this.roots.set(this.tree.size, this.tree.root());
  }
  /** Records before the first one at hand are known by the tiles' leaves alone. */
  growBefore() {
    this.isWhole = true;
    for (const leaf of this.start.seq > 0 ? tileLeaves(this.tiles) : []) {
      if (this.tree.size < this.start.seq - 1) this.grow(leaf);
      else if (leaf === this.start.leaf) return;
      else fail(this.start.seq + 1, "fork", "the record before it is not the one the tree holds");
    }
    this.isWhole = this.start.seq === 0;
  }
  checkChosen({ seq, e }) {
    if (seq <= this.last.seq)
      fail(seq, seq === this.last.seq ? "replay" : "reorder", `it follows record ${this.last.seq}`);
    if (e && e.log !== this.id) fail(seq, "splice", `it is of the log ${e.log}`);
  }
  /** A leaf goes into the tree when the next record names it. */
  checkChained(record, rest) {
    const { seq, e } = record;
    if (seq !== this.last.seq + 1 || (e && e.log !== this.id)) this.diagnose(record, rest);
    if (e) this.keys.pass(e);
    if (e) this.checkTime(e);
    if (e && e.prev !== this.last.leaf) this.diagnose(record, rest);
    if (this.last.seq > 0) this.grow(this.last.leaf);
    if (e?.event !== "lifecycle.started" || e.facts.treeRoot === undefined) return;
    const { treeSize, treeRoot } = e.facts;
    if (treeSize >= seq) fail(seq, "key-history", `it adopts ${treeSize} records, not yet there`);
    if ((this.roots.get(treeSize) ?? treeRoot) === treeRoot) return;
    for (const { leaf } of [record, ...rest]) if (leaf) this.tree.append(leaf);
    this.failAsFork(treeSize, "the tree that the boot key was certified for", 0);
  }
  /** An outcome may be as old as its intent; `clock.jump` starts time anew. */
  checkTime({ seq, event, facts, time }) {
    const isOutcome = event === "call.outcome" && typeof facts.intent === "number";
    const before = isOutcome && facts.intent <= this.start.seq ? -Infinity : Infinity;
    const began = isOutcome ? (this.intents.get(facts.intent) ?? before) : Infinity;
    if (event === "clock.jump") this.latest = -Infinity;
    if (time < Math.min(this.latest - TOLERANCE_MS, began))
      fail(seq, "back-dated", `its time ${time} lies before the records it follows`);
    if (event === "call.intent") this.intents.set(seq, time);
    if (isOutcome) this.intents.delete(facts.intent);
    if (this.intents.size > 100_000) this.intents.delete(this.intents.keys().next().value);
    this.latest = Math.max(this.latest, time);
  }
  count(record) {
    const { seq, missing, isEmpty, isProved } = record;
    const order = this.orders.pass(record);
    const present = isEmpty ? "ok" : "ok-sealed";
    const verdict = VERDICTS[missing] ?? present;
    this.counts[verdict] += 1;
    if (isProved) this.proved += 1;
    if (!missing || order) this.options.report?.({ log: this.id, seq, verdict, by: order?.e.seq });
  }
  /** The end of the records: the tree must be the one that was signed. How many records that covers. */
  checkSigned() {
    const { seq, leaf } = this.last;
    if (this.notes.length === 0 && !this.options.unsigned)
      fail(seq, "checkpoint", "there is no signed checkpoint");
    for (const one of this.signed) {
      if (one?.origin !== this.origin) fail(seq, "checkpoint", "its checkpoint cannot be read");
      const problem = this.keys.problemOf(one.note);
      if (problem) fail(Math.min(one.size, seq), ...problem);
    }
    if (this.source.isChosen) return this.proved;
    if (seq > 0) this.grow(leaf);
    const own = Math.max(
      0,
      ...this.signed.slice(0, this.source.checkpoints.length).map(({ size }) => size),
    );
    const later = this.signed.find(({ size }) => size > seq);
    if (later) {
      const kind = later.size > own && own > 0 ? "replay" : "cut";
      fail(seq + 1, kind, `it is missing, and a checkpoint covers ${later.size} records`);
    }
    let covered = 0;
    for (const { size, root } of this.signed.sort((a, b) => a.size - b.size)) {
      const ours = this.roots.get(size);
      if (ours && ours !== root)
        this.failAsFork(size, `the checkpoint of ${size} records`, covered);
      if (ours) covered = size;
    }
    const { wrong, unseen } = this.finishTree();
    if (wrong) fail(wrong.seq, "tiles", `the tile ${wrong.path} is not of this tree`);
    if (unseen.size > 0 && this.tree.size > 0)
      fail(seq + 1, "cut", "the tiles hold records that are missing");
    return covered;
  }
  /** An order counts only where it stands in one of the logs. */
  checkStood(stood) {
    for (const { e, leaf, missing } of this.orders.orders)
      if (missing.length > 0 && !stood.has(leaf))
        fail(missing[0], "fake-tombstone", `the order ${e.seq} that names it stands in no log`);
  }
  summary() {
    const records = Object.values(this.counts).reduce((sum, count) => sum + count);
    const { last, covered, counts } = this;
    return { log: this.id, records, lastSeq: last.seq, lastLeaf: last.leaf, covered, counts };
  }
  finishTree() {
    for (const level of this.tree.levels.keys()) this.tree.compare(level);
    return this.tree;
  }
  /** The tiles tell which record departed from the signed tree, if they are still that tree's. */
  failAsFork(size, what, after) {
    const { wrong } = this.finishTree();
    const tree = new Tree();
    let sound = 0;
    for (const leaf of tileLeaves(this.tiles)) {
      tree.append(leaf);
      if (this.signed.some((one) => one?.size === tree.size && one.root === tree.root()))
        sound = tree.size;
    }
    const seq = wrong?.seq <= sound ? wrong.seq : after + 1;
    fail(seq, "fork", `from here to ${size} the records are not those of ${what}`);
  }
  /** Tells what was done where a record does not follow the one before it, from what comes after. */
  diagnose(first, rest) {
    const p = this.last.seq + 1;
    const next = [];
    for (const { seq, e, leaf, isOrder } of [first, ...rest])
      if (leaf) next.push({ seq, log: e?.log ?? this.id, prev: e?.prev, leaf, isOrder });
    const isForeign = next.some(({ log }) => log !== this.id);
    const kindOf = (...records) => records.some((one) => one?.isOrder) && "fake-tombstone";
    if (next[0].log !== this.id || (first.seq > p && isForeign))
      fail(p, "splice", "a record of another log stands in its place");
    if (first.seq === p) {
      if (next[1]?.prev !== first.leaf || p === this.start.seq + 1)
        fail(p, kindOf(first) || "edit", "it was changed after it was recorded");
      if (this.isSigned([{ leaf: first.e.prev }, ...next]))
        fail(p - 1, kindOf(this.last) || "edit", "it was changed after it was recorded");
      fail(p, "splice", "it goes on from another record than the one before it");
    }
    if (first.seq < p) {
      const there = [...this.source.records()].find(({ seq }) => seq === first.seq);
      if (there?.leaf === first.leaf) fail(p, "replay", `record ${first.seq} stands here again`);
      if (first.seq < p - 1 && next.length > 1)
        fail(first.seq, "fork", "two histories go on from here");
      fail(first.seq, kindOf(there, first) || "insert", "two records claim this number");
    }
    if (!next.some(({ seq }) => seq >= p && seq < first.seq))
      fail(p, "delete", `it is missing; the next one is ${first.seq}`);
    const moved = next.filter(({ seq }, at) => seq !== p + at).length;
    fail(p, moved === 2 ? "swap" : "reorder", `record ${first.seq} stands in its place`);
  }
  /** Whether the signed tree goes on with these leaves. Nothing signed speaks against it. */
  isSigned(records) {
    const roots = this.signed.filter((one) => one?.size >= this.last.seq);
    for (const { leaf } of records) {
      this.tree.append(leaf);
      if (roots.some(({ size, root }) => size === this.tree.size && root === this.tree.root()))
        return true;
    }
    return roots.length === 0;
  }
}

// ---- where records come from --------------------------------------------------------------------------------------

/** A frame: length, checksum, length of the first part, kind, first part, second part. */
function frameAt(bytes, at) {
  if (bytes.length - at < 13) return undefined;
  const end = at + 8 + bytes.readUInt32LE(at);
  const split = at + 13 + bytes.readUInt32LE(at + 8);
  if (end > bytes.length || split > end) return undefined;
  if (crc32(bytes.subarray(at + 8, end)) !== bytes.readUInt32LE(at + 4)) return undefined;
  const [first, second] = [bytes.toString("utf8", at + 13, split), bytes.subarray(split, end)];
  return { kind: bytes[at + 12], first, second, hashed: bytes.subarray(at + 12, split), end };
}

/** The frames of a segment, and {kind: "damage"} for bytes that are none. What was never filled ends it. */
function* readFrames(bytes) {
  for (let at = 0; at < bytes.length; ) {
    const frame = frameAt(bytes, at);
    if (frame) yield frame;
    at = frame?.end ?? at;
    if (frame) continue;
    let next = bytes.indexOf('{"v":', at + 14);
    while (next > 0 && !frameAt(bytes, next - 13)) next = bytes.indexOf('{"v":', next + 1);
    const end = bytes.length - at < 8 ? Infinity : at + 8 + bytes.readUInt32LE(at);
    const isUnfinished =
      end > bytes.length || bytes.subarray(at, end + 8).includes(Buffer.alloc(8));
    if (next < 0 && isUnfinished) return;
    yield {};
    at = next < 0 ? bytes.length : next - 13;
  }
}

const fromFrame = ({ first, second, hashed }) =>
  toRecord(first, second.toString("latin1"), undefined, undefined, hash("sha256", hashed));

/** The records of a spool, one segment in memory at a time. */
function* readSpool(segments, log) {
  let last = {};
  for (const { path, first, next } of segments) {
    let [header, remark, own] = [undefined, undefined, 0];
    for (const frame of readFrames(readFileSync(path))) {
      const record = frame.kind === RECORD ? fromFrame(frame) : undefined;
      // What follows the last record before the next segment's first was never acknowledged.
      if (own === next - 1 && !(record?.seq < next)) continue;
      if (frame.kind === HEADER) {
        header = JSON.parse(frame.first);
        if (header.log !== log)
          yield { problem: [first, "splice", `its segment is of the log ${header.log}`] };
        if (header.firstSeq !== first)
          yield { problem: [first, "edit", "its segment's header names another record"] };
        if (last.leaf && header.firstSeq === last.seq + 1 && header.prev !== last.leaf)
          remark = [first, "edit", "its segment's header names another record before it"];
      }
      if (!header) yield { problem: [first, "damage", "its segment has no sound header"] };
      if (frame.kind === DAMAGE && own + 1 < next)
        yield { problem: [(last.seq ?? first - 1) + 1, "damage", "its bytes are damaged"] };
      if (!record) continue;
      if (record.problem) record.problem[0] = (last.seq ?? first - 1) + 1;
      record.remark ??= remark;
      yield record;
      if (record.seq) {
        last = record;
        own = record.seq;
      }
      remark = undefined;
    }
  }
}

function openSpool(dir, { evidence = join(dir, "..", "evidence") }) {
  const names = readdirSync(dir)
    .filter((name) => /^\d{16}\.seg$/.test(name))
    .sort();
  const segments = names.map((name, at) => ({
    path: join(dir, name),
    first: Number.parseInt(name, 10),
    next: Number.parseInt(names[at + 1] ?? "Infinity", 10) || Infinity,
  }));
  if (segments.length === 0) throw new Error(`there is no segment in ${dir}`);
  const opening = readFrames(readFileSync(segments[0].path)).next().value;
  if (opening?.kind !== HEADER)
    fail(segments[0].first, "damage", "its segment has no sound header");
  const { log, firstSeq, prev } = JSON.parse(opening.first);
  const landmarks = [];
  for (const { path } of segments) {
    const bytes = readFileSync(path);
    for (let at = bytes.indexOf(LANDMARK); at >= 0; at = bytes.indexOf(LANDMARK, at + 1)) {
      const frame = frameAt(bytes, bytes.lastIndexOf('{"v":2,"log":', at) - 13);
      if (frame && LANDMARKS.test(frame.first)) landmarks.push(toRecord(frame.first));
    }
  }
  const read = (path) => readFileSync(path, "utf8");
  const [checkpoint, certificates] = [join(evidence, "checkpoint"), join(evidence, "certificates")];
  const listed = existsSync(certificates) ? readdirSync(certificates) : [];
  return [
    {
      id: log,
      start: { seq: firstSeq - 1, leaf: prev },
      checkpoints: existsSync(checkpoint) ? [read(checkpoint)] : [],
      certificates: listed.map((name) => read(join(certificates, name))),
      tiles: listTiles(join(evidence, "tile")),
      landmarks: landmarks.filter(({ e }) => e),
      records: () => readSpool(segments, log),
    },
  ];
}

function* readLines(path) {
  const file = openSync(path, "r");
  const chunk = Buffer.alloc(1 << 20);
  let rest = Buffer.alloc(0);
  try {
    for (let count = readSync(file, chunk); count > 0; count = readSync(file, chunk)) {
      rest = Buffer.concat([rest, chunk.subarray(0, count)]);
      for (let end = rest.indexOf("\n"); end >= 0; end = rest.indexOf("\n")) {
        yield { ...JSON.parse(rest.toString("utf8", 0, end)), bytes: rest.subarray(0, end + 1) };
        rest = rest.subarray(end + 1);
      }
    }
    if (rest.length > 0) throw new SyntaxError("its last line has no end");
  } finally {
    closeSync(file);
  }
}

/** The logs of an export. Chosen records count by their proofs, and orders among them too. */
function openExport(path, { unsigned }) {
  const [logs, marks, notes, whole] = [new Map(), [], [], createHash("sha256")];
  let [head, manifest, count] = [undefined, undefined, 0];
  for (const { bytes, ...line } of readLines(path)) {
    if (line.kind === "manifest") manifest = line;
    else whole.update(bytes);
    if (line.kind === "export") head = line;
    if (line.kind === "checkpoint" || line.kind === "certificate") notes.push(line);
    if (line.kind === "record") logs.set(line.log, count);
    if (line.kind === "record") count += 1;
    if (LANDMARKS.test(line.envelope)) marks.push(line);
  }
  if (head?.v !== 1) throw new Error(`${path} is no export of version 1`);
  const isChosen = !head.contiguous;
  const checkpointsOf = (log) =>
    notes.filter((one) => one.kind === "checkpoint" && one.log === log).map(({ note }) => note);
  const toLine = ({ log, seq, leaf, envelope, sealed, proof }) => {
    const record = toRecord(
      envelope,
      sealed ?? (head.hidden && envelope ? "hidden" : sealed),
      seq,
      leaf,
    );
    const [checkpoint] = checkpointsOf(log).map(parseCheckpoint);
    record.isProved = proof && isIncluded(checkpoint, record.seq, record.leaf, proof);
    if (proof && !record.isProved)
      record.remark ??= [seq, "edit", "its proof does not lead to the signed root"];
    if (!proof && isChosen && !unsigned) record.remark ??= [seq, "checkpoint", "it has no proof"];
    return record;
  };
  const landmarks = marks.map(toLine).filter(({ e, isProved }) => e && (isProved || !isChosen));
  const sources = [...logs.keys()].map((id) => ({
    id,
    isChosen,
    start: { seq: 0, leaf: GENESIS },
    checkpoints: checkpointsOf(id),
    certificates: notes.filter(({ kind }) => kind === "certificate").map(({ note }) => note),
    landmarks,
    *records() {
      for (const line of readLines(path))
        if (line.kind === "record" && line.log === id) yield toLine(line);
    },
  }));
  const close = () => {
    if (!manifest) fail(count, "cut", "the export ends before its manifest");
    if (manifest.count !== count)
      fail(count, "delete", `the export holds ${count} records of ${manifest.count}`);
    if (manifest.sha256 !== whole.digest("hex"))
      fail(count, "damage", "the export is not what its manifest says");
  };
  return Object.assign(sources, { close });
}

/** A receipt ({log, seq, leaf}) and the proof that its record is in the signed log: one chosen record. */
function openReceipt({ log, seq, leaf }, text) {
  const [, extra, index, hashes, note] =
    /^c2sp\.org\/tlog-proof@v1\n(?:extra ([^\n]*)\n)?index (\d+)\n((?:[^\n]+\n)*)\n(.*)$/s.exec(
      text,
    ) ?? [];
  if (note === undefined) fail(seq, "checkpoint", "the proof cannot be read");
  if (index !== String(seq - 1)) fail(seq, "splice", "the proof is of another record");
  const isProved = isIncluded(parseCheckpoint(note), seq, leaf, hashes.split("\n").slice(0, -1));
  const remark = [seq, "edit", "the proof does not lead from this leaf to the signed root"];
  return [
    {
      id: log,
      isChosen: true,
      start: { seq: 0, leaf: GENESIS },
      checkpoints: [note],
      certificates: [Buffer.from(extra ?? "", "base64").toString()],
      landmarks: [],
      records: () => [{ seq, leaf, isProved, remark: isProved ? undefined : remark }],
    },
  ];
}

/** One field opened (`name`, `value`, `random`) and the commitments of the others, against an envelope's commitment. */
function verifyOpening({ envelope, commitment, leaf, name, value, random, others }) {
  const { seq = 0, e, problem } = envelope ? toRecord(envelope, UNSEALED, undefined, leaf) : {};
  if (problem?.[1]) fail(...problem);
  const mac = createHmac("sha256", Buffer.from(random, "hex"));
  const opened = mac.update(`${name}\0${JSON.stringify(value)}`).digest("hex");
  const all = [...others, [name, opened]].sort(([a], [b]) => (a < b ? -1 : 1));
  const whole = createHash("sha256");
  for (const [one, hex] of all) whole.update(`${one}\0`).update(hex, "hex");
  if (whole.digest("hex") !== (e?.commitment ?? commitment))
    fail(seq, "edit", `${name} is not what was committed to`);
}

// ---- the command --------------------------------------------------------------------------------------------------

const flags = (names, kind) => names.map((name) => [name, kind]);
const OPTIONS = Object.fromEntries([
  ...flags(["key", "checkpoint"], { type: "string", multiple: true, default: [] }),
  ...flags(["evidence", "export", "receipt", "proof", "opening"], { type: "string" }),
  ...flags(["unsigned", "records", "json"], { type: "boolean", default: false }),
]);

function open(values, [spool, ...more], options) {
  const read = (path) => readFileSync(path, "utf8");
  if (values.opening) return verifyOpening(JSON.parse(read(values.opening))) ?? [];
  if (values.receipt && values.proof)
    return openReceipt(JSON.parse(read(values.receipt)), read(values.proof));
  if (values.export) return openExport(values.export, options);
  if (spool && more.length === 0) return openSpool(spool, options);
  throw new Error("give a spool directory, --export, --receipt and --proof, or --opening");
}

export function run(args, write = console.log) {
  const { values, positionals } = parseArgs({ args, allowPositionals: true, options: OPTIONS });
  const print = (value, line) => write(values.json ? JSON.stringify(value) : line);
  try {
    const pinned = values.key.map(parseKey);
    if (pinned.includes(undefined))
      throw new Error("--key must be as `mcp-gateway audit key` prints it");
    if (pinned.length === 0 && !values.unsigned && !values.opening)
      throw new Error("--key is needed (or --unsigned, to check the chain alone)");
    const known = values.checkpoint.map((path) => readFileSync(path, "utf8"));
    const report =
      values.records &&
      ((one) =>
        print(one, `${one.log} ${one.seq} ${one.verdict}${one.by ? `(by ${one.by})` : ""}`));
    const options = { ...values, pinned, known, report: report || undefined };
    const sources = open(values, positionals, options);
    const stood = new Set();
    const logs = sources.map((source) => new Log(source, options));
    for (const log of logs) log.verify(stood);
    if (!sources[0]?.isChosen) for (const log of logs) log.checkStood(stood);
    sources.close?.();
    const summaries = logs.map((log) => log.summary());
    const lines = summaries.map(
      (one) =>
        `${one.log}: ${one.records} records to ${one.lastSeq}, ${one.covered} under a signed checkpoint: ${JSON.stringify(one.counts)}`,
    );
    print({ ok: true, logs: summaries }, lines.join("\n") || "ok");
    return 0;
  } catch (error) {
    const { seq, kind, message } = error;
    if (error instanceof Violation)
      print({ ok: false, violation: { seq, kind, message } }, `violation(${kind}): ${message}`);
    else print({ ok: false, error: message }, `cannot verify: ${message}`);
    return error instanceof Violation ? 1 : 2;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  process.exitCode = run(process.argv.slice(2));
