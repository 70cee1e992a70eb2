/**
 * The way in for operators: roles, TLS and client certificates, health and reflection, and clients that know nothing
 * of this project: `buf curl` by reflection alone, and grpc-js under Node from the .proto files.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as grpc from "@grpc/grpc-js";
import { type AdminClient, createAdminClient } from "../support/admin-client.ts";
import { type Authority, type Certificate, createAuthority } from "../support/certificates.ts";
import { runGateway } from "../support/command-line.ts";
import { until } from "../support/deadline.ts";
import { type GatewayProcess, repository, startGateway } from "../support/gateway-process.ts";
import { modernCall } from "../support/modern-agent.ts";
import { allRecords, registerHttpServer } from "../support/operator.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { startTinyServer } from "../support/tiny-server.ts";

const { UNAUTHENTICATED, PERMISSION_DENIED, UNAVAILABLE } = grpc.status;
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
const tokens = {
  viewer: `viewer-${crypto.randomUUID()}`,
  auditor: `auditor-${crypto.randomUUID()}`,
  operator: `operator-${crypto.randomUUID()}`,
};
const operators = Object.entries(tokens).map(([role, token]) => ({
  name: `the-${role}`,
  roles: [role],
  token_sha256: sha256(token),
}));

const code = (call: Promise<unknown>): Promise<number> =>
  call.then(
    () => grpc.status.OK,
    (error: grpc.ServiceError) => error.code,
  );

describe("in the clear, on loopback", () => {
  let gateway: GatewayProcess;
  beforeAll(async () => {
    gateway = await startGateway({ config: { admin: { operators } } });
  });
  afterAll(() => gateway[Symbol.asyncDispose]());

  test("P13: each role may do its own work and no other's; refusals are on record", async () => {
    const rules = { policy_type: "RETENTION_POLICY_TYPE_TIME_BASED", retention_days: 30 };
    const rule = { id: "r", action: "RETENTION_ACTION_DELETE", enabled: true, ...rules };
    const works: readonly (readonly [string, string, object, readonly string[]])[] = [
      ["ClientService", "ListClients", {}, ["viewer", "auditor", "operator"]],
      ["SystemService", "GetStatus", {}, ["viewer", "auditor", "operator"]],
      ["AuditService", "QueryRecords", {}, ["auditor"]],
      ["AuditService", "VerifyLog", {}, ["auditor", "operator"]],
      ["ClientService", "RegisterClient", { client: { id: "by-role" } }, ["operator"]],
      ["PolicyService", "CreateRole", { role: { name: "by-role" } }, ["operator"]],
      ["RetentionService", "CreateRule", { rule }, []],
      ["CacheService", "Purge", { all: true }, ["operator"]],
      ["SystemService", "GetConfig", {}, ["auditor", "operator"]],
    ];
    for (const [role, adminToken] of Object.entries(tokens)) {
      using admin = createAdminClient({ admin: gateway.admin, adminToken });
      for (const [service, method, request, allowed] of works) {
        const expected = allowed.includes(role) ? grpc.status.OK : PERMISSION_DENIED;
        const answered = await code(admin.call(service, method, { ...request }));
        expect([role, method, answered]).toEqual([role, method, expected]);
      }
    }
    using admin = createAdminClient(gateway);
    const denied = await until("the refusals' records", async () => {
      const filter = { event: "admin.denied", principal: "operator:the-viewer" };
      const found = await allRecords(admin, filter);
      return found.length === 7 ? found : undefined;
    });
    expect(denied[0]).toMatchObject({ method: "AuditService/QueryRecords", status: "denied" });
  });

  test("AD-05: no token, a wrong one, an agent's: UNAUTHENTICATED", async () => {
    using admin = createAdminClient(gateway);
    const { token } = await admin.call<{ token: string }>("ClientService", "RegisterClient", {
      client: { id: "agent", enabled: true },
    });
    for (const adminToken of [undefined, "", "wrong", `${gateway.adminToken}x`, token]) {
      using stranger = createAdminClient({
        admin: gateway.admin,
        ...(adminToken === undefined ? {} : { adminToken }),
      });
      expect(await code(stranger.call("SystemService", "GetStatus"))).toBe(UNAUTHENTICATED);
    }
    // And the reverse: an operator's token is nothing to the agents' listener.
    const answer = await modernCall({
      base: gateway.agents,
      token: gateway.adminToken,
      method: "tools/list",
    });
    expect(answer.status).toBe(401);
  });

  const buf = async (...args: readonly string[]) => {
    const child = Bun.spawn(
      [
        join(repository, "node_modules/.bin/buf"),
        ...["curl", "--protocol", "grpc", "--http2-prior-knowledge"],
        ...args,
      ],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    const [stdout, stderr, exitCode] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    return { stdout, stderr, exitCode };
  };

  test("buf curl finds its way by reflection alone, and asks for health", async () => {
    const url = `http://${gateway.admin}`;
    const bearer = ["--header", `authorization: Bearer ${gateway.adminToken}`];
    const reflect = ["--reflect-header", `authorization: Bearer ${gateway.adminToken}`];
    const listed = await buf(...reflect, "--list-services", url);
    expect(listed.stdout.trim().split("\n").sort()).toContain(
      "mcp_gateway.admin.v1.RetentionService",
    );
    const methods = await buf(...reflect, "--list-methods", url);
    expect(methods.stdout).toContain("mcp_gateway.admin.v1.AuditService/TailRecords");
    const service = `${url}/mcp_gateway.admin.v1.ClientService`;
    const body = '{"client":{"id":"from-buf","enabled":true,"allowedTools":["x__*"]}}';
    const made = await buf(...reflect, ...bearer, "--data", body, `${service}/RegisterClient`);
    expect(JSON.parse(made.stdout)).toMatchObject({
      client: { id: "from-buf", allowedTools: ["x__*"] },
    });
    const got = await buf(
      ...reflect,
      ...bearer,
      "--data",
      '{"id":"nobody"}',
      `${service}/GetClient`,
    );
    expect(got.stderr).toContain('"code": "not_found"');
    const health = await buf(...reflect, "--data", "{}", `${url}/grpc.health.v1.Health/Check`);
    expect(JSON.parse(health.stdout)).toEqual({ status: "SERVING" });
  });

  test("plain Node with grpc-js and the .proto files registers a client, and its agent calls", async () => {
    await using tiny = startTinyServer();
    using admin = createAdminClient(gateway);
    await registerHttpServer(admin, "tiny", tiny.url);
    const child = Bun.spawn(
      [
        "node",
        join(repository, "test/support/foreign-operator.mjs"),
        gateway.admin,
        join(gateway.dataDir, "admin.token"),
        join(repository, "proto"),
        join(repository, "node_modules"),
      ],
      { stdio: ["ignore", "pipe", "inherit"], timeout: 20_000 },
    );
    const told = JSON.parse(await new Response(child.stdout).text());
    expect(await child.exited).toBe(0);
    expect(told).toMatchObject({
      got: { id: "from-node", enabled: true, allowed_tools: ["tiny__*"], limits: { burst: 7 } },
      missing: grpc.status.NOT_FOUND,
      event: "admin.read",
    });
    const answer = await modernCall({
      base: gateway.agents,
      token: told.token,
      method: "tools/call",
      params: { name: "tiny__echo", arguments: { text: "by Node" } },
    });
    expect(answer.result).toMatchObject({ content: [{ text: "by Node" }] });
  });
});

describe("over TLS", () => {
  const stack = new AsyncDisposableStack();
  let authority: Authority;
  let server: Certificate;
  let trusted: Certificate;
  let unknown: Certificate;
  let foreign: Certificate;
  let plain: GatewayProcess;
  let mutual: GatewayProcess;

  beforeAll(async () => {
    const folder = stack.use(temporaryFolder("tls"));
    authority = await createAuthority(folder.path);
    const stranger = await createAuthority(folder.path, "stranger");
    server = await authority.issue("gateway");
    trusted = await authority.issue("ops-robot");
    unknown = await authority.issue("somebody");
    foreign = await stranger.issue("ops-robot");
    const files = { certificate_file: server.certificateFile, key_file: server.keyFile };
    plain = stack.use(await startGateway({ config: { admin: { tls: files } } }));
    const robot = {
      name: "robot",
      roles: ["viewer"],
      certificate_common_name: "ops-robot",
    };
    mutual = stack.use(
      await startGateway({
        config: {
          admin: { tls: { ...files, client_ca_file: authority.caFile }, operators: [robot] },
        },
      }),
    );
  });
  afterAll(() => stack.disposeAsync());

  const read = (file: string) => readFileSync(file);
  function connect(
    gateway: GatewayProcess,
    certificate?: Certificate,
    token?: string,
  ): AdminClient {
    const credentials = grpc.credentials.createSsl(
      read(authority.caFile),
      certificate ? read(certificate.keyFile) : null,
      certificate ? read(certificate.certificateFile) : null,
    );
    return createAdminClient({
      // TLS knows names: grpc-js under Bun refuses to send an address as one.
      admin: gateway.admin.replace("127.0.0.1", "localhost"),
      credentials,
      ...(token === undefined ? {} : { adminToken: token }),
    });
  }

  test("the token goes over TLS, and nothing in the clear is answered", async () => {
    using admin = connect(plain, undefined, plain.adminToken);
    expect(await code(admin.call("SystemService", "GetStatus"))).toBe(grpc.status.OK);
    using clear = createAdminClient(plain);
    expect(await code(clear.call("SystemService", "GetStatus"))).toBe(UNAVAILABLE);
  });

  test("AD-05: a client certificate names its operator, with that operator's rights", async () => {
    using robot = connect(mutual, trusted);
    expect(await code(robot.call("ClientService", "ListClients"))).toBe(grpc.status.OK);
    const write = robot.call("ClientService", "RegisterClient", { client: { id: "x" } });
    expect(await code(write)).toBe(PERMISSION_DENIED);
    using both = connect(mutual, trusted, mutual.adminToken);
    expect(await code(both.call("AuditService", "VerifyLog"))).toBe(grpc.status.OK);
  });

  test("AD-05: no certificate, another authority's, an unknown name, a wrong token beside a good one", async () => {
    const status = async (certificate?: Certificate, token?: string) => {
      using admin = connect(mutual, certificate, token);
      return await code(admin.call("SystemService", "GetStatus"));
    };
    expect(await status(undefined, mutual.adminToken)).toBe(UNAVAILABLE);
    expect(await status(foreign)).toBe(UNAVAILABLE);
    expect(await status(unknown)).toBe(UNAUTHENTICATED);
    expect(await status(trusted, "wrong")).toBe(UNAUTHENTICATED);
  });

  test("the command line believes no certificate that is for another address", async () => {
    await using folder = temporaryFolder("tls");
    const other = await createAuthority(folder.path);
    const { certificateFile, keyFile } = await other.issue("elsewhere", "IP:127.0.0.2");
    const tls = { certificate_file: certificateFile, key_file: keyFile };
    await using gateway = await startGateway({ config: { admin: { tls } } });
    const { exitCode, stderr } = await runGateway([
      ...["system", "get-status", "--admin", gateway.admin, "--ca-file", other.caFile],
      ...["--token-file", join(gateway.dataDir, "admin.token")],
    ]);
    expect(exitCode).not.toBe(0);
    expect(stderr).not.toContain(gateway.adminToken);
  });

  test("the command line speaks both", async () => {
    const verb = ["system", "get-status", "--json"];
    const overTls = ["--admin", plain.admin, "--ca-file", authority.caFile];
    const token = ["--token-file", join(plain.dataDir, "admin.token")];
    expect((await runGateway([...verb, ...overTls, ...token])).exitCode).toBe(0);
    const certificate = [
      "--certificate-file",
      trusted.certificateFile,
      "--key-file",
      trusted.keyFile,
    ];
    const mutually = ["--admin", mutual.admin, "--ca-file", authority.caFile, ...certificate];
    const { exitCode, stdout } = await runGateway([...verb, ...mutually]);
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ ready: true });
    const refused = await runGateway(["client", "register", "x", ...mutually]);
    expect(refused.exitCode).toBe(1);
    expect(refused.stderr).toContain("PERMISSION_DENIED");
  });
});
