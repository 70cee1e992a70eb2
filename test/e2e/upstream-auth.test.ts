/**
 * The gateway as its servers see it: who it says it is, in whose name it calls, and what of an agent's credential never
 * reaches them; and where the secrets for it lie. One executable, real servers, a real authorization server.
 */
import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { SignJWT } from "jose";
import { type AdminClient, createAdminClient } from "../support/admin-client.ts";
import { startHttpV2 } from "../support/fake-servers/network.ts";
import { type GatewayProcess, startGateway } from "../support/gateway-process.ts";
import { modernCall } from "../support/modern-agent.ts";
import {
  type Authority,
  clientSecret,
  type Guarded,
  startAuthority,
  startGuarded,
  startListeningGuard,
} from "../support/oauth-servers.ts";
import { allRecords, registerClient, registerHttpServer } from "../support/operator.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const stack = new AsyncDisposableStack();
const audience = "https://gateway.example/mcp";
const signingSecret = crypto.getRandomValues(Buffer.alloc(64)).toString("hex");
const gatewaySecret = "canary-gateway-secret-0123456789";
const staticKey = "canary-static-key-0123456789";
const config = {
  identity: {
    jwt: {
      issuers: [
        {
          issuer: "https://secret.example",
          audiences: [audience],
          algorithms: ["HS256"],
          secret: signingSecret,
        },
      ],
    },
  },
};
let folder = "";
let gateway: GatewayProcess;
let admin: AdminClient;
let authority: Authority;
let guarded: Guarded;
let listening: Guarded;
let clientToken = "";

const tokenOf = (user: string) =>
  new SignJWT({ sub: user, roles: ["caller"] })
    .setIssuer("https://secret.example")
    .setAudience(audience)
    .setProtectedHeader({ alg: "HS256" })
    .setIssuedAt()
    .setExpirationTime("5m")
    .sign(Buffer.from(signingSecret));

const echo = (server: string, token: string, headers = {}) =>
  modernCall({
    base: gateway.agents,
    token,
    method: "tools/call",
    params: { name: `${server}__echo`, arguments: { text: "hello" } },
    headers,
  });

beforeAll(async () => {
  folder = stack.use(temporaryFolder("upstream-auth")).path;
  authority = stack.use(await startAuthority());
  const fake = await startHttpV2();
  stack.defer(() => fake.stop());
  guarded = stack.use(await startGuarded(fake.url, authority));
  listening = stack.use(await startListeningGuard(fake.url));
  gateway = await startGateway({ dataDir: join(folder, "data"), config });
  admin = createAdminClient(gateway);
  await registerHttpServer(admin, "exchanging", guarded.url, {
    auth: {
      oauth: {
        grant: "OAUTH_GRANT_TOKEN_EXCHANGE",
        client_id: "gateway",
        client_secret: clientSecret,
        issuer: authority.issuer,
      },
    },
  });
  await registerHttpServer(admin, "trusting", listening.url, {
    remote: {
      kind: "REMOTE_KIND_STREAMABLE_HTTP",
      url: listening.url,
      headers: { "X-Api-Key": staticKey },
    },
    auth: { gateway_secret: gatewaySecret, tells_user: true },
  });
  const permissions = ["exchanging", "trusting"].map((server) => ({
    resource: `mcp:${server}:*`,
    actions: ["POLICY_ACTION_ANY"],
  }));
  await admin.call("PolicyService", "CreateRole", { role: { name: "caller", permissions } });
  clientToken = await registerClient(admin, "ci", { roles: ["caller"], allowed_tools: ["*"] });
});
afterAll(async () => {
  admin?.[Symbol.dispose]();
  await gateway?.[Symbol.asyncDispose]();
  await stack.disposeAsync();
});

describe("in whose name a server is called", () => {
  test("UP-10 each user by a token made from their own, which itself stays here", async () => {
    for (const user of ["alice", "bob"]) {
      const token = await tokenOf(user);
      const answer = await echo("exchanging", token, { Cookie: "session=canary-cookie" });
      expect(answer.result).toMatchObject({ resultType: "complete" });
      const seen = JSON.stringify([guarded.passed, guarded.refused, listening.passed]);
      expect(seen).not.toContain(token);
      expect(seen).not.toContain("canary-cookie");
      const upstream = guarded.passed.at(-1)?.authorization ?? "";
      const claims = JSON.parse(Buffer.from(upstream.split(".")[1] ?? "", "base64url").toString());
      expect(claims).toMatchObject({ act_for: user, aud: guarded.url });
      expect(answer.text).not.toContain(upstream.slice("Bearer ".length));
    }
    const subjects = authority.tokenRequests.flatMap(
      ({ params }) => params.get("subject_token") ?? [],
    );
    expect(new Set(subjects).size).toBe(2);
  });

  test("a client's token is no user's: refused, with the server's name and nothing of its own", async () => {
    const answer = await echo("exchanging", clientToken);
    expect(answer.error?.code).toBe(40301);
    expect(answer.error?.message).toContain("in a user's name");
    expect(JSON.stringify([guarded.passed, authority.tokenRequests.map(String)])).not.toContain(
      clientToken,
    );
  });

  test("R13 AN-22 the gateway says who calls; what an agent says of it is not passed on", async () => {
    const forged = {
      "X-User-ID": "root",
      "X-Gateway-Auth": "forged",
      "X-Api-Key": "forged",
      Cookie: "a=canary-cookie",
      "Proxy-Authorization": "Basic canary",
    };
    const token = await tokenOf("alice");
    for (const [bearer, user] of [
      [token, "user:https://secret.example#alice"],
      [clientToken, "client:ci"],
    ] as const) {
      const answer = await echo("trusting", bearer, forged);
      expect(answer.result).toMatchObject({ resultType: "complete" });
      expect(listening.passed.at(-1)).toMatchObject({
        "x-gateway-auth": gatewaySecret,
        "x-user-id": user,
        "x-api-key": staticKey,
      });
    }
    const seen = JSON.stringify(listening.passed);
    for (const secret of ["forged", '"root"', "canary-cookie", token, clientToken]) {
      expect(seen).not.toContain(secret);
    }
    expect(seen).not.toContain("proxy-authorization");
  });
});

describe("where the secrets lie", () => {
  const secrets = [clientSecret, gatewaySecret, staticKey];
  const expectNowhere = (text: string) => {
    for (const secret of secrets) expect(text.includes(secret)).toBe(false);
  };
  const filesOf = (path: string): string[] =>
    readdirSync(path, { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() ? filesOf(join(path, entry.name)) : [join(path, entry.name)],
    );
  const databasePath = () => {
    // The vault of records' keys has a database of its own beside it.
    const found = filesOf(gateway.dataDir).find((path) => path.endsWith("/gateway.sqlite"));
    if (found === undefined) throw new Error("no database");
    return found;
  };
  const stop = async () => {
    admin[Symbol.dispose]();
    gateway.kill("SIGTERM");
    await gateway.exited;
  };
  const start = async (more: object = {}) => {
    gateway = await startGateway({ dataDir: join(folder, "data"), config: { ...config, ...more } });
    admin = createAdminClient(gateway);
  };

  test("UP-21 sealed in the database, and nowhere in files, records, log or answers", async () => {
    expect(statSync(join(gateway.dataDir, "secrets.key")).mode & 0o777).toBe(0o600);
    const files = filesOf(gateway.dataDir);
    expect(files.length).toBeGreaterThan(3);
    for (const path of files) expectNowhere(readFileSync(path, "latin1"));
    expectNowhere(gateway.stdout() + gateway.stderr());
    expectNowhere(JSON.stringify(await allRecords(admin)));
    expectNowhere(JSON.stringify(await admin.call("ServerService", "ListServers", {})));
    const text = readFileSync(databasePath(), "latin1") + walOf(databasePath());
    expect(text).toContain("sealed:1:");
  });

  test("a gateway with another key refuses to start, and says which file is missing", async () => {
    await stop();
    const otherKey = join(folder, "other.key");
    const failure = await start({ servers: { secrets_key_file: otherKey } }).then(
      () => "started",
      String,
    );
    expect(failure).toContain("is sealed under key");
    expect(failure).toContain("servers.secrets_key_file");
    expectNowhere(failure);
    await start();
    expect((await echo("trusting", clientToken)).result).toMatchObject({ resultType: "complete" });
    expect(listening.passed.at(-1)?.["x-api-key"]).toBe(staticKey);
  });

  test("what an older gateway stored plainly is sealed at the start", async () => {
    await stop();
    const database = new Database(databasePath());
    const row = database
      .query<{ body: string }, []>("SELECT body FROM resources WHERE name = 'trusting'")
      .get();
    const body = JSON.parse(row?.body ?? "{}");
    expect(body.transport.headers["X-Api-Key"]).toStartWith("sealed:1:");
    body.transport.headers["X-Api-Key"] = staticKey;
    database.run("UPDATE resources SET body = ? WHERE name = 'trusting'", [JSON.stringify(body)]);
    database.close();
    await start();
    expect(gateway.stdout()).toContain('"event":"secrets.sealed"');
    expect((await echo("trusting", clientToken)).result).toMatchObject({ resultType: "complete" });
    expect(listening.passed.at(-1)?.["x-api-key"]).toBe(staticKey);
    await stop();
    const after = new Database(databasePath(), { readonly: true });
    const stored = after.query("SELECT body FROM resources WHERE kind = 'server'").all();
    expectNowhere(JSON.stringify(stored));
    after.close();
    await start();
  });
});

/** What was written and not yet taken into the database's own file. */
function walOf(path: string): string {
  try {
    return readFileSync(`${path}-wal`, "latin1");
  } catch {
    return "";
  }
}
