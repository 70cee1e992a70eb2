/**
 * What becomes of clients over time, through the executable: networks served at all, last use across restarts, the
 * longest life of sessions, and the development issuer.
 */
import { afterAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createAdminClient } from "../support/admin-client.ts";
import { until } from "../support/deadline.ts";
import { executable, startGateway } from "../support/gateway-process.ts";
import { modernCall } from "../support/modern-agent.ts";
import { allRecords, registerClient } from "../support/operator.ts";
import { openRawWebSocket } from "../support/raw-websocket.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const folder = temporaryFolder("client-life");
afterAll(() => folder[Symbol.asyncDispose]());

test("A08: a network that is not served gets 403 everywhere, credential or not, and is recorded", async () => {
  const config = {
    agents: {
      trusted_proxies: ["127.0.0.1"],
      denied_networks: ["198.51.100.0/24", "2001:db8::/32"],
    },
  };
  await using gateway = await startGateway({ config });
  await using admin = createAdminClient(gateway);
  const token = await registerClient(admin, "ci");
  const list = (address: string, own = token) =>
    modernCall({
      base: gateway.agents,
      token: own,
      method: "tools/list",
      headers: { "X-Forwarded-For": address },
    });
  for (const address of ["198.51.100.7", "::ffff:198.51.100.7", "2001:db8::7"]) {
    const refused = await list(address);
    expect(refused.status, address).toBe(403);
    expect((await list(address, "wrong")).text).toBe(refused.text);
    for (const path of ["/health", "/", "/all/sse", "/all/ws-ticket"]) {
      const headers = { "X-Forwarded-For": address };
      expect((await fetch(gateway.agents + path, { headers })).status, path).toBe(403);
    }
    const upgrade = await openRawWebSocket({
      base: gateway.agents,
      path: "/ws",
      headers: { Authorization: `Bearer ${token}`, "X-Forwarded-For": address },
    });
    expect("refusal" in upgrade && upgrade.refusal.status).toBe(403);
  }
  expect((await list("203.0.113.7")).status).toBe(200);
  await until("its record", async () => {
    const records = await allRecords(admin, { event: "traffic.rejected" });
    return records.some(({ envelope_json }) => envelope_json.includes("origin-refused:network"));
  });
});

test("A02: last use of client and token is known at once, and after a restart", async () => {
  const dataDir = join(folder.path, "used");
  const seen = async (admin: ReturnType<typeof createAdminClient>) => {
    const { client } = await admin.call<{ client: { last_used_at_ms?: number } }>(
      "ClientService",
      "GetClient",
      { id: "ci" },
    );
    const { tokens } = await admin.call<{ tokens: readonly { last_used_at_ms?: number }[] }>(
      "ClientService",
      "ListTokens",
      { client_id: "ci" },
    );
    return [client.last_used_at_ms, tokens[0]?.last_used_at_ms].map((one) => Number(one ?? 0));
  };
  let used: readonly number[];
  {
    await using gateway = await startGateway({ dataDir });
    await using admin = createAdminClient(gateway);
    const token = await registerClient(admin, "ci");
    expect(await seen(admin)).toEqual([0, 0]);
    await modernCall({ base: gateway.agents, token, method: "tools/list" });
    used = await seen(admin);
    expect(used[0]).toBeGreaterThan(1_700_000_000_000);
    expect(used[1]).toBe(used[0] ?? 0);
  }
  await using gateway = await startGateway({ dataDir });
  await using admin = createAdminClient(gateway);
  expect(await seen(admin)).toEqual([...used]);
});

test("A10: a session and a socket end some day, however busy", async () => {
  await using gateway = await startGateway({ config: { agents: { session_max_seconds: 1 } } });
  await using admin = createAdminClient(gateway);
  const token = await registerClient(admin, "ci");
  const upgrade = await openRawWebSocket({
    base: gateway.agents,
    path: "/ws",
    headers: { Authorization: `Bearer ${token}` },
  });
  if ("refusal" in upgrade) throw new Error("refused");
  using socket = upgrade.webSocket;
  expect(await socket.next()).toBe(4404);
});

test("A12, J12: the development issuer mints what the gateway believes, for its token's holder", async () => {
  const dataDir = join(folder.path, "dev");
  const config = { identity: { dev_issuer: { enabled: true, port: 0 } } };
  await using gateway = await startGateway({ dataDir, config });
  const issuer = await until(
    "the issuer's line",
    () => /"url":"(http:\/\/127\.0\.0\.1:\d+)","warning"/.exec(gateway.stdout())?.[1],
  );
  expect(gateway.stdout()).toContain("identity.dev_issuer is on");
  const issuerToken = readFileSync(join(dataDir, "dev-issuer.token"), "utf8");
  const ask = (body: unknown, given = issuerToken) =>
    fetch(`${issuer}/token`, {
      method: "POST",
      headers: { "X-Issuer-Token": given },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
  const good = { user_id: "alice", roles: ["reader"], workspace: "w" };
  const minted = (await (await ask(good)).json()) as { access_token: string };
  expect(minted).toMatchObject({ token_type: "Bearer", expires_in: 1_800 });
  const list = (token: string) => modernCall({ base: gateway.agents, token, method: "tools/list" });
  expect((await list(minted.access_token)).status).toBe(200);
  const jwks = await fetch(`${issuer}/.well-known/jwks.json`);
  const { keys } = (await jwks.json()) as { keys: readonly object[] };
  expect(keys).toHaveLength(1);
  expect(keys[0]).not.toHaveProperty("d");

  expect((await ask({ user_id: "alice" }, "wrong")).status).toBe(401);
  expect((await ask({ user_id: "alice" }, "")).status).toBe(401);
  expect((await fetch(`${issuer}/token`)).status).toBe(405);
  const bad: unknown[] = [
    "{",
    {},
    { user_id: "" },
    { user_id: "a", roles: "x" },
    { user_id: "a", admin: true },
  ];
  bad.push({ user_id: "a", expires_in_seconds: 86_401 });
  for (const body of bad) expect((await ask(body)).status, JSON.stringify(body)).toBe(400);

  const configFile = join(folder.path, "dev.json");
  await Bun.write(configFile, JSON.stringify(config));
  const mint = (...more: readonly string[]) =>
    Bun.spawnSync([
      executable,
      ...["token", "mint", "--user", "bob", "--role", "reader", "--data-dir", dataDir],
      ...more,
    ]);
  const own = mint("--config", configFile);
  expect(own.exitCode).toBe(0);
  expect((await list(own.stdout.toString().trim())).status).toBe(200);
  expect(mint().stderr.toString()).toContain("identity.dev_issuer.enabled is off");
  const strict = mint("--config", configFile, "--preset", "production");
  expect(strict.exitCode).toBe(1);
  expect(strict.stderr.toString()).toContain("refused under the production preset (dev-issuer)");
});
