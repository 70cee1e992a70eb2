/**
 * `audit verify`: verifies a spool, a database or an export from the files alone, with no running gateway. Exit code 1,
 * the first record that is wrong and the kind of tampering where something is; 3 where what would decide it is not there
 * yet. Secrets are read from files, never from flags.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { evidenceFolder } from "../audit/evidence/checkpoint-file.ts";
import { EvidenceError } from "../audit/evidence/evidence-error.ts";
import { parseVerifierKey, type VerifierKey } from "../audit/evidence/keys.ts";
import { createOpener, type Opener } from "../audit/opener.ts";
import { signedSizeOf } from "../audit/verify/checkpoints.ts";
import { untilCopied } from "../audit/verify/copy-progress.ts";
import type { Undecided, VerifyReport } from "../audit/verify/findings.ts";
import { openSpoolParts } from "../audit/verify/open-spool.ts";
import { verifyExport } from "../audit/verify/read-export.ts";
import { readEvidence } from "../audit/verify/read-spool.ts";
import { listLogs, type VerifyOptions, verifySpool, verifyStore } from "../audit/verify/verify.ts";
import { readClientEnvironment } from "../config/load.ts";
import { systemClock } from "../lib/clock.ts";
import { createLog, type Log } from "../telemetry/log.ts";
import { type Command, CommandError, exitCodes, messageOf, UsageError } from "./command.ts";
import { needPositionals, parseFlags } from "./flags.ts";
import type { Output } from "./output.ts";

/** Where `compose/` puts the spool below the data folder. */
const spoolFolder = "spool";
const databaseDeadlineMs = 60_000;
/** Between two readings while waiting. */
const pollMs = 1000;
/** A running gateway copies every second, with some time for the batch itself. */
const stalledMs = 4_000;

export const auditVerify: Command = {
  usage: "[--data-dir DIR [--database] | --database-url-file FILE | --export FILE] [--key VKEY]",
  help: `Verifies the audit log offline: the spool in the data folder, or the database's copy, or an export.

  --data-dir DIR            the gateway's data folder [./data]; its keys open what is sealed
  --database                the embedded database in that folder instead of the spool
  --database-url-file FILE  a PostgreSQL database, by the URL in this file
  --export FILE             an export as JSON lines
  --key VKEY                a node's key, as audit key prints it; several times for several nodes. Without one,
                            signatures are not looked at
  --checkpoint FILE         a signed checkpoint kept elsewhere, which the log must contain; several times
  --wait SECONDS            read again for so long while orders are not yet witnessed [0]
  --json                    print the report as JSON

Exit codes: 0 sound; 1 a violation, or it could not be read; 3 not yet witnessed: records are missing by orders that are
newer than the newest checkpoint, as after an erasure seconds ago. That is no proof, and no violation: look again.`,
  run: async (args, { output, stop }) => {
    const { values, positionals } = parseFlags(args, {
      "data-dir": { type: "string" },
      database: { type: "boolean" },
      "database-url-file": { type: "string" },
      export: { type: "string" },
      key: { type: "string", multiple: true },
      checkpoint: { type: "string", multiple: true },
      wait: { type: "string" },
      json: { type: "boolean" },
    });
    needPositionals(positionals, []);
    const sources = [values["data-dir"], values["database-url-file"], values.export];
    if (sources.filter((one) => one !== undefined).length > 1) {
      throw new UsageError("give one of --data-dir, --database-url-file and --export");
    }
    if (values.database && (values["database-url-file"] ?? values.export) !== undefined) {
      throw new UsageError("--database goes with --data-dir");
    }
    const waitMs = 1000 * parseSeconds(values.wait ?? "0");
    const options = {
      keys: (values.key ?? []).map(parseKey),
      known: (values.checkpoint ?? []).map(readText),
    };
    const dataDir = values["data-dir"] ?? readClientEnvironment().dataDir ?? "./data";
    const log = createLog("warn", systemClock, (line) => output.note(line.trimEnd()));
    const request = {
      ...options,
      dataDir,
      log,
      isDatabase: values.database === true,
      urlFile: values["database-url-file"],
      exportFile: values.export,
    };
    const endsAtMs = systemClock.monotonicMs() + waitMs;
    let reports = await verify(request);
    while (isUndecided(reports) && systemClock.monotonicMs() < endsAtMs && !stop.aborted) {
      await sleep(pollMs);
      reports = await verify(request);
    }
    if (options.keys.length === 0) output.note("signatures were not looked at: give --key");
    const isAsked = options.keys.length > 0;
    const unsigned = isAsked ? reports.filter(isUnsigned) : [];
    for (const { logId } of unsigned) output.note(`${logId}: NOTHING in it is shown to be signed`);
    report(output, reports, { isJson: values.json === true, isAsked });
    if (isUndecided(reports)) return exitCodes.undecided;
    return reports.every(({ ok }) => ok) ? exitCodes.done : exitCodes.failed;
  },
};

/** Nothing is wrong in any log, and not everything is proved: time may tell. */
function isUndecided(reports: readonly VerifyReport[]): boolean {
  return (
    reports.every(({ violation }) => violation === undefined) &&
    reports.some(({ undecided }) => undecided !== undefined)
  );
}

interface Request extends VerifyOptions {
  readonly dataDir: string;
  readonly log: Log;
  readonly isDatabase: boolean;
  readonly urlFile: string | undefined;
  readonly exportFile: string | undefined;
}

async function verify(request: Request): Promise<readonly VerifyReport[]> {
  const { exportFile, dataDir, isDatabase, urlFile, keys = [], known = [] } = request;
  if (exportFile !== undefined) {
    return await verifyExport(exportFile, { keys, known }).catch((error) => {
      throw new CommandError(messageOf(error));
    });
  }
  if (isDatabase || urlFile !== undefined) return await verifyDatabase(request);
  const folder = join(dataDir, spoolFolder);
  if (!existsSync(folder)) throw new CommandError(`there is no audit spool at ${folder}`);
  const found = verifySpool(folder, { keys, known, evidenceDir: evidenceFolder(dataDir) });
  if (found.violation !== undefined) return [found];
  return [
    await withKeys(request, async (opener) =>
      opener ? openSpoolParts(folder, found, opener) : found,
    ),
  ];
}

async function verifyDatabase(request: Request): Promise<readonly VerifyReport[]> {
  const { dataDir, urlFile, log, keys = [], known = [] } = request;
  const { openStore } = await import("../storage/open-store.ts");
  if (urlFile === undefined && !existsSync(join(dataDir, "gateway.sqlite"))) {
    throw new CommandError(`there is no embedded database in ${dataDir}`);
  }
  const databaseUrl = urlFile === undefined ? undefined : readText(urlFile).trim();
  const store = await openStore({
    databaseUrl,
    dataDir,
    log,
    deadlineMs: databaseDeadlineMs,
    migrate: false,
  }).catch((error) => {
    throw new CommandError(`the database cannot be opened: ${messageOf(error)}`);
  });
  const evidence = readEvidence(evidenceFolder(dataDir));
  const signedOf = async (logId: string) => {
    const witnessed = await store.checkpoints.last(logId);
    const stored = witnessed === undefined ? [] : [witnessed.note];
    const isNamed = (note: string) => note.startsWith(`mcp-gateway/${logId}\n`);
    return {
      logId,
      keys: keys.filter(({ name }) => name === `mcp-gateway/${logId}`),
      known: known.filter(isNamed),
      checkpoints: urlFile === undefined ? evidence.checkpoints.filter(isNamed) : stored,
      certificates: evidence.certificates,
    };
  };
  try {
    return await withKeys(request, async (opener) => {
      const logs = await Promise.all((await listLogs(store.audit)).map(signedOf));
      const signedSizes = new Map(
        logs.map((one) => [one.logId, signedSizeOf([...one.checkpoints, ...one.known])]),
      );
      const reports: VerifyReport[] = [];
      await Promise.all(
        [...signedSizes].map(([logId, size]) => {
          const copied = async () => (await store.audit.head(logId))?.seq ?? 0;
          return untilCopied({ size, copied, stalledMs, clock: systemClock });
        }),
      );
      for (const { logId, ...own } of logs) {
        const given = { ...own, signedSizes, ...(opener && { opener }) };
        reports.push(await verifyStore(store.audit, logId, given));
      }
      return reports;
    });
  } finally {
    await store.close();
  }
}

/** The keys in the data folder, where there are any: they are opened, never made. */
async function withKeys<T>(
  { dataDir, urlFile, log }: Request,
  work: (opener: Opener | undefined) => Promise<T>,
): Promise<T> {
  const hasKeys = ["vault.key", "vault.sqlite"].every((name) => existsSync(join(dataDir, name)));
  if (urlFile !== undefined || !hasKeys) return await work(undefined);
  const { openKeyVault } = await import("../compose/key-vault.ts");
  const place = {
    dataDir,
    vault: { url: undefined, keyFile: undefined, nodeLocal: true },
    database: { deadlineMs: databaseDeadlineMs },
  };
  const vault = await openKeyVault(place, { clock: systemClock, log }).catch((error) => {
    throw new CommandError(`the vault cannot be opened: ${messageOf(error)}`);
  });
  try {
    return await work(createOpener(vault));
  } finally {
    await vault.close();
  }
}

function parseKey(text: string): VerifierKey {
  try {
    return parseVerifierKey(text);
  } catch (error) {
    if (error instanceof EvidenceError) throw new UsageError(`--key: ${error.message}`);
    throw error;
  }
}

function parseSeconds(text: string): number {
  if (/^\d{1,4}$/.test(text)) return Number(text);
  throw new UsageError("--wait takes whole seconds, 9999 at most");
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new CommandError(`${path} cannot be read: ${messageOf(error)}`);
  }
}

/** Sound as a chain, which whoever can write the files can make anew. */
function isUnsigned({ ok, records, covered }: VerifyReport): boolean {
  return ok && records > 0 && covered === 0;
}

function report(
  output: Output,
  reports: readonly VerifyReport[],
  { isJson, isAsked }: { readonly isJson: boolean; readonly isAsked: boolean },
): void {
  const [only] = reports;
  const ok = reports.every((one) => one.ok);
  if (isJson) {
    output.json(reports.length === 1 ? { ...only, logs: reports } : { ok, logs: reports });
    return;
  }
  if (reports.length === 0) output.line("there is no log");
  for (const one of reports) {
    const { okSealed, okShredded, okPruned } = one.verdicts;
    output.line(`log      ${one.logId === "" ? "(empty)" : one.logId}`);
    output.line(`records  ${one.records}, from ${one.firstSeq} to ${one.lastSeq}`);
    output.line(
      `         ${one.verdicts.ok} open, ${okSealed} sealed, ${okShredded} erased and ${okPruned} deleted by order`,
    );
    output.line(`signed   ${isAsked ? renderCovered(one) : "not looked at: no key was given"}`);
    output.line(`chain    ${one.violation ? "is broken" : "holds"}`);
    const { violation, undecided } = one;
    if (undecided) for (const line of renderUndecided(undecided)) output.line(line);
    if (violation) output.line(`         ${violation.kind}: ${violation.message}`);
  }
}

function renderUndecided({ kind, records, message }: Undecided): readonly string[] {
  return [
    `gone     ${records} records, which is NOT PROVED to be lawful yet`,
    `         ${kind}: ${message}`,
    "         look again in some seconds, or with --wait; what stays so has to be explained",
  ];
}

function renderCovered({ covered, lastSeq }: VerifyReport): string {
  if (covered === 0) return "NOTHING: no record is shown to be under a signed checkpoint";
  const after = lastSeq > covered ? `; what follows, to ${lastSeq}, is not` : "";
  return `${covered} records${after}`;
}
