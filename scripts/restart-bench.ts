/**
 * `bun scripts/restart-bench.ts [--spool-gib 0] [--tail-mib 62] [--rounds 5] [--unsigned] [--cold] [--budget-ms MS]`: how
 * long the executable takes after a kill -9 from the start of its process to `/health/ready`, on a spool of so
 * many GiB whose newest segment is nearly full; with `--unsigned` no checkpoint covers that segment. Each round starts
 * on the same folder as the crash left it. Fails where the median is over the budget.
 */
import { cpSync, linkSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { cpuMicroseconds } from "../test/bench/process-cost.ts";
import { freePort } from "../test/support/free-port.ts";
import { startGateway } from "../test/support/gateway-process.ts";
import { type MadeLog, makeLongLog } from "../test/support/long-log.ts";
import { temporaryFolder } from "../test/support/temporary-folder.ts";

const { values } = parseArgs({
  options: {
    "spool-gib": { type: "string", default: "0" },
    "tail-mib": { type: "string", default: "62" },
    "record-bytes": { type: "string", default: "4096" },
    rounds: { type: "string", default: "5" },
    unsigned: { type: "boolean", default: false },
    cold: { type: "boolean", default: false },
    "budget-ms": { type: "string", default: "" },
    make: { type: "string" },
  },
});
const spoolGib = Number(values["spool-gib"]);
const budgetMs = Number(values["budget-ms"] || (spoolGib > 0 ? 3000 : 1000));
const mebibyte = 2 ** 20;
const audit = { spool_bytes_max: (spoolGib + 2) * 1024 * mebibyte };

/** In a process of its own, which ends as in a crash: with its files open, and its folder locked. */
async function makeAndDie(dataDir: string): Promise<never> {
  const made = await makeLongLog({
    dataDir,
    closedBytes: spoolGib * 1024 * mebibyte,
    tailBytes: Number(values["tail-mib"]) * mebibyte,
    isTailSigned: !values.unsigned,
    recordBytes: Number(values["record-bytes"]),
  });
  await Bun.write(Bun.stdout, `${JSON.stringify(made)}\n`);
  process.kill(process.pid, "SIGKILL");
  throw new Error("it goes on");
}

function makeCrashed(dataDir: string): MadeLog {
  const command = [process.execPath, import.meta.path, ...process.argv.slice(2), "--make", dataDir];
  const made = Bun.spawnSync(command, { stderr: "inherit" });
  if (made.signalCode !== "SIGKILL") throw new Error(`the log was not made: ${made.stdout}`);
  return JSON.parse(made.stdout.toString());
}

/** Closed segments and tiles are never written to under their names, so these are linked; the rest is copied. */
function copyFolder(from: string, to: string, depth = 0): void {
  mkdirSync(to, { mode: 0o700 });
  const entries = readdirSync(from, { withFileTypes: true });
  const newest = entries
    .map(({ name }) => name)
    .filter((name) => name.endsWith(".seg"))
    .sort()
    .at(-1);
  for (const entry of entries) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    const isKept = from.includes("/evidence/tile") || entry.name.endsWith(".seg");
    if (entry.isDirectory()) copyFolder(source, target, depth + 1);
    else if (isKept && entry.name !== newest) linkSync(source, target);
    else cpSync(source, target);
  }
}

/** Has the kernel forget what it read of the spool: the next one reads the disk. */
function forget(dir: string): void {
  Bun.spawnSync(["sync", "-f", dir]);
  for (const name of readdirSync(dir)) {
    Bun.spawnSync(["dd", `if=${join(dir, name)}`, "iflag=nocache", "count=0"]);
  }
}

interface Round {
  readonly readyMs: number;
  readonly cpuMs: number;
  readonly readMib: number;
  readonly readBySecondMib: number;
  readonly said: readonly string[];
}

async function startOnce(dataDir: string): Promise<Round> {
  const opsPort = freePort();
  const startedMs = performance.now();
  const child = { pid: 0, readyMs: 0, cpuMs: 0, readMib: 0 };
  const starting = startGateway({ dataDir, opsPort, config: { audit }, startTimeoutMs: 120_000 });
  const url = `http://127.0.0.1:${opsPort}/health/ready`;
  while (child.readyMs === 0) {
    const answer = await fetch(url, { keepalive: false }).catch(() => undefined);
    if (answer?.status === 200) child.readyMs = performance.now() - startedMs;
    else await Bun.sleep(3);
    if (performance.now() - startedMs > 120_000) break;
  }
  await using gateway = await starting;
  const { pid } = gateway;
  const round = {
    readyMs: child.readyMs,
    cpuMs: cpuMicroseconds(pid) / 1000,
    readMib: readBytes(pid),
  };
  const isWhole = gateway.stdout().includes("audit.nothing_is_signed") === false;
  if (!isWhole) throw new Error(`nothing is signed: ${gateway.stdout()}`);
  await Bun.sleep(1000);
  const said = gateway
    .stdout()
    .split("\n")
    .filter((line) => line.includes('"level":"error"'));
  const readBySecondMib = readBytes(pid);
  gateway.kill("SIGKILL");
  await gateway.exited;
  return { ...round, readBySecondMib, said };
}

/** What the process asked the kernel to read so far, MiB. */
function readBytes(pid: number): number {
  const io = readFileSync(`/proc/${pid}/io`, "utf8");
  return Number(/^rchar: (\d+)$/m.exec(io)?.[1]) / mebibyte;
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}

async function measure(): Promise<void> {
  await using folder = temporaryFolder("restart-bench");
  const crashed = join(folder.path, "crashed");
  await (await startGateway({ dataDir: crashed, config: { audit } }))[Symbol.asyncDispose]();
  const startedMs = performance.now();
  const made = makeCrashed(crashed);
  console.log(
    `made in ${Math.round((performance.now() - startedMs) / 1000)} s:`,
    JSON.stringify(made),
  );
  const rounds: Round[] = [];
  for (let at = 0; at < Number(values.rounds); at += 1) {
    const dataDir = join(folder.path, "data");
    copyFolder(crashed, dataDir);
    if (values.cold) forget(join(dataDir, "spool"));
    const round = await startOnce(dataDir);
    rounds.push(round);
    console.log(JSON.stringify(round));
    rmSync(dataDir, { recursive: true });
  }
  const of = (name: "readyMs" | "cpuMs" | "readMib") =>
    Math.round(median(rounds.map((one) => one[name])));
  const readyMs = of("readyMs");
  console.log(
    `ready after ${readyMs} ms, ${of("cpuMs")} ms of CPU, ${of("readMib")} MiB read (medians of ${rounds.length}); allowed: ${budgetMs} ms`,
  );
  if (!(readyMs <= budgetMs)) process.exitCode = 1;
}

if (values.make === undefined) await measure();
else await makeAndDie(values.make);
