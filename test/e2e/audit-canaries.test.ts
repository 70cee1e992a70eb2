/**
 * R-35, PV-11 for what the audit log leaves behind: after a real run of the executable no personal value (who called,
 * their groups, what they asked and were answered) lies anywhere in clear, on SQLite and on PostgreSQL; and an auditor
 * still reads all of it.
 */
import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type JWTPayload, SignJWT } from "jose";
import { Client } from "pg";
import { type AdminClient, createAdminClient } from "../support/admin-client.ts";
import { until } from "../support/deadline.ts";
import { startGateway } from "../support/gateway-process.ts";
import { modernCall } from "../support/modern-agent.ts";
import { registerClient, registerHttpServer } from "../support/operator.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { startTinyServer, type TinyServer } from "../support/tiny-server.ts";

const people = Array.from({ length: 50 }, (_, at) => ({
  sub: `canary-person-${at}@example.org`,
  group: `canary-group-${at}`,
  asked: `canary-asked-${at}-Zoë`,
  secret: `canary-secret-${at}`,
}));
const canaries = people.flatMap((person) => Object.values(person));
/** Registered, so it stands among the operators' resources in clear; in the records it may not. */
const registered = "canary-registered-client";

const secret = crypto.getRandomValues(Buffer.alloc(64)).toString("hex");
const issuer = "https://idp.example";
const audience = "https://gateway.example/mcp";
const auditorToken = "auditor-with-a-token-of-32-characters";

const stack = new AsyncDisposableStack();
let postgres: TestPostgres;
let tiny: TinyServer;
let secretFile = "";

beforeAll(async () => {
  postgres = stack.use(await startPostgres());
  tiny = stack.use(startTinyServer());
  secretFile = join(stack.use(temporaryFolder("canaries")).path, "secret");
  await Bun.write(secretFile, secret);
  await Bun.$`chmod 600 ${secretFile}`.quiet();
});
afterAll(() => stack.disposeAsync());

function config() {
  const digest = new Bun.CryptoHasher("sha256").update(auditorToken).digest("hex");
  const operators = [{ name: "auditor", roles: ["auditor"], token_sha256: digest }];
  const one = { issuer, audiences: [audience], algorithms: ["HS256"], secret_file: secretFile };
  return {
    admin: { operators },
    identity: { jwt: { issuers: [one] } },
    audit: { bodies: { arguments: ["INTERNAL"], result: ["INTERNAL"] } },
  };
}

const nowSeconds = () => Math.floor((performance.timeOrigin + performance.now()) / 1000);

function sign(claims: JWTPayload): Promise<string> {
  const now = nowSeconds();
  return new SignJWT({ iss: issuer, aud: audience, iat: now, exp: now + 300, ...claims })
    .setProtectedHeader({ alg: "HS256" })
    .sign(Buffer.from(secret));
}

async function allowEcho(admin: AdminClient): Promise<void> {
  await registerHttpServer(admin, "tiny", tiny.url, { data_class: "DATA_CLASS_INTERNAL" });
  const permissions = [{ resource: "mcp:tiny:*", actions: ["POLICY_ACTION_ANY"] }];
  await admin.call("PolicyService", "CreateRole", { role: { name: "caller", permissions } });
}

/** One call that its own list allows, and one that it does not. */
async function callRegistered(base: string, token: string): Promise<void> {
  for (const name of ["tiny__echo", "tiny__slow"]) {
    await modernCall({ base, token, method: "tools/call", params: { name, arguments: {} } });
  }
}

async function callAsAll(base: string): Promise<void> {
  for (const { sub, group, asked, secret: password } of people) {
    const token = await sign({ sub, roles: ["caller"], groups: [group] });
    const params = { name: "tiny__echo", arguments: { text: asked, password } };
    const answer = await modernCall({ base, token, method: "tools/call", params });
    expect(answer.text).toContain(asked);
  }
}

interface Found {
  readonly records: readonly { readonly details_json: string; readonly seal_state: string }[];
}

/** What an auditor reads of one person, once the copy has it. */
async function readPerson(auditor: AdminClient, sub: string): Promise<Found["records"]> {
  const filter = { principal: `user:${issuer}#${sub}`, event: "call.outcome" };
  return until("the person's record", async () => {
    const { records } = await auditor.call<Found>("AuditService", "QueryRecords", { filter });
    return records.length > 0 && records;
  });
}

function filesBelow(folder: string): readonly string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

function findCanaries(name: string, bytes: Buffer, looked = canaries): readonly string[] {
  return looked.filter((canary) => bytes.includes(canary)).map((canary) => `${name}: ${canary}`);
}

async function dumpTables(url: string, wanted = /./): Promise<Buffer> {
  const database = new Client({ connectionString: url });
  await database.connect();
  try {
    const { rows } = await database.query<{ readonly name: string }>(
      "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public'",
    );
    const texts: string[] = [];
    for (const { name } of rows.filter((row) => wanted.test(row.name))) {
      const { rows: all } = await database.query(`SELECT t::text AS text FROM "${name}" t`);
      texts.push(name, ...all.map(({ text }) => String(text)));
    }
    return Buffer.from(texts.join("\n"));
  } finally {
    await database.end();
  }
}

describe.each(["SQLite", "PostgreSQL"])("on %s", (kind) => {
  test("R-35 no personal value lies in clear, and an auditor reads them all", async () => {
    await using folder = temporaryFolder("canaries-data");
    const dataDir = join(folder.path, "data");
    const env = { DATABASE_URL: postgres.url, MCP_GATEWAY_VAULT_URL: postgres.url };
    const own = kind === "PostgreSQL" ? { env } : {};
    let said = "";
    {
      await using gateway = await startGateway({ ...own, dataDir, config: config() });
      using admin = createAdminClient(gateway);
      using auditor = createAdminClient({ ...gateway, adminToken: auditorToken });
      await allowEcho(admin);
      const allowed = { allowed_tools: ["tiny__echo"] };
      await callRegistered(gateway.agents, await registerClient(admin, registered, allowed));
      await callAsAll(gateway.agents);
      for (const person of people) {
        const [record] = await readPerson(auditor, person.sub);
        expect(record?.seal_state).toBe("SEAL_STATE_OPEN");
        const details = JSON.parse(record?.details_json ?? "{}");
        expect(details.groups).toBe(JSON.stringify([person.group]));
        expect(details.arguments).toContain(person.asked);
        expect(details.arguments).toContain('"password":"[redacted]"');
        expect(details.result).toContain(person.asked);
        expect(record?.details_json).not.toContain(person.secret);
      }
      said = gateway.stdout() + gateway.stderr();
    }
    const files = filesBelow(dataDir);
    expect(files.some((path) => path.endsWith(".seg"))).toBe(true);
    const found = files.flatMap((path) => findCanaries(path, readFileSync(path)));
    found.push(...findCanaries("its log", Buffer.from(said)));
    for (const path of files.filter((one) => /\/(?:spool|evidence)\//.test(one))) {
      found.push(...findCanaries(path, readFileSync(path), [registered]));
    }
    if (kind === "SQLite") {
      const rows = new Database(join(dataDir, "gateway.sqlite")).query(
        "SELECT * FROM audit_records",
      );
      const text = JSON.stringify(rows.all());
      expect(text).toContain("call.outcome");
      found.push(...findCanaries("audit_records", Buffer.from(text), [registered]));
    }
    if (kind === "PostgreSQL") {
      const dump = await dumpTables(postgres.url);
      expect(dump.includes("audit_records")).toBe(true);
      expect(dump.includes('"sealed"')).toBe(true);
      found.push(...findCanaries("PostgreSQL", dump));
      const records = await dumpTables(postgres.url, /^(?:audit|vault)/);
      found.push(...findCanaries("records in PostgreSQL", records, [registered]));
    }
    expect(found).toEqual([]);
  });
});
