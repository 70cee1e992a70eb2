#!/usr/bin/env node
/**
 * Verifies an audit log of MCP Gateway without trusting it or its code: plain JavaScript for Node
 * 20.15, no dependency, nothing of the gateway's. docs/audit.md says what the bytes mean.
 *   verify-audit.mjs --key VKEY <data>/spool [--evidence <data>/evidence]   a spool and its tree
 *   verify-audit.mjs --key VKEY --export FILE                    an export as JSON lines
 *   verify-audit.mjs --key VKEY --receipt FILE --proof FILE      a receipt and its proof
 *   verify-audit.mjs --opening FILE                              the opening proof of one field
 * --key: of each node. --checkpoint FILE: one kept elsewhere, which the log must contain.
 * --unsigned: also without keys and checkpoints. --records: each record's verdict. --json.
 * Exit: 0 sound, 1 violation, 2 not checked, 3 not yet witnessed: look again, or --wait SECONDS.
 */
import { createHash, createHmac, createPublicKey, hash, verify } from "node:crypto";
import fs from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { crc32 } from "node:zlib";

const readText = (path) => fs.readFileSync(path, "utf8");
const readTile = (path) => (fs.existsSync(path) ? fs.readFileSync(path, "hex") : undefined);
const sha256 = (bytes) => hash("sha256", bytes);
const [GENESIS, NOTHING] = [{ seq: 0, leaf: "0".repeat(64) }, sha256("")];
const ENVELOPE = new RegExp(
  '^\\{"v":2,"log":"([^"\\\\]+)","seq":(\\d{1,15}),"prev":"([0-9a-f]{64})","time":(\\d{1,15})' +
    ',"event":"([^"\\\\]+)","class":"[^"]+","facts":(\\{.*\\}),"commitment":"([0-9a-f]{64})"\\}$',
);
const [BOOT_KEY, NODE_KEY] = ["mcp-gateway boot key v1", "mcp-gateway node key v1"];
const TILES = /^tile\/(\d+)\/((?:x\d{3}\/)*\d{3})(?:\.p\/(\d{1,3}))?$/gm;
const NOTES = /^(checkpoint|certificate)(?:s\/[^/\n]+)?$/gm;
const [UNSEALED, RECORD, HEADER, ZEROS] = ['{"v":1}', 0, 0x80, Buffer.alloc(8)];
const [TOLERANCE_MS, INTENTS_MAX, REST_MAX] = [300_000, 100_000, 1_000_000];
const ORDERS = { __proto__: null, "retention.executed": "deleted", "erasure.executed": "erased" };
const [WAITING, VERDICTS] = ["not-yet-witnessed", { deleted: "ok-pruned", erased: "ok-shredded" }];
/** What may be the reason that a part is missing without an order that commits to it. */
const LOST = ["cut", "replay", "splice", "foreign-key", "key-history"];
const EXPLAINS = { "removed-tombstone": LOST, "fake-tombstone": [...LOST, "fork"] };

/** Throws a violation unless `isSo`: which record, what kind, and why. */
function need(isSo, seq, kind, why) {
  if (!isSo) throw Object.assign(new Error(`record ${seq}: ${why}`), { seq, kind });
}
function findIn(check) {
  try {
    check();
  } catch (error) {
    return error;
  }
}
function fromBase64(text) {
  const bytes = Buffer.from(String(text), "base64");
  return bytes.toString("base64") === text ? bytes : undefined;
}

function parseKey(text) {
  const [, name, id, encoded] = /^([^+\s]+)\+([0-9a-f]{8})\+(\S+)$/.exec(text) ?? [];
  const bytes = fromBase64(encoded);
  if (bytes?.length !== 33 || bytes[0] !== 1) return undefined;
  const isNamed = sha256(Buffer.concat([Buffer.from(`${name}\n`), bytes])).startsWith(id);
  const jwk = { kty: "OKP", crv: "Ed25519", x: bytes.toString("base64url", 1) };
  const key = createPublicKey({ key: jwk, format: "jwk" });
  const signed = (said, bytes) => bytes?.length > 0 && verify(null, Buffer.from(said), key, bytes);
  return isNamed ? { text, name, id, signed } : undefined;
}

/** A signed note; if it is a checkpoint, with the `size` and `root` of its tree. */
function parseNote(note) {
  const [, text = "", marks = ""] = /^([^\r]*)\n\n((?:— \S+ \S+\n)+)$/.exec(note) ?? [];
  const signatures = Array.from(marks.matchAll(/— (\S+) (\S+)/g), ([, name, encoded]) => {
    const bytes = fromBase64(encoded);
    return { name, id: bytes?.toString("hex", 0, 4), bytes: bytes?.subarray(4) };
  });
  const needSigned = (keys, seq) => {
    const keyOf = (one) => keys.find(({ name, id }) => name === one.name && id === one.id);
    const is = signatures.map((one) => keyOf(one)?.signed(`${text}\n`, one.bytes));
    need(!is.includes(false), seq, "checkpoint", "its checkpoint was changed");
    need(is.includes(true), seq, "foreign-key", "the checkpoint is signed by no key of this node");
  };
  const lines = signatures.every(({ bytes }) => bytes?.length > 0) ? text.split("\n") : [];
  const [size, root] = [lines[1], fromBase64(lines[2])];
  const isTree = root?.length === 32 && /^(0|[1-9]\d{0,15})$/.test(size) && !lines.includes("");
  return { lines, needSigned, size: isTree ? +size : 0, root: isTree && root.toString("hex") };
}

const leftOf = (size) => 2 ** Math.floor(Math.log2(size - 1));
const sizeOf = (notes) => Math.max(0, ...notes.map(({ size }) => size));
const hashNode = (left, right) => sha256(Buffer.from(`01${left}${right}`, "hex"));

/** The RFC 6962 tree over `leaves`, which may grow: the root of `size` leaves after `from`. */
function treeOf(leaves) {
  const known = new Map();
  return function rootOf(size, from = 0) {
    if (size < 2) return size === 0 ? NOTHING : leaves[from];
    const [left, at] = [leftOf(size), size % 256 === 0 && `${from}/${size}`];
    const node = known.get(at) ?? hashNode(rootOf(left, from), rootOf(size - left, from + left));
    if (at) known.set(at, node);
    return node;
  };
}

/** Whether a proof leads from a record's leaf to a checkpoint's root, with no hash left over. */
function isIncluded(checkpoint, seq, leaf, proof) {
  const hashes = proof.map((text) => fromBase64(text)?.toString("hex"));
  const climb = (at, size, left = leftOf(size), sibling = size > 1 && hashes.pop()) => {
    if (size === 1) return leaf;
    if (at < left) return hashNode(climb(at, left), sibling);
    return hashNode(sibling, climb(at - left, size - left));
  };
  const isSound = hashes.every((one) => one?.length === 64) && seq > 0 && seq <= checkpoint?.size;
  return isSound && climb(seq - 1, checkpoint.size) === checkpoint.root && hashes.length === 0;
}

/** Part of a tile may be gone when it is read: a running gateway replaces it by more of it. */
function toTiles(root, names) {
  return Array.from(names.join("\n").matchAll(TILES), ([name, ...found]) => {
    const [level, index, width] = found.map((text = "256") => +text.replace(/\D/g, ""));
    return { path: join(root, name), level, index, width };
  }).sort((a, b) => a.level - b.level || a.index - b.index || a.width - b.width);
}

function leavesOfTiles(tiles, count = Infinity) {
  const leaves = [];
  for (const { path, level, index } of tiles)
    if (level === 0 && index * 256 <= Math.min(leaves.length, count - 1))
      leaves.splice(index * 256, 256, ...(readTile(path)?.match(/.{1,64}/g) ?? []));
  return leaves.slice(0, count);
}

/** What a record says: `e` is its envelope; `place` and `stored` were kept beside it. */
function toRecord(read) {
  const { seq: place, leaf: stored, envelope, sealed, hashed } = read;
  const [, log, seq, prev, time, event, facts, commitment] = ENVELOPE.exec(envelope) ?? [];
  try {
    const e = { log, seq: +seq, prev, time: +time, event, facts: JSON.parse(facts), commitment };
    const leaf = hashed ?? sha256(`\0${envelope}`);
    const [missing, order] = [sealed ? undefined : "erased", ORDERS[event]];
    return Object.assign(read, { e, seq: e.seq, leaf, place, stored, missing, order });
  } catch {
    return Object.assign(read, { place, stored, missing: "deleted" });
  }
}

/** Checks one log. Records that are not contiguous are single ones with a proof each. */
function createLog(id, heads, { pinned, known, unsigned, report }) {
  const [{ contiguous, start = GENESIS, tiles = [] }] = heads;
  const origin = `mcp-gateway/${id}`;
  const notesOf = (of, what) => heads.filter(({ kind, log }) => kind === what && log === of);
  const [own, certificates] = [notesOf(id, "checkpoint"), notesOf(id, "certificate")];
  const signed = [...own, ...known.map(parseNote)];
  const leaves = leavesOfTiles(tiles, start.seq);
  const isWhole = contiguous && leaves.length === start.seq;
  const isContinued = !isWhole || (leaves.at(-1) ?? GENESIS.leaf) === start.leaf;
  const rootOf = treeOf(leaves);
  const counts = { ok: 0, "ok-sealed": 0, "ok-shredded": 0, "ok-pruned": 0 };
  const [statements, rest, intents, missing] = [[], [], new Map(), new Map()];
  let [last, latest, covered, keys, found, undecided] = [start, -Infinity, 0, []];
  /** After a violation records are only remembered, for what they tell of it. */
  function take(record, orders) {
    const { kind, seq, e, leaf, order, proof } = record;
    const isProved = proof !== undefined && isIncluded(own[0], seq, leaf, proof);
    if (order && (contiguous || isProved)) orders.push(record);
    found ??= findIn(() => (kind === "record" ? check(record, isProved) : checkKeys(e)));
    if (found && leaf && kind === "record" && rest.length < REST_MAX)
      rest.push({ seq, log: e?.log ?? id, prev: e?.prev, leaf, order });
  }
  function check(one, isProved) {
    const { seq, e, leaf, place = seq, stored = leaf, order } = one;
    const [isForeign, isEmpty] = [e && e.log !== id, one.sealed === UNSEALED];
    const isStored = leaf === stored && (e || /^[0-9a-f]{64}$/.test(leaf));
    need(isContinued, start.seq + 1, "fork", "the tree holds another record before it");
    need(!one.damage, one.damage, "damage", "its bytes are damaged");
    need(e || one.envelope === null, seq ?? last.seq + 1, "edit", "its envelope cannot be read");
    need(isStored, seq, order ? "fake-tombstone" : "edit", "it does not hash to its leaf");
    need(!contiguous || (seq === last.seq + 1 && !isForeign), seq, "order");
    need(seq > last.seq, seq, seq < last.seq ? "reorder" : "replay", `it follows ${last.seq}`);
    need(!isForeign, seq, "splice", `it is of ${e?.log}`);
    if (contiguous && e) checkContent(e);
    need(seq === place, place, "reorder", `its place has record ${seq}`);
    need(!isEmpty || !e || e.commitment === NOTHING, seq, "edit", "its sealed part was emptied");
    need(!one.proof || isProved, seq, "edit", "its proof does not lead to the signed root");
    need(contiguous || one.proof || unsigned, seq, "checkpoint", "it has no proof");
    need(!one.remark, seq, "edit", one.remark);
    if (one.missing) missing.set(seq, one.missing);
    else count(seq, isEmpty ? "ok" : "ok-sealed");
    if (isWhole) leaves.push(leaf);
    if (!contiguous && isProved) covered += 1;
    last = { seq, leaf, order };
  }
  function count(seq, verdict, by) {
    counts[verdict] = (counts[verdict] ?? 0) + 1;
    report?.({ log: id, seq, verdict, by }, `${id} ${seq} ${verdict}${by ? `(by ${by})` : ""}`);
  }
  function checkContent({ seq, prev, time, event, facts: f }) {
    checkKeys({ seq, event, facts: f });
    const intent = event === "call.outcome" && typeof f.intent === "number" ? f.intent : NaN;
    const began = intents.get(intent) ?? (intent <= start.seq ? -Infinity : Infinity);
    if (event === "clock.jump") latest = -Infinity;
    const isLate = time < Math.min(latest - TOLERANCE_MS, began);
    need(!isLate, seq, "back-dated", `its time ${time} lies before the records it follows`);
    if (event === "call.intent") intents.set(seq, time);
    intents.delete(intent);
    if (intents.size > INTENTS_MAX) intents.delete(intents.keys().next().value);
    latest = Math.max(latest, time);
    need(prev === last.leaf, seq, "order");
    if (event !== "lifecycle.started" || f.treeRoot === undefined) return;
    need(f.treeSize < seq, seq, "key-history", `it adopts ${f.treeSize} records, not yet there`);
    need(!isWhole || rootOf(f.treeSize) === f.treeRoot, f.treeSize, "adopted");
  }
  /** Who may sign is known at the end; that they did sign is checked here. */
  function checkKeys({ seq, event, facts: f } = {}) {
    const isBoot = event === "lifecycle.started" && f.bootKey !== undefined;
    const isHandOver = event === "keys.rotated" && f.purpose === "node" && f.newKey !== undefined;
    if (!(isBoot || isHandOver) || pinned.length === 0) return;
    const facts = isBoot ? [f.bootKey, f.treeSize, f.treeRoot] : [f.oldKey, f.newKey];
    const said = [isBoot ? BOOT_KEY : NODE_KEY, origin, ...facts, ""].join("\n");
    const marks = (isBoot ? [f.bootSignature] : [f.oldSignature, f.newSignature]).map(fromBase64);
    const signers = (isBoot ? [f.nodeKey] : [f.oldKey, f.newKey]).map(parseKey);
    const key = parseKey(isBoot ? f.bootKey : f.newKey);
    const isSound = key?.name === origin && signers.every((by, at) => by?.signed(said, marks[at]));
    need(isSound, seq, "key-history", "it is not signed by the keys it names");
    statements.push({ seq, key, signers });
  }
  function finish(orders) {
    if (!contiguous && !found && last === start) return [];
    if (found?.kind === "order") found = findIn(diagnose);
    if (found?.kind === "adopted") found = findIn(() => locateFork(found.seq, 0));
    found = findIn(settleKeys) ?? found ?? findIn(checkSigned);
    const doubt = findIn(() => checkMissing(orders));
    if (doubt && !EXPLAINS[doubt.kind]?.includes(found?.kind)) found = doubt;
    if (found) throw found;
    const records = Object.values(counts).reduce((sum, count) => sum + count);
    return { log: id, records, lastSeq: last.seq, lastLeaf: last.leaf, covered, counts, undecided };
  }
  /** Who knows one key knows, by both signatures, which one it followed and which follows it. */
  function settleKeys() {
    const nodes = pinned.filter(({ name }) => name === origin);
    const knows = (key) => nodes.some(({ text }) => text === key.text);
    for (const { signers } of [...statements.toReversed(), ...statements])
      if (signers[1] && signers[0].name === origin && signers.some(knows)) nodes.push(...signers);
    for (const { seq, signers } of statements)
      need(knows(signers[0]), seq, "foreign-key", `${signers[0].text} is not this node's key`);
    keys = [...nodes, ...statements.map(({ key }) => key)];
    for (const { lines, needSigned } of certificates) {
      const key = lines[0] === BOOT_KEY && lines[1] === origin && parseKey(lines[2]);
      if (key && !findIn(() => needSigned(nodes))) keys.push(key);
    }
  }
  function checkSigned() {
    const [seq, next] = [last.seq, last.seq + 1];
    need(signed.length > 0 || unsigned, seq, "checkpoint", "there is no signed checkpoint");
    for (const one of signed) {
      need(one.root && one.lines[0] === origin, seq, "checkpoint", "it cannot be read");
      if (pinned.length > 0) one.needSigned(keys, Math.min(one.size, seq));
    }
    const later = contiguous && signed.find(({ size }) => size > seq)?.size;
    const kind = later > sizeOf(own) && sizeOf(own) > 0 ? "replay" : "cut";
    need(!later, next, kind, `it is missing, and a checkpoint covers ${later} records`);
    if (!isWhole) return;
    for (const { size, root } of signed.sort((a, b) => a.size - b.size)) {
      if (rootOf(size) !== root) locateFork(size, covered);
      covered = size;
    }
    for (const { path, level, index, width } of tiles) {
      const [span, first] = [256 ** level, index * 256 ** (level + 1)];
      need(first + width * span <= seq, next, "cut", "tiles hold what is missing");
      const nodes = Array.from({ length: width }, (_, at) => rootOf(span, first + at * span));
      const isOwn = [undefined, nodes.join("")].includes(readTile(path));
      need(isOwn, first + 1, "tiles", `the tile ${path} is not of this tree`);
    }
  }
  const signedIn = (all, rootOf = treeOf(all)) =>
    signed.filter(({ size, root }) => size <= all.length && rootOf(size) === root);
  /** The tiles tell which record departed from the signed tree, if they are still that tree's. */
  function locateFork(size, after) {
    const kept = leavesOfTiles(tiles);
    const all = [...leaves, ...rest.map(({ leaf }) => leaf)].slice(0, sizeOf(signedIn(kept)));
    const at = all.findIndex((leaf, place) => leaf !== kept[place]);
    need(false, (at < 0 ? after : at) + 1, "fork", `from here on it is not the tree of ${size}`);
  }
  /** What was done where a record does not follow the one before it, told from what comes after. */
  function diagnose() {
    const [[one, second], here] = [rest, last.seq + 1];
    const isForeign = ({ log }) => log !== id;
    const isSpliced = isForeign(one) || (one.seq > here && rest.some(isForeign));
    const isHere = one.seq === here;
    const isFollowed = second?.prev === one.leaf && last !== start;
    const others = [...leaves.slice(0, -1), one.prev, ...rest.map(({ leaf }) => leaf)];
    const isOther = sizeOf(signed) < last.seq || sizeOf(signedIn(others)) >= last.seq;
    const isGone = !rest.some(({ seq }) => seq >= here && seq < one.seq);
    const moved = rest.filter(({ seq }, at) => seq !== here + at).length === 2 ? "swap" : "reorder";
    const kindOf = (kind, ...all) => (all.some(({ order }) => order) ? "fake-tombstone" : kind);
    const findings = [
      [isSpliced, here, "splice", "a record of another log stands in its place"],
      [isHere && !isFollowed, here, kindOf("edit", one), "it was changed"],
      [isHere && isOther, last.seq, kindOf("edit", last), "it was changed"],
      [isHere, here, "splice", "it goes on from another record than the one before it"],
      [leaves[one.seq - 1] === one.leaf, here, "replay", `record ${one.seq} stands here again`],
      [one.seq < last.seq && second, one.seq, "fork", "two histories go on from here"],
      [one.seq < here, one.seq, kindOf("insert", one, last), "two records claim this number"],
      [isGone, here, "delete", `it is missing; the next one is ${one.seq}`],
      [true, here, moved, `record ${one.seq} stands in its place`],
    ];
    need(false, ...findings.find(([isSo]) => isSo).slice(1));
  }
  /** What is missing must be named by a signed order that commits to the leaves it names. */
  function checkMissing(orders) {
    const orderOf = new Map();
    for (const { e, order, kind } of orders) {
      const { [`${order}Log`]: log = e.log, [`${order}Seqs`]: ranges, digest } = e.facts;
      let [named, highest] = [[], log === id ? 0 : NaN];
      for (const range of String(ranges).split(",")) {
        const [, from, to = from] = /^(\d{1,15})(?:-(\d{1,15}))?$/.exec(range) ?? [];
        highest = Math.max(highest, +from <= +to ? to : NaN);
        for (let seq = +from; seq <= Math.min(to, last.seq); seq += 1) named.push(seq);
      }
      const digested = named.map((seq) => leaves[seq - 1]).sort();
      const isOther = isWhole && highest <= leaves.length && sha256(digested.join("\n")) !== digest;
      const size = sizeOf(e.log === id ? signed : notesOf(e.log, "checkpoint"));
      const isFalse = isOther || (e.log === id && highest >= e.seq);
      const isAside = contiguous && kind === "support";
      // 0: unsound; 1: newer than every checkpoint, so anybody may have put it there; 2: it counts.
      const rank = isFalse || isAside ? 0 : size > 0 && e.seq > size ? 1 : 2;
      // What was ordered away whole may be gone in its sealed part alone.
      for (const seq of highest >= 0 ? named : [])
        if (missing.get(seq) === order || (missing.has(seq) && order === "deleted"))
          if (rank >= (orderOf.get(seq)?.rank ?? 0)) orderOf.set(seq, { rank, size, ...e });
    }
    for (const [seq, part] of missing) {
      const { rank, size, seq: by } = orderOf.get(seq) ?? {};
      need(rank >= 0, seq, "removed-tombstone", "it is missing, and no order covers it");
      need(rank > 0, seq, "fake-tombstone", "its order is not a sound one");
      count(seq, rank > 1 ? VERDICTS[part] : WAITING, by);
      const why = `its order ${by} is newer than the newest checkpoint, of ${size} records`;
      if (rank < 2) undecided ??= findIn(() => need(0, seq, WAITING, why));
    }
    if (undecided) undecided.records = counts[WAITING];
  }
  return { take, finish };
}

/** A frame: length after the checksum, checksum, length of the envelope, type, envelope, sealed. */
function frameAt(bytes, at) {
  if (at < 0 || bytes.length - at < 13) return undefined;
  const end = at + 8 + bytes.readUInt32LE(at);
  const split = at + 13 + bytes.readUInt32LE(at + 8);
  if (split > end || end > bytes.length) return undefined;
  if (crc32(bytes.subarray(at + 8, end)) !== bytes.readUInt32LE(at + 4)) return undefined;
  const hashed = sha256(bytes.subarray(at + 12, split));
  const envelope = bytes.toString("utf8", at + 13, split);
  const sealed = bytes.toString("utf8", split, end);
  return { kind: "record", type: bytes[at + 12], envelope, sealed, hashed, end };
}

/** The frames of a segment; {} for bytes that are none. One that was never finished ends it. */
function* readFrames(bytes) {
  for (let at = 0; at < bytes.length; ) {
    let [start, frame] = [at, frameAt(bytes, at)];
    for (; !frame && start >= 0; frame = frameAt(bytes, start))
      start = bytes.indexOf('{"v":', start + 14) - 13;
    const end = bytes.length - at < 8 ? Infinity : at + 8 + bytes.readUInt32LE(at);
    const isOpen = () => end > bytes.length || bytes.subarray(at, end + 8).includes(ZEROS);
    if (start !== at && (frame || !isOpen())) yield {};
    if (frame) yield frame;
    at = frame?.end ?? Infinity;
  }
}

function* readSpool(dir, { evidence = join(dir, "..", "evidence") }) {
  const names = fs.existsSync(evidence) ? fs.readdirSync(evidence, { recursive: true }) : [];
  const toNote = ([name, kind]) => ({ kind, note: readText(join(evidence, name)) });
  const notes = Array.from(names.join("\n").matchAll(NOTES), toNote);
  const logIn = ({ note }) => /^mcp-gateway\/(\S+)$/m.exec(note)?.[1];
  const files = fs.readdirSync(dir).filter((name) => /^\d{16}\.seg$/.test(name));
  if (!files[0]) yield* [{ contiguous: true }, ...notes.map((n) => ({ ...n, log: logIn(n) }))];
  let [log, last] = [];
  for (const [at, file] of files.sort().entries()) {
    const [first, next = Infinity] = files.slice(at, at + 2).map(Number.parseFloat);
    let [header, remark] = [];
    for (const frame of readFrames(fs.readFileSync(join(dir, file)))) {
      if (frame.type === HEADER) header = JSON.parse(frame.envelope);
      need(header || last, first, "damage", "its segment has no sound header");
      if (!last) {
        [log, last] = [header.log, { seq: first - 1, leaf: header.prev }];
        yield { log, contiguous: true, start: last, tiles: toTiles(evidence, names) };
        for (const one of notes) yield { ...one, log };
      }
      const record = frame.type === RECORD ? toRecord(frame) : { kind: "record" };
      // What follows the last record before the next segment's first was never acknowledged.
      const isLeft = last.seq === next - 1 && !(record.seq < next);
      if (isLeft && record.order) yield { ...record, kind: "support", log };
      if (isLeft) continue;
      const isNext = header?.firstSeq === first && last.leaf === header.prev && header.log === log;
      if (frame.type === HEADER && !isNext) remark = "its header is not its own";
      const damage = header && frame.end ? undefined : last.seq + 1;
      if (frame.type === RECORD || damage) yield Object.assign(record, { log, remark, damage });
      if (record.seq) [last, remark] = [record, undefined];
    }
  }
}

/** An export: what proves its records comes before them, and its manifest after them. */
function* readExport(path) {
  const [file, chunk, whole] = [fs.openSync(path), Buffer.alloc(1 << 20), createHash("sha256")];
  let [head, manifest, rest, count] = [undefined, undefined, "", 0];
  for (let size = fs.readSync(file, chunk); size > 0; size = fs.readSync(file, chunk)) {
    const lines = (rest + chunk.toString("latin1", 0, size)).split("\n");
    rest = lines.pop();
    for (const text of lines) {
      const line = JSON.parse(Buffer.from(text, "latin1"));
      const { kind, log, seq, leaf, envelope, proof, note, contiguous } = line;
      head ??= kind === "export" && line;
      if (head.v !== 1) throw new Error(`${path} is no export of version 1`);
      if (kind === "manifest") manifest = line;
      else whole.update(`${text}\n`, "latin1");
      if (kind === "record") count += 1;
      const sealed = line.sealed ?? (head.hidden && envelope);
      yield toRecord({ kind, log, seq, leaf, envelope, sealed, proof, note, contiguous });
    }
  }
  fs.closeSync(file);
  if (rest !== "") throw new SyntaxError("its last line has no end");
  const isWhole = manifest?.count === count && manifest.sha256 === whole.digest("hex");
  const kind = manifest === undefined ? "cut" : manifest.count === count ? "damage" : "delete";
  yield { close: () => need(isWhole, count, kind, "the export is not what its manifest says") };
}

function* readReceipt({ log, seq, leaf }, text) {
  const re = `^c2sp\\.org/tlog-proof@v1\n(?:extra (\\S*)\n)?index ${seq - 1}\n((?:\\S+\n)*)\n(.*)`;
  const [, extra = "", hashes, note] = new RegExp(re, "s").exec(text) ?? [];
  yield { kind: "checkpoint", log, note };
  yield { kind: "certificate", log, note: Buffer.from(extra, "base64").toString() };
  yield { kind: "record", log, seq, leaf, envelope: null, proof: hashes?.match(/\S+/g) ?? [] };
}

function checkOpening({ envelope, commitment, leaf, name, value, random, others }) {
  const it = envelope ? toRecord({ envelope }) : { seq: 0, e: { commitment }, leaf };
  const mac = createHmac("sha256", Buffer.from(random, "hex"));
  const own = [name, mac.update(`${name}\0${JSON.stringify(value)}`).digest("hex")];
  const whole = createHash("sha256");
  const fields = [...others, own].sort(([a], [b]) => (a < b ? -1 : 1));
  const isPlain = fields.every(([one], at) => !one.includes("\0") && one !== fields[at - 1]?.[0]);
  for (const [one, hex] of fields) whole.update(`${one}\0`).update(hex, "hex");
  const isOwn = it.leaf === (leaf ?? it.leaf) && whole.digest("hex") === it.e?.commitment;
  need(isPlain && isOwn, it.seq ?? 0, "edit", `${name} is not what was committed to`);
}

const [text, flag] = [{ type: "string" }, { type: "boolean" }];
const list = { ...text, multiple: true, default: [] };
const texts = { evidence: text, export: text, receipt: text, proof: text, opening: text };
const flags = { unsigned: flag, records: flag, json: flag };
const FLAGS = { key: list, checkpoint: list, wait: text, ...texts, ...flags };

function read({ pinned, unsigned, receipt, proof, opening, ...options }, [spool, ...more]) {
  if (opening) return checkOpening(JSON.parse(readText(opening))) ?? [];
  if (pinned.includes(undefined)) throw new Error("--key must be as `mcp-gateway audit key` says");
  if (pinned.length === 0 && !unsigned) throw new Error("--key is needed, or --unsigned");
  if (options.export) return readExport(options.export);
  if (receipt) return readReceipt(JSON.parse(readText(receipt)), readText(proof));
  if (spool && more.length === 0) return readSpool(spool, options);
  throw new Error("give a spool directory, --export, --receipt and --proof, or --opening");
}

export function run(args, write = console.log) {
  const isJson = args.includes("--json");
  const print = (value, line) => write(isJson ? JSON.stringify(value) : line);
  const describe = ({ log, records: all, covered, counts: c }) =>
    `${log}: ${all} records, ${covered || "NONE"} under a signed checkpoint: ${JSON.stringify(c)}`;
  try {
    const { values, positionals } = parseArgs({ args, allowPositionals: true, options: FLAGS });
    const [known, pinned] = [values.checkpoint.map(readText), values.key.map(parseKey)];
    const options = { ...values, known, pinned, report: values.records && print };
    const [byId, heads, orders] = [new Map(), [], []];
    const logOf = (id) => byId.get(id) ?? byId.set(id, createLog(id, heads, options)).get(id);
    for (const one of read(options, positionals))
      if (one.kind === "record" || one.kind === "support") logOf(one.log).take(one, orders);
      else heads.push({ ...one, ...parseNote(one.note) });
    for (const { log, lines } of [...heads, ...known.map(parseNote)])
      if (log ?? lines[0]) logOf(log ?? lines[0].slice(12));
    need(byId.size || values.unsigned || !heads[0]?.contiguous, 0, "checkpoint", "it is empty");
    const logs = [...byId.values()].flatMap((log) => log.finish(orders));
    heads.at(-1)?.close?.();
    const undecided = logs.find((log) => log.undecided)?.undecided;
    if (undecided && !(values.wait > 0)) throw undecided;
    if (undecided) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
    if (undecided) return run([...args, "--wait", `${values.wait - 1}`], write);
    print({ ok: true, logs }, logs.map(describe).join("\n") || "nothing is wrong with it");
    return 0;
  } catch (error) {
    const { seq, kind, message, records } = error;
    const [what, more] = records ? ["undecided", `, ${records}: look again`] : ["violation", ""];
    const said = kind ? { [what]: { seq, kind, records, message } } : { error: message };
    const verdict = kind ? `${what}(${kind}${more})` : "cannot verify";
    print({ ok: false, ...said }, `${verdict}: ${message}`);
    return records ? 3 : kind ? 1 : 2;
  }
}

// A path through a link must not look like an import, which verifies nothing.
if (process.argv[1] && fs.realpathSync(process.argv[1]) === import.meta.filename)
  process.exitCode = run(process.argv.slice(2));
