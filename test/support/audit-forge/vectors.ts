/**
 * Golden vectors for whoever verifies logs: proofs, opened fields and whole exports, sound and not. Made from one seed
 * without any code of the gateway; `test/support/audit-vectors/` keeps them for implementations in other languages.
 */
import { createHash, createHmac } from "node:crypto";
import { type Artefact, renderExport, toArtefact } from "./artefact.ts";
import { forgeKey, forgeNote } from "./keys.ts";
import { type ForgedLog, forgeLog, leafOf } from "./log.ts";
import { createSeededRandom, type SeededRandom } from "./random.ts";
import { tamper, tamperClasses } from "./tamper.ts";
import { proofOf, rootOf } from "./tree.ts";

export interface ProofVector {
  readonly name: string;
  readonly ok: boolean;
  readonly key: string;
  readonly receipt: { readonly log: string; readonly seq: number; readonly leaf: string };
  readonly proof: string;
}

export interface OpeningVector {
  readonly name: string;
  readonly ok: boolean;
  readonly commitment: string;
  readonly opening: Opening;
}

interface Opening {
  readonly name: string;
  readonly value: string | number | boolean | null;
  readonly random: string;
  readonly others: readonly (readonly [string, string])[];
}

export interface ExportVector {
  readonly name: string;
  readonly ok: boolean;
  /** The kind of tampering; undefined for a sound one. */
  readonly kind?: string;
  readonly keys: readonly string[];
  readonly known: readonly string[];
  readonly text: string;
}

interface ProofParts {
  readonly log: ForgedLog;
  readonly size: number;
  readonly seq: number;
  readonly first: string;
  readonly extra: string;
  readonly index: string;
  readonly hashes: readonly string[];
  readonly checkpoint: string;
}

function toProof({ first, extra, index, hashes, checkpoint }: ProofParts): string {
  const lines = [first, `extra ${extra}`, `index ${index}`, ...hashes];
  return `${lines.join("\n")}\n\n${checkpoint}`;
}

function smallLog(random: SeededRandom, count: number): ForgedLog {
  const log = forgeLog(random);
  log.start();
  while (log.records.length < count) log.append("admin.change", { tool: "t" }, { principal: "p" });
  return log;
}

function proofParts(log: ForgedLog, seq: number, size = log.records.length): ProofParts {
  const leaves = log.records.slice(0, size).map(({ leaf }) => Buffer.from(leaf, "hex"));
  return {
    log,
    size,
    seq,
    first: "c2sp.org/tlog-proof@v1",
    extra: Buffer.from(log.certificates[0] ?? "").toString("base64"),
    index: String(seq - 1),
    hashes: proofOf(seq - 1, leaves).map((hash) => hash.toString("base64")),
    checkpoint: log.checkpoint(size),
  };
}

export function makeProofVectors(): readonly ProofVector[] {
  const random = createSeededRandom(62);
  const log = smallLog(random, 11);
  const leaf = (seq: number) => log.records[seq - 1]?.leaf ?? "";
  const vector = (name: string, ok: boolean, parts: ProofParts, change = {}): ProofVector => ({
    name,
    ok,
    key: log.pinned,
    receipt: { log: log.id, seq: parts.seq, leaf: leaf(parts.seq) },
    proof: toProof(parts),
    ...change,
  });
  const places = [
    [1, 1],
    [1, 2],
    [2, 2],
    [3, 3],
    [4, 7],
    [7, 7],
    [1, 8],
    [8, 8],
    [9, 9],
    [5, 11],
    [11, 11],
  ];
  const sound = places.map(([seq = 1, size = 1]) =>
    vector(`record ${seq} of ${size}`, true, proofParts(log, seq, size)),
  );
  const base = proofParts(log, 6);
  const [hash = "", ...rest] = base.hashes;
  const foreign = forgeKey(log.origin, random.bytes(32));
  const text = base.checkpoint.slice(0, base.checkpoint.lastIndexOf("\n\n") + 1);
  const root = rootOf(log.records.map((one) => Buffer.from(one.leaf, "hex"))).toString("base64");
  const otherNode = forgeKey("mcp-gateway/another", random.bytes(32));
  const changed: readonly (readonly [string, Partial<ProofParts>])[] = [
    ["a hash too few", { hashes: rest }],
    ["a hash too many", { hashes: [...base.hashes, hash] }],
    ["hashes in another order", { hashes: base.hashes.toReversed() }],
    ["another hash", { hashes: [random.bytes(32).toString("base64"), ...rest] }],
    ["a hash that is too short", { hashes: [random.bytes(31).toString("base64"), ...rest] }],
    ["a hash with a byte that is none", { hashes: [`${hash.slice(0, -2)}*=`, ...rest] }],
    ["a hash without padding", { hashes: [hash.replace(/=+$/, ""), ...rest] }],
    ["another index", { index: "4" }],
    ["an index with a leading zero", { index: "05" }],
    ["a negative index", { index: "-5" }],
    ["another version", { first: "c2sp.org/tlog-proof@v2" }],
    ["a certificate that is none", { extra: Buffer.from("none").toString("base64") }],
    ["no certificate", { extra: "" }],
    [
      "a certificate of another node",
      {
        extra: Buffer.from(
          forgeNote(
            `mcp-gateway boot key v1\n${log.origin}\n${foreign.vkey}\n0\n${"0".repeat(64)}\n`,
            [otherNode],
          ),
        ).toString("base64"),
      },
    ],
    ["signed by another key", { checkpoint: forgeNote(text, [foreign]) }],
    [
      "another root",
      { checkpoint: base.checkpoint.replace(root, random.bytes(32).toString("base64")) },
    ],
    ["another size", { checkpoint: base.checkpoint.replace("\n11\n", "\n12\n") }],
    ["a size with a leading zero", { checkpoint: base.checkpoint.replace("\n11\n", "\n011\n") }],
    ["another origin", { checkpoint: base.checkpoint.replaceAll(log.id, "another") }],
    ["no signature", { checkpoint: `${text}\n` }],
    ["a checkpoint that ends too early", { checkpoint: base.checkpoint.slice(0, -9) }],
    ["line ends of another system", { checkpoint: base.checkpoint.replaceAll("\n", "\r\n") }],
    ["an older checkpoint that has not the record", { checkpoint: log.checkpoint(5) }],
  ];
  const altered = changed.map(([name, change]) => vector(name, false, { ...base, ...change }));
  const receipts = [
    vector("another leaf", false, base, { receipt: { log: log.id, seq: 6, leaf: leaf(7) } }),
    vector("another record's number", false, base, {
      receipt: { log: log.id, seq: 7, leaf: leaf(6) },
    }),
    vector("another log", false, base, { receipt: { log: "another", seq: 6, leaf: leaf(6) } }),
  ];
  return [...sound, ...altered, ...receipts];
}

const hmac = (key: Buffer, text: string) => createHmac("sha256", key).update(text).digest();

export function makeOpeningVectors(): readonly OpeningVector[] {
  const random = createSeededRandom(63);
  const secret = random.bytes(32);
  const fields: Readonly<Record<string, Opening["value"]>> = {
    principal: "client:ä😀",
    bytes: 12,
    ok: false,
    reason: null,
    é: "e",
  };
  const names = Object.keys(fields).sort();
  const commit = (name: string) =>
    hmac(hmac(secret, name), `${name}\0${JSON.stringify(fields[name])}`);
  const whole = createHash("sha256");
  for (const name of names) whole.update(`${name}\0`).update(commit(name));
  const commitment = whole.digest("hex");
  const opening = (name: string): Opening => ({
    name,
    value: fields[name] ?? null,
    random: hmac(secret, name).toString("hex"),
    others: names.filter((one) => one !== name).map((one) => [one, commit(one).toString("hex")]),
  });
  const sound = names.map((name) => ({ name, ok: true, commitment, opening: opening(name) }));
  const base = opening("principal");
  const changed: readonly (readonly [string, Partial<Opening>])[] = [
    ["another value", { value: "client:a" }],
    [
      "a number as text",
      {
        value: "12",
        name: "bytes",
        random: opening("bytes").random,
        others: opening("bytes").others,
      },
    ],
    ["another name", { name: "client" }],
    ["another random", { random: random.bytes(32).toString("hex") }],
    ["a field left out", { others: base.others.slice(1) }],
    ["a field too many", { others: [...base.others, ["z", random.bytes(32).toString("hex")]] }],
    [
      "another field's commitment changed",
      { others: base.others.map(([name]) => [name, "0".repeat(64)]) },
    ],
  ];
  const wrong = changed.map(([name, change]) => ({
    name,
    ok: false,
    commitment,
    opening: { ...base, ...change },
  }));
  return [...sound, ...wrong];
}

export function makeExportVectors(): readonly ExportVector[] {
  const story = smallStory();
  const vector = (name: string, artefact: Artefact, kind?: string): ExportVector => ({
    name,
    ok: kind === undefined,
    ...(kind === undefined ? {} : { kind }),
    keys: artefact.keys,
    known: artefact.known,
    text: renderExport(artefact),
  });
  const tampered = [0, 1].flatMap((round) =>
    tamperClasses.map((kind, index) => {
      const random = createSeededRandom(640 + 100 * round + index);
      const { artefact, how } = tamper(kind, random, story, true);
      return vector(`${kind}: ${how}`, artefact, kind);
    }),
  );
  return [vector("a whole log", toArtefact(story)), ...tampered, ...makeSelections(story)];
}

/** Every third record, each with its proof. */
function makeSelections(story: ForgedLog): readonly ExportVector[] {
  const leaves = story.records.map(({ leaf }) => Buffer.from(leaf, "hex"));
  const prove = (seq: number) => proofOf(seq - 1, leaves).map((hash) => hash.toString("base64"));
  const whole = toArtefact(story);
  const chosen = { ...whole, records: whole.records.filter(({ seq }) => seq % 3 === 1 && seq > 5) };
  const last = chosen.records.findLastIndex(({ envelope }) => envelope?.includes('"t"'));
  const edited = {
    ...chosen,
    records: chosen.records.map((one, index) => {
      const envelope = one.envelope?.replace('"t"', '"u"') ?? null;
      return index === last ? { ...one, envelope, leaf: leafOf(envelope ?? "") } : one;
    }),
  };
  const twice = {
    ...chosen,
    records: chosen.records.flatMap((one, at) => (at === 3 ? [one, one] : [one])),
  };
  const { keys, known } = whole;
  const make = (name: string, artefact: Artefact, kind?: string, proofs = prove): ExportVector => ({
    name,
    ok: kind === undefined,
    ...(kind === undefined ? {} : { kind }),
    keys,
    known,
    text: renderExport(artefact, proofs),
  });
  return [
    make("chosen records", chosen),
    make("chosen records, one of them changed", edited, "edit"),
    make("chosen records, one of them twice", twice, "replay"),
    make("chosen records with another's proof", chosen, "edit", () => prove(1)),
  ];
}

/** Everything that can be falsified, in as few records as that takes. */
function smallStory(): ForgedLog {
  const random = createSeededRandom(64);
  const log = forgeLog(random);
  const addCall = () => {
    const intent = log.records.length + 1;
    log.append("call.intent", { tool: "t" }, { principal: "p" });
    log.append("call.outcome", { tool: "t", intent, status: "success" }, { principal: "p" });
  };
  const addCalls = (count: number) => Array.from({ length: count }, addCall);
  log.start();
  addCalls(8);
  log.order("erased", [2, 3]);
  log.order("deleted", [4]);
  log.start();
  log.handOver();
  addCalls(2);
  log.order("erased", [5]);
  addCalls(9);
  return log;
}
