/**
 * Exports made before a person was erased: what is sealed in them opens no more, what was opened for its reader stays
 * readable, and the log says which files that are. All of them stay sound for both verifiers.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ExportRecordLine } from "../../src/audit/export-lines.ts";
import { createOpener } from "../../src/audit/opener.ts";
import { parseSeqs } from "../../src/lib/seqs.ts";
import { type AdminClient, type AdminMessage, createAdminClient } from "../support/admin-client.ts";
import { auditRow } from "../support/audit-row.ts";
import { runGateway } from "../support/command-line.ts";
import { until } from "../support/deadline.ts";
import { callEcho, erase } from "../support/erasing.ts";
import { type GatewayProcess, startGateway } from "../support/gateway-process.ts";
import { startIndependentVerifier } from "../support/independent-verifier.ts";
import { allRecords, registerClient, registerHttpServer } from "../support/operator.ts";
import { openFolderVault } from "../support/sealing.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { startTinyServer } from "../support/tiny-server.ts";

setDefaultTimeout(120_000);

const from = process.env.MCP_GATEWAY_TEST_FROM === "source" ? "source" : "executable";
const calls = 3;
const ann = "client:ann-who-is-erased";
const bob = "client:bob-who-stays";
const adminToken = "admin-with-a-token-of-32-characters!";
const outcomes = { filter: { event: "call.outcome" }, proofs: true };

test("K-12 PV-02 an export made before opens no more where it is sealed, and the log says where it is not", async () => {
  await using folder = temporaryFolder("exports");
  await using tiny = startTinyServer();
  const token_sha256 = createHash("sha256").update(adminToken).digest("hex");
  const operators = [{ name: "ada", roles: ["admin"], token_sha256 }];
  await using gateway = await startGateway({ from, config: { admin: { operators } } });
  using auditor = createAdminClient(gateway);
  using admin = createAdminClient({ ...gateway, adminToken });
  await registerHttpServer(auditor, "tiny", tiny.url);
  const tools = { allowed_tools: ["tiny__echo"] };
  for (const name of [ann, bob]) {
    const token = await registerClient(auditor, name.slice("client:".length), tools);
    for (let time = 0; time < calls; time += 1) await callEcho(gateway, token);
  }
  await until("copied", async () => (await outcomesOf(auditor)).length === 2 * calls);
  const save = async (name: string, by: AdminClient, request: AdminMessage) => {
    const path = join(folder.path, name);
    writeFileSync(path, await exportAll(by, request));
    return path;
  };
  const whole = await save("whole", auditor, { include_pruned: true });
  const chosen = await save("chosen", auditor, outcomes);
  const hidden = await save("hidden", admin, outcomes);
  const files = [whole, chosen, hidden];
  expect(await verdicts(gateway, files)).toEqual(files.map(() => [true, true]));
  await erase(gateway, auditor, ann);

  // What is sealed in them: by the gateway's own keys, of whoever was not erased alone.
  const states = await openLines(gateway.dataDir, recordsOf(chosen));
  expect(states).toEqual([
    ...Array(calls).fill(`shredded ${ann}`),
    ...Array(calls).fill(`open ${bob}`),
  ]);
  // What was opened for its reader is a copy outside.
  for (const path of [whole, chosen]) expect(readFileSync(path, "utf8")).toContain(ann);
  const shown = recordsOf(hidden).map((line) => [line.sealed, line.opened]);
  expect(shown).toEqual(Array(2 * calls).fill([null, undefined]));
  expect(readFileSync(hidden, "utf8")).not.toContain("client:");
  // One made now has nothing of it, in either form.
  const later = recordsOf(await save("later", auditor, outcomes));
  expect(later.map((line) => [line.sealed !== null, line.opened?.principal])).toEqual([
    ...Array(calls).fill([false, undefined]),
    ...Array(calls).fill([true, bob]),
  ]);
  expect(await verdicts(gateway, files)).toEqual(files.map(() => [true, true]));
  expect((await findFiles(auditor)).toSorted()).toEqual([whole, chosen].map(hashOf).toSorted());
});

/** As docs/audit.md says: exports with values in clear, made before, whose records overlap what was erased. */
async function findFiles(auditor: AdminClient): Promise<readonly unknown[]> {
  const recordsOfEvent = async (event: string) =>
    (await allRecords(auditor, { event })).map(({ seq, envelope_json }) => {
      return { ...JSON.parse(envelope_json).facts, seq };
    });
  const [destroyed] = await recordsOfEvent("keys.destroyed");
  const [order] = await recordsOfEvent("erasure.executed");
  const erased = parseSeqs(order.erasedSeqs, 500) ?? [];
  const overlaps = (logs: string) => {
    const [log, first, last] = /^(\S+):(\d+)-(\d+)$/.exec(logs)?.slice(1) ?? [];
    const isIn = (seq: number) => seq >= Number(first) && seq <= Number(last);
    return log === order.erasedLog && erased.some(isIn);
  };
  const exports = await recordsOfEvent("admin.export");
  return exports
    .filter(({ seq, opened, logs }) => seq < destroyed.seq && opened > 0 && overlaps(logs))
    .map(({ sha256 }) => sha256);
}

const hashOf = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");

function recordsOf(path: string): readonly ExportRecordLine[] {
  const lines = readFileSync(path, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  return lines.filter((line) => line.kind === "record");
}

/** Opens the sealed parts of an export's records, and says whose they were by what the export shows. */
async function openLines(dataDir: string, lines: readonly ExportRecordLine[]) {
  const vault = await openFolderVault(dataDir);
  const rows = lines.map(({ seq, envelope, sealed }) =>
    auditRow(seq, { envelope, details: sealed }),
  );
  const opened = await createOpener(vault).open(rows);
  await vault.close();
  return opened.map(({ state }, index) => `${state} ${lines[index]?.opened?.principal}`);
}

const outcomesOf = (admin: AdminClient) => allRecords(admin, outcomes.filter);

async function exportAll(by: AdminClient, request: AdminMessage): Promise<Buffer> {
  const own = { format: "EXPORT_FORMAT_JSON_LINES", ...request };
  const chunks: Buffer[] = [];
  for await (const { chunk } of by.stream<{ chunk?: Buffer }>("AuditService", "ExportRecords", own))
    if (chunk !== undefined) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Whether each file is sound, for the gateway's verifier and for the independent one. */
async function verdicts({ dataDir }: GatewayProcess, files: readonly string[]) {
  const { stdout } = await runGateway(["audit", "key", "--data-dir", dataDir]);
  const flags = ["--key", stdout.trim()];
  using independent = startIndependentVerifier();
  const found: (readonly boolean[])[] = [];
  for (const path of files) {
    const ours = await runGateway(["audit", "verify", "--export", path, ...flags]);
    const theirs = await independent.verify([...flags, "--export", path]);
    found.push([ours.exitCode === 0, theirs.ok]);
  }
  return found;
}
