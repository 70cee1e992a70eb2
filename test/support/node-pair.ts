/**
 * Two gateways that share one PostgreSQL: the records in one database of it, the key vault in another, as nodes of one
 * installation do; and what only a test may know of the keys in that vault. Asserts nothing.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Client } from "pg";
import { createOpener } from "../../src/audit/opener.ts";
import { loadKey } from "../../src/identity/key-file.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { openStore } from "../../src/storage/open-store.ts";
import { openVaultStore } from "../../src/storage/vault-store.ts";
import { silentLog } from "../../src/telemetry/log.ts";
import { openVault } from "../../src/vault/vault.ts";
import { type AdminClient, createAdminClient } from "./admin-client.ts";
import { formsOf } from "./bytes-on-disk.ts";
import { type GatewayProcess, startGateway } from "./gateway-process.ts";
import { startPostgres } from "./postgres.ts";
import { temporaryFolder } from "./temporary-folder.ts";

export interface PairedNode {
  readonly dataDir: string;
  /** Of the process that runs now. */
  gateway(): GatewayProcess;
  admin(): AdminClient;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** What is to be gone once a person is erased: in clear nowhere at any time, and as stored. */
export interface PersonTraces {
  /** The key's id. */
  readonly key: string;
  readonly records: number;
  readonly dek: Uint8Array;
  readonly clear: Readonly<Record<string, readonly Buffer[]>>;
  readonly stored: Readonly<Record<string, readonly Buffer[]>>;
}

export interface NodePair extends AsyncDisposable {
  readonly here: PairedNode;
  readonly there: PairedNode;
  /** PostgreSQL's whole folder. */
  readonly pgdata: string;
  readonly recordsUrl: string;
  /** Runs statements in one of the two databases; resolves with the rows of the last. */
  sql(
    database: "records" | "vault",
    ...statements: readonly string[]
  ): Promise<readonly Readonly<Record<string, unknown>>[]>;
  /** `asked` are texts that only this person's records hold. */
  tracesOf(principal: string, asked: readonly string[]): Promise<PersonTraces>;
}

/** `from` as in `startGateway`. */
export async function startNodePair(from: "executable" | "source"): Promise<NodePair> {
  await using stack = new AsyncDisposableStack();
  // A segment of the journal that is no longer kept goes, and is not used again with what it held.
  const postgres = stack.use(await startPostgres({ wal_recycle: "off" }));
  const folder = stack.use(temporaryFolder("node-pair")).path;
  const urls = { records: postgres.url, vault: postgres.url.replace(/\/postgres$/, "/vault") };
  await query(urls.records, ["create database vault"]);
  const [shown] = await query(urls.records, ["show data_directory"]);
  const keyFile = join(folder, "shared.key");
  writeFileSync(keyFile, crypto.getRandomValues(new Uint8Array(32)), { mode: 0o600 });
  const start = (dataDir: string) =>
    startGateway({
      from,
      dataDir,
      env: { DATABASE_URL: urls.records, MCP_GATEWAY_VAULT_URL: urls.vault },
      config: {
        identity: { token_key_file: keyFile },
        vault: { key_file: keyFile },
        audit: { bodies: { arguments: ["INTERNAL"] } },
      },
    });
  const here = await startNode(join(folder, "here"), start);
  stack.defer(here.stop);
  const there = await startNode(join(folder, "there"), start);
  stack.defer(there.stop);
  const parts = stack.move();
  return {
    here,
    there,
    pgdata: String(shown?.data_directory),
    recordsUrl: urls.records,
    sql: (database, ...statements) => query(urls[database], statements),
    tracesOf: (principal, asked) => collectTraces({ urls, keyFile, folder }, principal, asked),
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

async function startNode(
  dataDir: string,
  startOn: (dataDir: string) => Promise<GatewayProcess>,
): Promise<PairedNode> {
  let gateway = await startOn(dataDir);
  let admin = createAdminClient(gateway);
  return {
    dataDir,
    gateway: () => gateway,
    admin: () => admin,
    async start() {
      gateway = await startOn(dataDir);
      admin = createAdminClient(gateway);
    },
    async stop() {
      admin[Symbol.dispose]();
      await gateway[Symbol.asyncDispose]();
    },
  };
}

async function query(url: string, statements: readonly string[]) {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    let rows: readonly Readonly<Record<string, unknown>>[] = [];
    for (const statement of statements) rows = (await client.query(statement)).rows;
    return rows;
  } finally {
    await client.end();
  }
}

interface Place {
  readonly urls: { readonly records: string; readonly vault: string };
  readonly keyFile: string;
  readonly folder: string;
}

async function collectTraces(
  place: Place,
  principal: string,
  asked: readonly string[],
): Promise<PersonTraces> {
  const own = { dataDir: place.folder, log: silentLog, deadlineMs: 10_000 };
  const vault = await openVault({
    store: await openVaultStore({ ...own, url: place.urls.vault, waitMs: 0 }),
    root: await loadKey(place.keyFile),
    rootPath: place.keyFile,
    clock: systemClock,
  });
  const store = await openStore({ ...own, databaseUrl: place.urls.records, migrate: false });
  try {
    const [id = ""] = await vault.keysOf({ tenant: "", principal });
    const [stored] = await vault.store.byIds([id]);
    if (stored === undefined) throw new Error(`${principal} has no key`);
    const dek = Uint8Array.from(await vault.ring.open(stored));
    const scan = { filter: {}, limit: 5_000, order: "ascending" } as const;
    const { rows } = await store.audit.scan(scan);
    const sealed = rows.filter((row) => row.details?.includes(`"subject":"${id}"`));
    const opened = await createOpener(vault).open(sealed, "randoms");
    const parts = sealed.map((row) => JSON.parse(row.details ?? "{}"));
    return {
      key: id,
      records: sealed.length,
      dek,
      clear: {
        dek: formsOf(dek),
        randoms: opened.flatMap((one) => formsOf(one.random ?? new Uint8Array())),
        values: [...asked, principal].map((text) => Buffer.from(text)),
      },
      stored: {
        wrapped: [Buffer.from(stored.wrapped ?? ""), Buffer.from(stored.wrapped ?? "", "base64")],
        owner: [Buffer.from(stored.owner ?? "")],
        tokens: [Buffer.from(sealed[0]?.principal ?? "")],
        sealed: parts.map((part) => Buffer.from(part.sealed)),
        salts: parts.map((part) => Buffer.from(part.salt)),
      },
    };
  } finally {
    await store.close();
    await vault.close();
  }
}
