/**
 * Audit logs made up for tests, from the format in docs/audit.md and without any code of the gateway, so that what
 * verifies them is held against the format and not against itself. Everything follows from the seed.
 */
import { createHash, createHmac } from "node:crypto";
import { type ForgedKey, forgeKey, forgeNote } from "./keys.ts";
import type { SeededRandom } from "./random.ts";
import { rootOf } from "./tree.ts";

export type Facts = Readonly<Record<string, string | number | boolean | undefined>>;

/** A record as it is kept: `envelope` null once pruned, `sealed` null once pruned or erased. */
export interface ForgedRecord {
  /** Its number, also where the envelope is gone. */
  readonly seq: number;
  readonly envelope: string | null;
  readonly sealed: string | null;
  readonly leaf: string;
}

export interface ForgedLog {
  readonly id: string;
  readonly origin: string;
  readonly records: ForgedRecord[];
  /** The first node key: the one a reader pins. */
  readonly pinned: string;
  readonly certificates: string[];
  append(event: string, facts: Facts, fields?: Facts, timeMs?: number): void;
  start(): void;
  handOver(): void;
  /** Empties records and appends the order for it. */
  order(kind: "deleted" | "erased", seqs: readonly number[]): void;
  /** A checkpoint of the first `size` records by this life's key. */
  checkpoint(size?: number): string;
  /** A second log with the same keys and the first `size` records, to go on differently. */
  branch(size: number, random: SeededRandom): ForgedLog;
}

export const nothing = createHash("sha256").digest("hex");
const genesis = "0".repeat(64);

export function leafOf(envelope: string): string {
  return createHash("sha256").update("\0").update(envelope).digest("hex");
}

export function digestOf(leaves: readonly string[]): string {
  return createHash("sha256").update(leaves.toSorted().join("\n")).digest("hex");
}

export function forgeLog(random: SeededRandom, id = forgeId(random)): ForgedLog {
  const origin = `mcp-gateway/${id}`;
  const nodeKey = forgeKey(origin, random.bytes(32));
  return build(
    random,
    { id, origin, records: [], pinned: nodeKey.vkey, certificates: [] },
    {
      nodeKey,
      bootKey: nodeKey,
      timeMs: 1_795_000_000_000,
    },
  );
}

function forgeId(random: SeededRandom): string {
  const hex = random.bytes(16).toString("hex");
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join("-");
}

interface State {
  nodeKey: ForgedKey;
  bootKey: ForgedKey;
  timeMs: number;
}

function build(
  random: SeededRandom,
  log: Pick<ForgedLog, "id" | "origin" | "records" | "pinned" | "certificates">,
  state: State,
): ForgedLog {
  const { id, origin, records, certificates } = log;
  const root = (size: number) =>
    rootOf(records.slice(0, size).map(({ leaf }) => Buffer.from(leaf, "hex")));

  function append(event: string, facts: Facts, fields: Facts = {}, timeMs?: number): void {
    state.timeMs += 1 + random.below(2000);
    const { commitment, sealed } = seal(random, fields);
    const envelope = JSON.stringify({
      v: 2,
      log: id,
      seq: records.length + 1,
      prev: records.at(-1)?.leaf ?? genesis,
      time: timeMs ?? state.timeMs,
      event,
      class: "A",
      facts,
      commitment,
    });
    records.push({ seq: records.length + 1, envelope, sealed, leaf: leafOf(envelope) });
  }

  function start(): void {
    state.bootKey = forgeKey(origin, random.bytes(32));
    const size = records.length;
    const text = `mcp-gateway boot key v1\n${origin}\n${state.bootKey.vkey}\n${size}\n${root(size).toString("hex")}\n`;
    certificates.push(forgeNote(text, [state.nodeKey]));
    append("lifecycle.started", {
      bootKey: state.bootKey.vkey,
      nodeKey: state.nodeKey.vkey,
      bootSignature: state.nodeKey.sign(text).toString("base64"),
      previous: size === 0 ? "none" : "closed",
      treeSize: size,
      treeRoot: root(size).toString("hex"),
    });
  }

  function handOver(): void {
    const next = forgeKey(origin, random.bytes(32));
    const oldKey = state.nodeKey.vkey;
    const text = `mcp-gateway node key v1\n${origin}\n${oldKey}\n${next.vkey}\n`;
    append("keys.rotated", {
      purpose: "node",
      oldKey,
      newKey: next.vkey,
      oldSignature: state.nodeKey.sign(text).toString("base64"),
      newSignature: next.sign(text).toString("base64"),
    });
    state.nodeKey = next;
  }

  function order(kind: "deleted" | "erased", seqs: readonly number[]): void {
    const leaves = seqs.map((seq) => records[seq - 1]?.leaf ?? "");
    const event = kind === "deleted" ? "retention.executed" : "erasure.executed";
    append(event, {
      [`${kind}Log`]: id,
      [`${kind}Seqs`]: seqs.join(","),
      count: seqs.length,
      digest: digestOf(leaves),
    });
    for (const seq of seqs) {
      const record = records[seq - 1];
      if (record === undefined) continue;
      const envelope = kind === "deleted" ? null : record.envelope;
      records[seq - 1] = { ...record, envelope, sealed: null };
    }
  }

  const checkpoint = (size = records.length) =>
    forgeNote(`${origin}\n${size}\n${root(size).toString("base64")}\n`, [state.bootKey]);
  const branch: ForgedLog["branch"] = (size, otherRandom) =>
    build(otherRandom, { ...log, records: records.slice(0, size) }, { ...state });
  return { ...log, append, start, handOver, order, checkpoint, branch };
}

/** A commitment to fields and a sealed part that nobody can open: its key is thrown away. */
function seal(random: SeededRandom, fields: Facts): { commitment: string; sealed: string } {
  const secret = random.bytes(32);
  const whole = createHash("sha256");
  for (const name of Object.keys(fields).sort()) {
    const key = createHmac("sha256", secret).update(name).digest();
    const hidden = createHmac("sha256", key).update(`${name}\0${JSON.stringify(fields[name])}`);
    whole.update(`${name}\0`).update(hidden.digest());
  }
  const commitment = whole.digest("hex");
  if (commitment === nothing) return { commitment, sealed: '{"v":1}' };
  const sealed = JSON.stringify({
    v: 1,
    subject: random.bytes(8).toString("hex"),
    class: random.bytes(8).toString("hex"),
    salt: random.bytes(16).toString("hex"),
    tokens: { principal: random.bytes(16).toString("hex") },
    sealed: random.bytes(120).toString("base64"),
  });
  return { commitment, sealed };
}
