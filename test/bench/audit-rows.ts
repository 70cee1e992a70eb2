/**
 * Rows of the audit copy as a busy gateway makes them, without a gateway: for benches that need millions. The columns
 * are few-valued and many-valued as real ones are.
 */
import { createHash } from "node:crypto";

export const auditColumns = [
  ["log", "bigint"],
  ["seq", "bigint"],
  ["leaf", "text"],
  ["envelope", "text"],
  ["details", "text"],
  ["time_ms", "bigint"],
  ["event", "text"],
  ["durability", "text"],
  ["principal", "text"],
  ["client", "text"],
  ["tool", "text"],
  ["server", "text"],
  ["scope", "text"],
  ["method", "text"],
  ["status", "text"],
  ["decision", "text"],
  ["session", "text"],
  ["correlation_id", "text"],
  ["data_class", "text"],
  ["tenant", "text"],
].map(([name = "", type = ""]) => ({ name, type }));

export function madeRow(
  seq: number,
  timeMs: number,
  random: (below: number) => number,
): (string | number | null)[] {
  const leaf = createHash("sha256").update(String(seq)).digest("hex");
  const principal = createHash("sha256")
    .update(String(random(1000)))
    .digest("hex")
    .slice(0, 32);
  const server = `server-${random(20)}`;
  const tool = `tool-${random(200)}`;
  const facts = {
    correlationId: crypto.randomUUID(),
    binding: "http",
    revision: "2026-07-28",
    scope: server,
    method: "tools/call",
    server,
    dataClass: "INTERNAL",
    tool,
    decision: "role:caller",
    stateRevision: 12,
    requestBytes: 312,
    intent: seq - 1,
    status: "success",
    resultBytes: 512,
    durationUs: 1834,
  };
  const envelope = JSON.stringify({
    v: 2,
    log: "0192f0c4-1111-7000-8000-000000000001",
    seq,
    prev: leaf,
    time: timeMs,
    event: "call.outcome",
    class: "A",
    facts,
    commitment: leaf,
  });
  const details = JSON.stringify({
    v: 1,
    subject: leaf.slice(0, 16),
    class: leaf.slice(16, 32),
    salt: leaf.slice(0, 32),
    tokens: { principal, client: principal, session: principal },
    sealed: (leaf + leaf + leaf + leaf + leaf + leaf).slice(0, 380),
  });
  return [
    1,
    seq,
    leaf,
    envelope,
    details,
    timeMs,
    seq % 2 === 0 ? "call.outcome" : "call.intent",
    "A",
    principal,
    principal,
    tool,
    server,
    server,
    "tools/call",
    "success",
    "role:caller",
    principal,
    facts.correlationId,
    "INTERNAL",
    null,
  ];
}
