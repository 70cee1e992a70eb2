/**
 * `bun scripts/verify-bench.ts [--records N] [--budget-ms MS]`: how long both verifiers take over a spool of a million
 * records with its tree (R-13), each as a process of its own on one core. Fails where one is over the budget.
 */
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { encodeHeader, writeRecord } from "../src/audit/spool/format.ts";

const { values } = parseArgs({
  options: {
    records: { type: "string", default: "1000000" },
    "budget-ms": { type: "string", default: "10000" },
    verify: { type: "string" },
  },
});
const records = Number(values.records);
const segmentRecords = 70_000;

/** A spool as calls leave one, with sealed parts of the usual length, and an unsigned checkpoint of all of it. */
async function makeSpool(dir: string): Promise<void> {
  const { createCheckedTree } = await import("../src/audit/verify/checked-tree.ts");
  const log = crypto.randomUUID();
  mkdirSync(join(dir, "spool"));
  mkdirSync(join(dir, "evidence"));
  const tree = createCheckedTree();
  const sealed = `{"v":1,"subject":"0123456789abcdef","class":"0123456789abcdef","salt":"${"0".repeat(32)}","tokens":{"principal":"${"1".repeat(32)}","client":"${"2".repeat(32)}"},"sealed":"${Buffer.alloc(150).toString("base64")}"}`;
  const buffer = Buffer.alloc(segmentRecords * 1200);
  let prev = "0".repeat(64);
  for (let seq = 1; seq <= records; ) {
    const firstSeq = seq;
    let end = encodeHeader({ v: 2, log, firstSeq, prev, openIntents: [] }).copy(buffer);
    for (; seq <= records && seq < firstSeq + segmentRecords; seq += 1) {
      const commitment = createHash("sha256").update(String(seq)).digest("hex");
      const isIntent = seq % 2 === 1;
      const facts = `{"method":"tools/call","tool":"search","server":"files","scope":"all","correlationId":"01a1ff2a-380a-77ae-a8dd-${String(seq).padStart(12, "0")}"${isIntent ? "" : `,"intent":${seq - 1},"status":"success","durationMs":12`}}`;
      const envelope = `{"v":2,"log":"${log}","seq":${seq},"prev":"${prev}","time":${1_795_000_000_000 + seq},"event":"call.${isIntent ? "intent" : "outcome"}","class":"A","facts":${facts},"commitment":"${commitment}"}`;
      const written = writeRecord(buffer, end, { envelope, details: sealed });
      end = written.end;
      prev = written.leaf;
      tree.append(Buffer.from(prev, "hex"));
    }
    const name = `${String(firstSeq).padStart(16, "0")}.seg`;
    writeFileSync(join(dir, "spool", name), buffer.subarray(0, end));
  }
  const root = Buffer.from(tree.root()).toString("base64");
  const note = `mcp-gateway/${log}\n${records}\n${root}\n\n— mcp-gateway/${log} ${Buffer.alloc(68).toString("base64")}\n`;
  writeFileSync(join(dir, "evidence", "checkpoint"), note);
}

/** Runs a verifier on one core and says how long it took and what it held at most. */
function time(name: string, command: readonly string[]): { readonly ms: number } {
  const started = performance.now();
  const ran = Bun.spawnSync(["taskset", "-c", "1", ...command]);
  const ms = Math.round(performance.now() - started);
  const cpuMs = Math.round(Number(ran.resourceUsage.cpuTime.total) / 1000);
  const maxMiB = Math.round(ran.resourceUsage.maxRSS / 2 ** 20);
  const said = ran.stdout.toString().trim();
  console.log(`${name}: ${ms} ms (${cpuMs} ms of CPU), at most ${maxMiB} MiB; ${said}`);
  if (ran.exitCode !== 0) throw new Error(`${name} ended with ${ran.exitCode}: ${ran.stderr}`);
  return { ms: cpuMs };
}

if (values.verify !== undefined) {
  const { verifySpool } = await import("../src/audit/verify/verify.ts");
  const { ok, records: count, covered, violation } = verifySpool(values.verify);
  console.log(JSON.stringify({ ok, count, covered, violation }));
  process.exitCode = ok ? 0 : 1;
} else {
  const dir = mkdtempSync(join(tmpdir(), "verify-bench-"));
  try {
    await makeSpool(dir);
    const spool = join(dir, "spool");
    const ours = time("the gateway's", [process.execPath, import.meta.path, "--verify", spool]);
    const path = join(import.meta.dir, "../deploy/verify-audit.mjs");
    const theirs = time("the independent", ["node", path, "--unsigned", spool]);
    const budgetMs = Number(values["budget-ms"]);
    if (ours.ms > budgetMs || theirs.ms > budgetMs) process.exitCode = 1;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
