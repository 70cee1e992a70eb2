#!/usr/bin/env node
/**
 * Verifies an audit log of MCP Gateway without trusting it or its code: plain JavaScript for Node 20, no dependency.
 * docs/audit.md says what the bytes mean. Nothing here is shared with the gateway, on purpose: two programs that agree
 * are worth more than one.
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
import {
  createHash,
  createHmac,
  createPublicKey,
  hash as hashOnce,
  verify as verifySignature,
} from "node:crypto";
import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { crc32 } from "node:zlib";

const GENESIS = "0".repeat(64);
const NOTHING = createHash("sha256").digest("hex");
const TOLERANCE_MS = 300_000;
const OUTLINE_MAX = 1_000_000;
/** What else may be the reason that a part is missing without its order, or that an order's digest is another. */
const LOST = ["cut", "replay", "splice", "foreign-key", "key-history"];
const EXPLAINS = { "removed-tombstone": LOST, "fake-tombstone": [...LOST, "fork"] };
const LANDMARKS = ["retention.executed", "erasure.executed", "lifecycle.started", "keys.rotated"];
const MEMBERS = ["v", "log", "seq", "prev", "time", "event", "class", "facts", "commitment"];

// ---- hashes, keys, notes ------------------------------------------------------------------------------------------

const sha256 = (...parts) =>
  parts.reduce((hash, part) => hash.update(part), createHash("sha256")).digest();
const LEAF = Buffer.from([0]);
const pair = Buffer.alloc(65, 1);
function hashNode(left, right) {
  left.copy(pair, 1);
  right.copy(pair, 33);
  return hashOnce("sha256", pair, "buffer");
}
const leafOf = (envelope) => sha256(LEAF, envelope).toString("hex");
/** Base64 in its one right spelling; undefined for any other. */
function fromBase64(text) {
  const bytes = Buffer.from(text, "base64");
  return bytes.toString("base64") === text ? bytes : undefined;
}

function parseKey(text) {
  const [, name, id, encoded] = /^([^+\s]+)\+([0-9a-f]{8})\+(\S+)$/.exec(text ?? "") ?? [];
  const bytes = encoded && fromBase64(encoded);
  if (bytes?.length !== 33 || bytes[0] !== 1) return undefined;
  if (sha256(`${name}\n`, bytes).toString("hex", 0, 4) !== id) return undefined;
  const der = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), bytes.subarray(1)]);
  const key = createPublicKey({ key: der, format: "der", type: "spki" });
  return {
    text,
    name,
    id,
    signed: (message, signature) => verifySignature(null, Buffer.from(message), key, signature),
  };
}

/** {text, signatures: [{name, id, bytes}]}; undefined where it is not a signed note. */
function parseNote(note) {
  const split = note.lastIndexOf("\n\n");
  if (split < 0 || !note.endsWith("\n") || note.endsWith("\n\n") || note.includes("\r"))
    return undefined;
  const signatures = note
    .slice(split + 2, -1)
    .split("\n")
    .map((line) => {
      const [, name, encoded] = /^— (\S+) (\S+)$/.exec(line) ?? [];
      const bytes = encoded && fromBase64(encoded);
      return bytes && bytes.length > 4
        ? { name, id: bytes.toString("hex", 0, 4), bytes: bytes.subarray(4) }
        : undefined;
    });
  return signatures.includes(undefined)
    ? undefined
    : { text: note.slice(0, split + 1), signatures };
}

/** Whether one of `keys` signed: "signed", "unknown" (none of them did) or "wrong" (one of them did not sign this). */
function checkNote(note, keys) {
  let found = "unknown";
  for (const { name, id, bytes } of note.signatures) {
    const key = keys.find((one) => one.name === name && one.id === id);
    if (key && !key.signed(note.text, bytes)) return "wrong";
    if (key) found = "signed";
  }
  return found;
}

function parseCheckpoint(text) {
  const note = parseNote(text);
  const [origin, size, root, ...rest] = note?.text.slice(0, -1).split("\n") ?? [];
  const hash = root && fromBase64(root);
  if (hash?.length !== 32 || !/^(0|[1-9]\d{0,15})$/.test(size) || rest.includes(""))
    return undefined;
  return { note, origin, size: Number(size), root: hash };
}

const bootStatement = (origin, f) =>
  `mcp-gateway boot key v1\n${origin}\n${f.bootKey}\n${f.treeSize}\n${f.treeRoot}\n`;
const handOver = (origin, f) => `mcp-gateway node key v1\n${origin}\n${f.oldKey}\n${f.newKey}\n`;

/** The keys of one log: those the reader pinned, those handed over to, and the boot keys they certified. */
class KeyRing {
  constructor(origin, pinned) {
    this.origin = origin;
    this.pinned = pinned.length > 0;
    this.nodes = pinned.filter((key) => key.name === origin);
    this.boots = [];
    this.certificates = [];
  }
  /** What is wrong with a `lifecycle.started` record; nothing where it is sound or no key is pinned. */
  start(facts) {
    if (facts.bootKey === undefined || !this.pinned) return undefined;
    const [node, boot] = [parseKey(facts.nodeKey), parseKey(facts.bootKey)];
    const signature = fromBase64(String(facts.bootSignature));
    if (!node || !boot || boot.name !== this.origin || !signature?.length)
      return ["key-history", "its certificate cannot be read"];
    if (!node.signed(bootStatement(this.origin, facts), signature))
      return ["key-history", "the node key did not sign its certificate"];
    if (!this.knows(node))
      return ["foreign-key", `it is certified by ${node.text}, which is not this node's key`];
    this.boots.push(boot);
    return undefined;
  }
  /** [old key, new key] of a record that both signed. */
  readHandOver(facts) {
    const [old, next] = [parseKey(facts.oldKey), parseKey(facts.newKey)];
    const [a, b] = [facts.oldSignature, facts.newSignature].map(
      (text) => fromBase64(String(text)) ?? Buffer.alloc(0),
    );
    const said = handOver(this.origin, facts);
    return old && next?.name === this.origin && old.signed(said, a) && next.signed(said, b)
      ? [old, next]
      : undefined;
  }
  knows(key) {
    return this.nodes.some(({ text }) => text === key.text);
  }
  handOver(facts) {
    if (facts.newKey === undefined || !this.pinned) return undefined;
    const [old, next] = this.readHandOver(facts) ?? [];
    if (!next) return ["key-history", "the hand-over of the node key is not signed by both keys"];
    if (!this.knows(old))
      return ["foreign-key", `it hands over ${old.text}, which is not this node's key`];
    this.nodes.push(next);
    return undefined;
  }
  /** Who knows a later key knows by its signature which ones it followed. */
  followBack(facts) {
    const [old, next] = facts.newKey === undefined ? [] : (this.readHandOver(facts) ?? []);
    if (next && old.name === this.origin && this.knows(next)) this.nodes.push(old);
  }
  /** All keys whose signatures count, with those of certificates kept apart. */
  all() {
    for (const text of this.certificates.splice(0)) this.certificate(text);
    return [...this.boots, ...this.nodes];
  }
  certificate(text) {
    const note = parseNote(text);
    const [first, origin, vkey] = note?.text.split("\n") ?? [];
    const boot = parseKey(vkey);
    if (first !== "mcp-gateway boot key v1" || origin !== this.origin || boot?.name !== this.origin)
      return;
    if (checkNote(note, this.nodes) === "signed") this.boots.push(boot);
  }
}

// ---- the tree and its tiles ---------------------------------------------------------------------------------------

/** Files of <evidence>/tile by path: `0/x001/067` or `0/x001/067.p/3`. */
function listTiles(root) {
  const found = new Map();
  const walk = (dir, path) => {
    for (const entry of readdirSync(dir, { withFileTypes: true })) {
      const name = path === "" ? entry.name : `${path}/${entry.name}`;
      if (entry.isDirectory()) walk(join(dir, entry.name), name);
      else if (/^\d+\/(x\d{3}\/)*\d{3}(\.p\/\d{1,3})?$/.test(name))
        found.set(name, join(dir, entry.name));
    }
  };
  if (existsSync(root)) walk(root, "");
  return found;
}
function tilePath(level, index) {
  let path = String(index % 1000).padStart(3, "0");
  for (let n = Math.floor(index / 1000); n > 0; n = Math.floor(n / 1000))
    path = `x${String(n % 1000).padStart(3, "0")}/${path}`;
  return `${level}/${path}`;
}

/** The RFC 6962 tree, leaf by leaf; holds each tile that passes against the file of it, if there is one. */
class Tree {
  constructor(tiles) {
    this.size = 0;
    this.edge = [];
    this.levels = [];
    this.tiles = tiles;
    this.widths = new Map();
    this.wrong = undefined;
    for (const path of tiles.keys()) {
      const [tile, width] = path.split(".p/");
      this.widths.set(tile, [...(this.widths.get(tile) ?? []), Number(width ?? 256)]);
    }
    this.unseen = tiles.size;
  }
  append(leaf) {
    this.put(0, leaf);
    let hash = leaf;
    let level = 0;
    for (let rest = this.size; rest % 2 === 1; rest = (rest - 1) / 2) {
      hash = hashNode(this.edge.pop(), hash);
      level += 1;
      if (level % 8 === 0) this.put(level / 8, hash);
    }
    this.edge.push(hash);
    this.size += 1;
  }
  put(level, hash) {
    if (this.tiles.size === 0) return;
    this.levels[level] ??= {
      index: 0,
      count: 0,
      bytes: Buffer.alloc(8192),
      widths: this.widths.get(tilePath(level, 0)),
    };
    const at = this.levels[level];
    hash.copy(at.bytes, at.count * 32);
    at.count += 1;
    if (at.widths?.includes(at.count)) this.compare(level, at);
    if (at.count < 256) return;
    at.index += 1;
    at.count = 0;
    at.widths = this.widths.get(tilePath(level, at.index));
  }
  compare(level, { index, count, bytes }) {
    const path = tilePath(level, index) + (count === 256 ? "" : `.p/${count}`);
    this.unseen -= 1;
    if (!readFileSync(this.tiles.get(path)).equals(bytes.subarray(0, count * 32)))
      this.wrong ??= { path, seq: index * 256 ** (level + 1) + 1 };
  }
  root() {
    if (this.size === 0) return sha256("");
    return this.edge.reduceRight((right, left) => hashNode(left, right));
  }
}

/** The leaves that the level-0 tiles hold, one after the other. */
function* tileLeaves(tiles) {
  for (let index = 0; ; index += 1) {
    const path = tilePath(0, index);
    let file = tiles.get(path);
    for (let width = 255; file === undefined && width > 0; width -= 1)
      file = tiles.get(`${path}.p/${width}`);
    if (file === undefined) return;
    const bytes = readFileSync(file);
    for (let at = 0; at + 32 <= bytes.length; at += 32) yield bytes.subarray(at, at + 32);
    if (bytes.length !== 8192) return;
  }
}

/** The root that a proof of inclusion leads to (RFC 9162, 2.1.3.2). */
function rootOf(index, size, leaf, proof) {
  let [at, last, hash] = [index, size - 1, leaf];
  const up = () => ([at, last] = [Math.floor(at / 2), Math.floor(last / 2)]);
  if (index >= size) return undefined;
  for (const sibling of proof) {
    if (last === 0 || sibling.length !== 32) return undefined;
    if (at % 2 === 1 || at === last) {
      hash = hashNode(sibling, hash);
      while (at % 2 === 0 && at !== 0) up();
    } else hash = hashNode(hash, sibling);
    up();
  }
  return last === 0 ? hash : undefined;
}

// ---- one log ------------------------------------------------------------------------------------------------------

function isInOrder(e) {
  let at = 0;
  for (const name in e) if (name !== MEMBERS[at++]) return false;
  return at === MEMBERS.length;
}
function parseEnvelope(text) {
  try {
    const e = JSON.parse(text);
    return e.v === 2 &&
      isInOrder(e) &&
      Number.isSafeInteger(e.seq) &&
      typeof e.facts === "object" &&
      e.facts
      ? e
      : undefined;
  } catch {
    return undefined;
  }
}
function parseRanges(text) {
  const ranges = String(text)
    .split(",")
    .map((part) => /^(\d{1,15})(?:-(\d{1,15}))?$/.exec(part))
    .map((m) => m && [Number(m[1]), Number(m[2] ?? m[1])]);
  return ranges.some((range) => !range || range[1] < range[0]) ? [] : ranges;
}
/** What an order record says may be missing: the whole record (retention) or its sealed part (erasure). */
function parseOrder(e) {
  const kind = { "retention.executed": "deleted", "erasure.executed": "erased" }[e?.event];
  if (kind === undefined || e.facts[`${kind}Seqs`] === undefined) return undefined;
  const ranges = parseRanges(e.facts[`${kind}Seqs`]);
  return {
    by: e.seq,
    from: e.log,
    kind,
    log: e.facts[`${kind}Log`] ?? e.log,
    ranges,
    digest: e.facts.digest,
    leaves: [],
    missing: [],
  };
}

class Violation extends Error {
  constructor(seq, kind, message) {
    super(`record ${seq}: ${message}`);
    Object.assign(this, { seq, kind });
  }
}

/**
 * Verifies one log's records in their order. `landmarks` are its orders and starts, found beforehand; `reread` yields
 * all its records once more, for telling what happened where something is wrong.
 */
class Log {
  constructor(
    id,
    {
      seen,
      start,
      pinned,
      checkpoints,
      known,
      tiles,
      landmarks,
      reread,
      report,
      unsigned,
      loose,
      hidden,
    },
  ) {
    Object.assign(this, {
      id,
      seen,
      start,
      checkpoints,
      known,
      reread,
      report,
      unsigned,
      loose,
      hidden,
      origin: `mcp-gateway/${id}`,
    });
    this.keys = new KeyRing(this.origin, pinned);
    for (const { e } of landmarks.toReversed())
      if (e.log === id && e.event === "keys.rotated") this.keys.followBack(e.facts);
    this.tiles = tiles ?? new Map();
    this.tree = new Tree(this.tiles);
    this.seq = start.seq;
    this.leaf = start.leaf;
    this.latest = -Infinity;
    this.intents = new Map();
    this.outline = undefined;
    this.unlawful = [];
    this.counts = { ok: 0, "ok-sealed": 0, "ok-shredded": 0, "ok-pruned": 0 };
    this.roots = new Map();
    this.signedSize = Math.max(
      0,
      ...[...checkpoints, ...known].map((text) => parseCheckpoint(text)?.size ?? 0),
    );
    this.watched = new Set([...checkpoints, ...known].map((text) => parseCheckpoint(text)?.size));
    const orders = landmarks
      .map(({ e, ...mark }) => Object.assign(parseOrder(e) ?? {}, mark))
      .filter((order) => order.log === id);
    this.refused = orders.filter((order) => !this.mayOrder(order));
    this.orders = orders.filter((order) => !this.refused.includes(order));
    this.ranges = this.orders
      .flatMap((order) => order.ranges.map(([from, to]) => ({ from, to, order })))
      .sort((a, b) => a.from - b.from);
    this.active = [];
    this.nextRange = 0;
    this.adopted = [];
    for (const { e } of landmarks)
      if (e.log === id && e.event === "lifecycle.started") this.watched.add(e.facts.treeSize);
    if (start.seq > 0) this.growBefore();
  }
  mayOrder({ by, from, ranges }) {
    if (from !== this.id) return true;
    return ranges.every(([, to]) => to < by) && (this.signedSize === 0 || by <= this.signedSize);
  }
  /** Records before the first one at hand are known by the tiles' leaves alone. */
  growBefore() {
    let last;
    for (const leaf of tileLeaves(this.tiles)) {
      if (this.tree.size === this.start.seq) break;
      last = leaf;
      this.grow(leaf);
    }
    this.whole = this.tree.size === this.start.seq;
    if (this.whole && last.toString("hex") !== this.start.leaf)
      this.bad(this.start.seq + 1, "fork", "the record before it is not the one the tree holds");
  }
  grow(leaf) {
    this.tree.append(leaf);
    if (this.watched.has(this.tree.size)) this.roots.set(this.tree.size, this.tree.root());
  }
  bad(seq, kind, message) {
    const [first] = this.unlawful.sort((a, b) => a.seq - b.seq);
    if (first !== undefined && !(EXPLAINS[first.kind] ?? []).includes(kind)) throw first;
    throw new Violation(seq, kind, message);
  }
  /** A part that is missing without a sound order; told at the end, unless what is found there explains it. */
  suspect(seq, kind, message) {
    this.unlawful.push(new Violation(seq, kind, message));
  }
  /** r: {seq, envelope, e, leaf, stored, sealed, place}; `e` undefined where the envelope is gone. */
  push(r) {
    if (this.outline !== undefined) {
      if (this.outline.length < OUTLINE_MAX)
        this.outline.push({
          seq: r.seq,
          log: r.e?.log ?? this.id,
          prev: r.e?.prev,
          leaf: r.leaf,
          isOrder: parseOrder(r.e) !== undefined,
        });
      return;
    }
    const isOrder = parseOrder(r.e) !== undefined;
    if (r.stored !== undefined && r.leaf !== r.stored)
      this.bad(r.seq, isOrder ? "fake-tombstone" : "edit", "its bytes do not hash to its leaf");
    if (!this.loose && (r.seq !== this.seq + 1 || (r.e && r.e.log !== this.id)))
      return this.doubt(r);
    if (this.loose && r.seq <= this.seq)
      this.bad(r.seq, r.seq === this.seq ? "replay" : "reorder", `it follows record ${this.seq}`);
    if (this.loose && r.e && r.e.log !== this.id)
      this.bad(r.seq, "splice", `it is of the log ${r.e.log}`);
    if (r.e && !this.loose) this.checkContent(r);
    if (!this.loose && r.e && r.e.prev !== this.leaf) return this.doubt(r);
    if (r.e?.event === "lifecycle.started" && !this.loose) this.checkAdopted(r.seq, r.e.facts);
    if (r.place !== undefined && r.place !== r.seq)
      this.bad(r.place, "reorder", `its place holds record ${r.seq}`);
    this.checkParts(r);
    if (isOrder) this.seen.add(r.leaf);
    this.last = { isOrder };
    this.seq = r.seq;
    this.leaf = r.leaf;
    if (this.start.seq === 0 || this.whole) this.grow(Buffer.from(r.leaf, "hex"));
  }
  doubt(r) {
    this.outline = [];
    this.push(r);
  }
  checkContent({ seq, e }) {
    const { event, facts, time } = e;
    const problem =
      event === "lifecycle.started"
        ? this.keys.start(facts)
        : event === "keys.rotated" && facts.purpose === "node"
          ? this.keys.handOver(facts)
          : undefined;
    if (problem) this.bad(seq, ...problem);
    const began =
      event === "call.outcome" && typeof facts.intent === "number"
        ? (this.intents.get(facts.intent) ??
          (facts.intent <= this.start.seq ? -Infinity : undefined))
        : undefined;
    if (event !== "clock.jump" && time < Math.min(this.latest - TOLERANCE_MS, began ?? Infinity))
      this.bad(seq, "back-dated", `its time ${time} lies before the records it follows`);
    if (event === "call.intent") this.intents.set(seq, time);
    if (event === "call.outcome") this.intents.delete(facts.intent);
    if (this.intents.size > 100_000) this.intents.delete(this.intents.keys().next().value);
    this.latest = event === "clock.jump" ? time : Math.max(this.latest, time);
  }
  checkAdopted(seq, { treeSize, treeRoot }) {
    if (treeRoot === undefined) return;
    const root = this.roots.get(treeSize) ?? (treeSize === 0 ? sha256("") : undefined);
    if (treeSize >= seq)
      this.bad(seq, "key-history", `it adopts ${treeSize} records, more than stand before it`);
    if (root && root.toString("hex") !== treeRoot)
      this.bad(...this.departed(treeSize, "the tree that the boot key was certified for"));
  }
  /** What is missing must have been ordered away. */
  checkParts({ seq, e, leaf, sealed }) {
    for (; this.ranges[this.nextRange]?.from <= seq; this.nextRange += 1)
      this.active.push(this.ranges[this.nextRange]);
    const naming = this.active
      .filter(({ from, to }) => from <= seq && seq <= to)
      .map(({ order }) => order);
    for (const order of naming) order.leaves.push(leaf);
    let verdict = "ok-sealed";
    if (e && sealed === '{"v":1}') {
      if (e.commitment !== NOTHING)
        this.bad(seq, "edit", "its sealed part was replaced by an empty one");
      verdict = "ok";
    } else if (!e || (!sealed && !this.hidden)) {
      const ofKind = (wanted) => naming.find(({ kind }) => kind === wanted);
      // What was ordered away whole may be gone in its sealed part alone.
      const order = (e && ofKind("erased")) ?? ofKind("deleted");
      verdict = e ? "ok-shredded" : "ok-pruned";
      if (order === undefined) this.suspect(seq, ...this.unordered(seq));
      else this.count(seq, verdict, order.by);
      order?.missing.push(seq);
    }
    if (verdict === "ok" || verdict === "ok-sealed") this.count(seq, verdict);
    const done = this.active.filter(({ to }) => to <= seq);
    if (done.length === 0) return;
    this.active = this.active.filter(({ to }) => to > seq);
    for (const { order } of done) if (order.ranges.at(-1)[1] <= seq) this.checkDigest(order);
  }
  unordered(seq) {
    const said = this.refused.find(({ ranges }) =>
      ranges.some(([from, to]) => from <= seq && seq <= to),
    );
    if (said)
      return ["fake-tombstone", `the order ${said.by} that names it is not one that was signed`];
    return ["removed-tombstone", "it is missing, and no order covers it"];
  }
  checkDigest(order) {
    if (order.missing.length === 0 || this.loose) return;
    const digest = sha256(order.leaves.sort().join("\n")).toString("hex");
    if (digest !== order.digest)
      this.suspect(
        order.missing[0],
        "fake-tombstone",
        `the order ${order.by} that names it does not commit to it`,
      );
  }
  count(seq, verdict, by) {
    this.counts[verdict] += 1;
    this.report?.({ log: this.id, seq, verdict, ...(by === undefined ? {} : { by }) });
  }

  /** The end of the records: the tree must be the one that was signed. */
  finish() {
    if (this.outline !== undefined) this.bad(...this.diagnose());
    const own = this.checkpoints.map((text) => this.readCheckpoint(text));
    const known = this.known
      .map((text) => this.readCheckpoint(text))
      .filter((one) => one !== undefined);
    const ownSize = Math.max(0, ...own.map(({ size }) => size));
    if (own.length + known.length === 0 && !this.unsigned)
      this.bad(this.seq, "checkpoint", "there is no signed checkpoint");
    if (this.loose) return this.summary(this.proved ?? 0);
    for (const { size } of [...own, ...known]) {
      if (size <= this.seq) continue;
      if (size > ownSize && ownSize > 0)
        this.bad(
          this.seq + 1,
          "replay",
          `the log and its checkpoint are older than a checkpoint of ${size} records`,
        );
      this.bad(this.seq + 1, "cut", `it is missing, and a checkpoint covers ${size} records`);
    }
    let covered = 0;
    for (const { size, root } of [...own, ...known].sort((a, b) => a.size - b.size)) {
      const ours = size === 0 ? sha256("") : this.roots.get(size);
      if (ours && !ours.equals(root))
        this.bad(...this.departed(size, `the checkpoint of ${size} records`, covered));
      if (ours) covered = size;
    }
    if (this.tree.wrong)
      this.bad(
        this.tree.wrong.seq,
        "tiles",
        `the tile ${this.tree.wrong.path} is not of this tree`,
      );
    if (this.tree.unseen > 0 && this.tree.size > 0)
      this.bad(this.seq + 1, "cut", "the tiles hold records that are missing");
    return this.summary(covered);
  }
  readCheckpoint(text) {
    const checkpoint = parseCheckpoint(text);
    if (!checkpoint) this.bad(this.seq, "checkpoint", "the checkpoint cannot be read");
    if (checkpoint.origin !== this.origin)
      this.bad(this.seq, "checkpoint", `the checkpoint is of ${checkpoint.origin}`);
    if (!this.keys.pinned) return checkpoint;
    const found = checkNote(checkpoint.note, this.keys.all());
    if (found === "wrong")
      this.bad(
        Math.min(checkpoint.size, this.seq),
        "checkpoint",
        "the checkpoint is not what its key signed",
      );
    if (found === "unknown")
      this.bad(
        Math.min(checkpoint.size, this.seq),
        "foreign-key",
        "the checkpoint is signed by no key of this node",
      );
    return checkpoint;
  }
  summary(covered) {
    if (this.unlawful.length > 0) throw this.unlawful.sort((a, b) => a.seq - b.seq)[0];
    return () => this.account(covered);
  }
  /** Once all logs were read: an order counts only where it stands in one of them. */
  account(covered) {
    const order = this.loose
      ? undefined
      : this.orders.find(({ missing, leaf }) => missing.length > 0 && !this.seen.has(leaf));
    if (order)
      this.bad(
        order.missing[0],
        "fake-tombstone",
        `the order ${order.by} that names it does not stand in the log`,
      );
    return {
      log: this.id,
      records: Object.values(this.counts).reduce((sum, count) => sum + count),
      lastSeq: this.seq,
      lastLeaf: this.leaf,
      covered,
      counts: this.counts,
    };
  }

  // -- telling what happened

  /** The leaves of the tree that was signed, by the tiles, if these lead to a checkpoint's root. */
  truth() {
    const signed = [...this.checkpoints, ...this.known].map(parseCheckpoint).filter((one) => one);
    const tree = new Tree(new Map());
    const leaves = [];
    let sound = 0;
    for (const leaf of tileLeaves(this.tiles)) {
      tree.append(leaf);
      leaves.push(leaf.toString("hex"));
      if (signed.some(({ size, root }) => size === tree.size && root.equals(tree.root())))
        sound = tree.size;
    }
    return leaves.slice(0, sound);
  }
  /** Whether the signed tree is that of these records with another leaf in one place; true where there is none. */
  isSigned(seq, leaf) {
    const signed = [...this.checkpoints, ...this.known]
      .map(parseCheckpoint)
      .filter((one) => one?.size >= seq);
    const tree = new Tree(new Map());
    const sizes = new Map(signed.map(({ size, root }) => [size, root]));
    for (const before of this.start.seq > 0 ? tileLeaves(this.tiles) : [])
      if (tree.size < this.start.seq) tree.append(before);
    for (const r of this.reread()) {
      tree.append(Buffer.from(r.seq === seq ? leaf : r.leaf, "hex"));
      if (sizes.get(tree.size)?.equals(tree.root())) return true;
    }
    return signed.length === 0;
  }
  departed(size, what, after = 0) {
    const truth = this.truth();
    let seq = 0;
    for (const r of truth.length > 0 ? this.reread() : [])
      if (seq === 0 && r.leaf !== truth[r.seq - 1] && r.seq <= truth.length) seq = r.seq;
    if (seq === 0 && truth.length > 0 && truth.length >= size && this.tree.wrong)
      return [this.tree.wrong.seq, "tiles", "the tiles are not of this tree"];
    return [seq || after + 1, "fork", `from here to ${size} the records are not those of ${what}`];
  }
  /** The kind of tampering where a record does not follow the one before it. */
  diagnose() {
    const p = this.seq + 1;
    const [first, second] = this.outline;
    const edited = (seq, isOrder) => [
      seq,
      isOrder ? "fake-tombstone" : "edit",
      "it was changed after it was recorded",
    ];
    if (first.log !== this.id) return [p, "splice", `it is of the log ${first.log}`];
    if (first.seq === p) {
      if (second?.prev !== first.leaf || this.seq === this.start.seq) return edited(p);
      return this.isSigned(p - 1, first.prev)
        ? edited(p - 1, this.last?.isOrder)
        : [p, "splice", "it goes on from another record than the one before it"];
    }
    const foreign = this.outline.find(({ log }) => log !== this.id);
    if (first.seq < p) return this.diagnoseRepeat(p, first);
    if (foreign) return [p, "splice", `records of the log ${foreign.log} follow in its place`];
    const seqs = this.outline.map(({ seq }) => seq);
    if (!seqs.some((seq) => seq >= p && seq < first.seq))
      return [p, "delete", `it is missing; the next one is ${first.seq}`];
    const moved = seqs.filter((seq, index) => seq !== p + index);
    return moved.length === 2
      ? [p, "swap", `it changed places with record ${first.seq}`]
      : [p, "reorder", `record ${first.seq} stands in its place`];
  }
  /** A number that was there already: the same record again, a second one beside it, or a second history. */
  diagnoseRepeat(p, first) {
    let accepted;
    for (const r of this.reread())
      if (r.seq === first.seq) {
        accepted = r;
        break;
      }
    if (accepted?.leaf === first.leaf)
      return [p, "replay", `record ${first.seq} stands here again`];
    if (first.seq < p - 1 && this.outline.length > 1)
      return [first.seq, "fork", "two histories go on from here"];
    return [
      first.seq,
      parseOrder(accepted?.e) || first.isOrder ? "fake-tombstone" : "insert",
      "two records claim this number",
    ];
  }
}

// ---- where records come from --------------------------------------------------------------------------------------

function toRecord(envelope, sealed, stored, place, leaf) {
  const e = envelope === null ? undefined : parseEnvelope(envelope);
  if (envelope !== null && e === undefined)
    return { seq: place, problem: ["edit", "its envelope cannot be read"] };
  return {
    seq: e?.seq ?? place,
    e,
    leaf: leaf ?? (e ? leafOf(envelope) : stored),
    stored,
    sealed: sealed || undefined,
    place,
  };
}

/** The frames of a segment: {header}, {record} or {damage}; stops where nothing more was written. */
function* readFrames(bytes) {
  const frameAt = (at) => {
    if (bytes.length - at < 13) return undefined;
    const length = bytes.readUInt32LE(at);
    const end = at + 8 + length;
    const split = at + 13 + bytes.readUInt32LE(at + 8);
    if (
      length < 5 ||
      end > bytes.length ||
      split > end ||
      crc32(bytes.subarray(at + 8, end)) !== bytes.readUInt32LE(at + 4)
    )
      return undefined;
    return {
      kind: bytes[at + 12],
      first: bytes.subarray(at + 13, split),
      hashed: bytes.subarray(at + 12, split),
      second: bytes.subarray(split, end),
      end,
    };
  };
  /** All of the frame is there, with no run of zeros in it that was never filled. */
  const isWhole = (at) => {
    const end = bytes.length - at < 8 ? Infinity : at + 8 + bytes.readUInt32LE(at);
    return end <= bytes.length && !bytes.subarray(at, end + 8).includes(Buffer.alloc(8));
  };
  for (let at = 0; at < bytes.length; ) {
    const frame = frameAt(at);
    if (frame === undefined) {
      let next = bytes.indexOf('{"v":', at + 14);
      while (next !== -1 && frameAt(next - 13) === undefined)
        next = bytes.indexOf('{"v":', next + 1);
      if (next === -1 && !isWhole(at)) return;
      yield { damage: true };
      if (next === -1) return;
      at = next - 13;
      continue;
    }
    if (frame.kind === 0x80) yield { header: JSON.parse(frame.first) };
    else if (frame.kind === 0)
      yield {
        record: toRecord(
          frame.first.toString(),
          frame.second.toString(),
          undefined,
          undefined,
          hashOnce("sha256", frame.hashed),
        ),
      };
    else if (frame.kind !== 0x81) yield { damage: true };
    at = frame.end;
  }
}

function listSegments(dir) {
  const names = readdirSync(dir)
    .filter((name) => /^\d{16}\.seg$/.test(name))
    .sort();
  return names.map((name, index) => ({
    path: join(dir, name),
    first: Number(name.slice(0, 16)),
    next: Number(names[index + 1]?.slice(0, 16) ?? Infinity),
  }));
}

/** What follows in a segment after the last record before its successor's first was never acknowledged. */
function* readSegment({ path, next }) {
  let seq = 0;
  for (const frame of readFrames(readFileSync(path))) {
    if (seq === next - 1 && !(frame.record?.seq < next)) continue;
    if (frame.record) seq = frame.record.seq;
    yield frame;
  }
}

function verifySpool(dir, options) {
  const segments = listSegments(dir);
  if (segments.length === 0) throw new Error(`there is no segment in ${dir}`);
  const evidence = options.evidence ?? join(dir, "..", "evidence");
  const opening = readSegment(segments[0]).next().value?.header;
  if (opening === undefined)
    throw new Violation(segments[0].first, "damage", "its segment has no sound header");
  const landmarks = [];
  for (const { path } of segments) {
    const bytes = readFileSync(path);
    for (const event of LANDMARKS) {
      for (
        let at = bytes.indexOf(`"event":"${event}"`);
        at !== -1;
        at = bytes.indexOf(`"event":"${event}"`, at + 1)
      ) {
        const start = bytes.lastIndexOf('{"v":2,"log":', at);
        const e =
          start < 13
            ? undefined
            : parseEnvelope(bytes.toString("utf8", start, start + bytes.readUInt32LE(start - 5)));
        if (e !== undefined) landmarks.push({ e, leaf: leafOf(JSON.stringify(e)) });
      }
    }
  }
  const checkpoint = join(evidence, "checkpoint");
  const certificates = join(evidence, "certificates");
  const log = new Log(opening.log, {
    ...options,
    seen: new Set(),
    start: { seq: opening.firstSeq - 1, leaf: opening.prev },
    checkpoints: existsSync(checkpoint) ? [readFileSync(checkpoint, "utf8")] : [],
    tiles: listTiles(join(evidence, "tile")),
    landmarks,
    *reread() {
      for (const segment of segments)
        for (const { record } of readSegment(segment)) if (record?.e) yield record;
    },
  });
  for (const name of existsSync(certificates) ? readdirSync(certificates) : [])
    log.keys.certificates.push(readFileSync(join(certificates, name), "utf8"));
  let misnamed = false;
  for (const segment of segments) {
    let isFirst = true;
    for (const { header, record, damage } of readSegment(segment)) {
      if (isFirst && !header && log.outline === undefined) {
        log.bad(segment.first, "damage", "its segment has no sound header");
      }
      isFirst = false;
      if (log.outline === undefined) {
        if (header && header.log !== log.id)
          log.bad(segment.first, "splice", `its segment is of the log ${header.log}`);
        if (header && header.firstSeq !== segment.first)
          log.bad(segment.first, "edit", "its segment's header names another record");
        if (header?.firstSeq === log.seq + 1 && header.prev !== log.leaf) misnamed = true;
        if (damage && log.seq + 1 < segment.next)
          log.bad(log.seq + 1, "damage", "its bytes are damaged");
        if (record?.problem) log.bad(log.seq + 1, ...record.problem);
      }
      if (record && !record.problem) log.push(record);
      if (record && misnamed && log.outline === undefined)
        log.bad(log.seq, "edit", "its segment's header names another record before it");
    }
  }
  return [log.finish()()];
}

function* readLines(path, hash) {
  const fd = openSync(path, "r");
  const chunk = Buffer.alloc(1 << 20);
  let rest = Buffer.alloc(0);
  try {
    for (let count = readSync(fd, chunk); count > 0; count = readSync(fd, chunk)) {
      const bytes = Buffer.concat([rest, chunk.subarray(0, count)]);
      let from = 0;
      for (let to = bytes.indexOf(10); to !== -1; to = bytes.indexOf(10, from)) {
        const line = bytes.toString("utf8", from, to);
        yield JSON.parse(line);
        if (!line.startsWith('{"kind":"manifest"')) hash?.update(bytes.subarray(from, to + 1));
        from = to + 1;
      }
      rest = bytes.subarray(from);
    }
    if (rest.length > 0) throw new SyntaxError("its last line has no end");
  } finally {
    closeSync(fd);
  }
}

function verifyExport(path, options) {
  const head = { orders: [], checkpoints: new Map(), certificates: [], first: new Map() };
  for (const line of readLines(path)) {
    if (line.kind === "export") head.export = line;
    else if (line.kind === "checkpoint")
      head.checkpoints.set(line.log, [...(head.checkpoints.get(line.log) ?? []), line.note]);
    else if (line.kind === "certificate") head.certificates.push(line.note);
    else if (line.kind === "support")
      head.orders.push({ ...line, e: parseEnvelope(line.envelope) });
    else if (line.kind === "record") {
      if (!head.first.has(line.log)) head.first.set(line.log, line);
      const event = LANDMARKS.some((one) => line.envelope?.includes(`"event":"${one}"`));
      if (event) head.orders.push({ ...line, e: parseEnvelope(line.envelope) });
    }
  }
  if (head.export?.v !== 1) throw new Error(`${path} is no export of version 1`);
  const isLoose = !head.export.contiguous;
  const prove = (checkpoints, { seq, leaf, proof }) => {
    const [size, root] =
      checkpoints.map(parseCheckpoint).map((one) => [one?.size, one?.root])[0] ?? [];
    return (
      proof &&
      root &&
      rootOf(
        seq - 1,
        size,
        Buffer.from(leaf, "hex"),
        proof.map((text) => Buffer.from(text, "base64")),
      )?.equals(root)
    );
  };
  const logs = new Map();
  const seen = new Set();
  const logOf = (line) => {
    const checkpoints = head.checkpoints.get(line.log) ?? [];
    const landmarks = head.orders
      .filter(
        (one) =>
          one.e &&
          (!isLoose ||
            prove(head.checkpoints.get(one.log) ?? [], { ...one, leaf: leafOf(one.envelope) })),
      )
      .map((one) => ({ e: one.e, leaf: leafOf(one.envelope) }));
    const log = new Log(line.log, {
      ...options,
      seen,
      loose: isLoose,
      hidden: head.export.hidden,
      start: { seq: 0, leaf: GENESIS },
      checkpoints,
      landmarks,
      *reread() {
        for (const one of readLines(path))
          if (one.kind === "record" && one.log === line.log)
            yield toRecord(one.envelope, one.sealed, one.leaf, one.seq);
      },
    });
    log.keys.certificates = head.certificates;
    for (const { e } of head.orders)
      if (isLoose && e?.log === line.log && e.event === "keys.rotated") log.keys.handOver(e.facts);
    return log;
  };
  const hash = createHash("sha256");
  let count = 0;
  let manifest;
  for (const line of readLines(path, hash)) {
    if (line.kind === "manifest") manifest = line;
    if (line.kind !== "record") continue;
    count += 1;
    if (!logs.has(line.log)) logs.set(line.log, logOf(line));
    const log = logs.get(line.log);
    const record = toRecord(line.envelope, line.sealed, line.leaf, line.seq);
    if (log.outline === undefined && record.problem) log.bad(line.seq, ...record.problem);
    log.push(record);
    if (log.outline !== undefined) continue;
    if (line.proof && !prove(log.checkpoints, { ...record, proof: line.proof }))
      log.bad(record.seq, "edit", "its proof does not lead to the signed root");
    if (line.proof) log.proved = (log.proved ?? 0) + 1;
    else if (isLoose && !options.unsigned) log.bad(record.seq, "checkpoint", "it has no proof");
  }
  const summaries = [...logs.values()].map((log) => log.finish()).map((account) => account());
  if (manifest === undefined)
    throw new Violation(count, "cut", "the export ends before its manifest");
  if (manifest.count !== count)
    throw new Violation(count, "delete", `the export holds ${count} records of ${manifest.count}`);
  if (manifest.sha256 !== hash.digest("hex"))
    throw new Violation(count, "damage", "the export is not what its manifest says");
  return summaries;
}

/** A receipt ({log, seq, leaf}) and the proof that its record is in the signed log. */
function verifyReceipt(receipt, text, { pinned }) {
  const { log, seq, leaf } = receipt;
  const split = text.indexOf("\n\n");
  const lines = text.slice(0, Math.max(split, 0)).split("\n");
  const extra = lines[1]?.startsWith("extra ") ? lines.splice(1, 1)[0].slice(6) : "";
  const checkpoint = parseCheckpoint(text.slice(split + 2));
  const hashes = lines.slice(2).map(fromBase64);
  if (lines[0] !== "c2sp.org/tlog-proof@v1" || !checkpoint || hashes.includes(undefined))
    throw new Violation(seq, "checkpoint", "the proof cannot be read");
  const keys = new KeyRing(`mcp-gateway/${log}`, pinned);
  keys.certificates.push(Buffer.from(extra, "base64").toString());
  const found = checkNote(checkpoint.note, keys.all());
  if (checkpoint.origin !== keys.origin || lines[1] !== `index ${seq - 1}`)
    throw new Violation(seq, "splice", "the proof is of another record");
  if (found === "wrong")
    throw new Violation(seq, "checkpoint", "the checkpoint is not what its key signed");
  if (found === "unknown")
    throw new Violation(seq, "foreign-key", "the checkpoint is signed by no key of this node");
  const root = rootOf(seq - 1, checkpoint.size, Buffer.from(leaf, "hex"), hashes);
  if (!root?.equals(checkpoint.root))
    throw new Violation(seq, "edit", "the proof does not lead from this leaf to the signed root");
  return [
    { log, records: 1, lastSeq: seq, lastLeaf: leaf, covered: checkpoint.size, counts: { ok: 1 } },
  ];
}

/** One field opened (`name`, `value`, `random`) and the commitments of the others, against an envelope's commitment. */
function verifyOpening({ envelope, commitment, leaf, name, value, random, others }) {
  const e = envelope === undefined ? undefined : parseEnvelope(envelope);
  const hmac = createHmac("sha256", Buffer.from(random, "hex"))
    .update(`${name}\0${JSON.stringify(value)}`)
    .digest();
  const all = [
    ...others.map(([other, hex]) => [other, Buffer.from(hex, "hex")]),
    [name, hmac],
  ].sort(([a], [b]) => (a < b ? -1 : 1));
  const whole = createHash("sha256");
  for (const [one, bytes] of all) whole.update(`${one}\0`).update(bytes);
  if (leaf !== undefined && leafOf(envelope) !== leaf)
    throw new Violation(e?.seq ?? 0, "edit", "its bytes do not hash to its leaf");
  if (whole.digest("hex") !== (e?.commitment ?? commitment))
    throw new Violation(e?.seq ?? 0, "edit", `${name} is not what was committed to`);
  return [{ log: e?.log, records: 1, lastSeq: e?.seq, covered: 0, counts: { ok: 1 } }];
}

// ---- the command --------------------------------------------------------------------------------------------------

export function run(argv, write = console.log) {
  const text = { type: "string" };
  const many = { type: "string", multiple: true, default: [] };
  const flag = { type: "boolean", default: false };
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      key: many,
      checkpoint: many,
      evidence: text,
      export: text,
      receipt: text,
      proof: text,
      opening: text,
      unsigned: flag,
      records: flag,
      json: flag,
    },
  });
  const print = (value, line) => write(values.json ? JSON.stringify(value) : line);
  const read = (path) => readFileSync(path, "utf8");
  try {
    const pinned = values.key.map(parseKey);
    if (pinned.includes(undefined))
      throw new Error(
        "--key must be <name>+<8 hex digits>+<base64>, as `mcp-gateway audit key` prints it",
      );
    if (pinned.length === 0 && !values.unsigned && !values.opening)
      throw new Error("--key is needed (or --unsigned, to check the chain alone)");
    const report = values.records
      ? (one) => print(one, `${one.log} ${one.seq} ${one.verdict}${one.by ? `(by ${one.by})` : ""}`)
      : undefined;
    const options = {
      pinned,
      known: values.checkpoint.map(read),
      evidence: values.evidence,
      unsigned: values.unsigned,
      report,
    };
    let logs;
    if (values.opening) logs = verifyOpening(JSON.parse(read(values.opening)));
    else if (values.receipt && values.proof)
      logs = verifyReceipt(JSON.parse(read(values.receipt)), read(values.proof), options);
    else if (values.export) logs = verifyExport(values.export, options);
    else if (positionals.length === 1) logs = verifySpool(positionals[0], options);
    else
      throw new Error(
        "give a spool directory, --export FILE, --receipt and --proof, or --opening FILE",
      );
    const counted = (one) =>
      Object.entries(one.counts)
        .filter(([, n]) => n > 0)
        .map(([verdict, n]) => `${n} ${verdict}`)
        .join(", ");
    print(
      { ok: true, logs },
      logs
        .map(
          (one) =>
            `${one.log}: ${one.records} records to ${one.lastSeq}, ${one.covered} under a signed checkpoint: ${counted(one)}`,
        )
        .join("\n"),
    );
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
