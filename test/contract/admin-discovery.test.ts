/**
 * Reflection and health with foreign clients (`buf curl`, a grpc-js health client), and TLS with client certificates.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, credentials, type ServiceError, status } from "@grpc/grpc-js";
import { needService } from "../../src/admin/definition.ts";
import { type AdminPlane, createAdminClient, startAdminPlane } from "../support/admin-plane.ts";

async function run(...command: readonly string[]) {
  const started = Bun.spawn([...command], { stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr, code] = await Promise.all([
    new Response(started.stdout).text(),
    new Response(started.stderr).text(),
    started.exited,
  ]);
  return { stdout, stderr, code };
}

describe("reflection", () => {
  let plane: AdminPlane;
  const buf = join(import.meta.dirname, "../../node_modules/.bin/buf");
  const curl = (...more: readonly string[]) =>
    run(buf, "curl", "--http2-prior-knowledge", "--protocol", "grpc", ...more);
  const bearer = () => `authorization: Bearer ${plane.token}`;

  beforeAll(async () => {
    plane = await startAdminPlane();
  });
  afterAll(() => plane[Symbol.asyncDispose]());

  test.each(["grpc-v1", "grpc-v1alpha"])(
    "buf curl lists the services over %s",
    async (protocol) => {
      const listed = await curl(
        ...["--reflect-protocol", protocol, "--reflect-header", bearer(), "--list-services"],
        `http://${plane.address}`,
      );
      expect(listed.stderr).toBe("");
      const services = listed.stdout.trim().split("\n");
      expect(services).toContain("mcp_gateway.admin.v1.ClientService");
      expect(services).toContain("grpc.health.v1.Health");
      expect(services).toHaveLength(14);
    },
  );

  test("buf curl calls an RPC whose schema it learnt by reflection", async () => {
    const answer = await curl(
      ...["--reflect-header", bearer(), "-H", bearer()],
      ...["-d", '{"client":{"id":"from-buf","enabled":true}}'],
      `http://${plane.address}/mcp_gateway.admin.v1.ClientService/RegisterClient`,
    );
    expect(answer.stderr).toBe("");
    expect(JSON.parse(answer.stdout)).toMatchObject({ client: { id: "from-buf" } });
    expect(plane.current.get().clients.has("from-buf")).toBe(true);
  });

  test("AD-06 a stranger learns nothing", async () => {
    const refused = await curl("--list-services", `http://${plane.address}`);
    expect(refused.code).not.toBe(0);
    expect(refused.stdout).toBe("");
    expect(refused.stderr).toContain("not authenticated");
  });

  test("unknown symbols are NOT_FOUND, in-band", async () => {
    const unknown = await curl(
      ...["--reflect-header", bearer(), "-H", bearer(), "-d", "{}"],
      `http://${plane.address}/mcp_gateway.admin.v1.NoService/Get`,
    );
    expect(unknown.code).not.toBe(0);
    expect(unknown.stderr).toContain("NoService");
  });
});

describe("health", () => {
  const service = needService("grpc.health.v1.Health");
  const check = service.Check;
  const watch = service.Watch;
  if (check === undefined || watch === undefined) throw new Error("no health service");

  test("AD-06 tells anyone up or down, and nothing of unknown services", async () => {
    await using plane = await startAdminPlane();
    const client = new Client(plane.address, credentials.createInsecure());
    const ask = (name: string) =>
      new Promise<object>((resolve, reject) => {
        client.makeUnaryRequest(
          check.path,
          check.requestSerialize,
          check.responseDeserialize,
          { service: name },
          (error, answer) => (error === null ? resolve(answer ?? {}) : reject(error)),
        );
      });
    expect(await ask("")).toEqual({ status: "SERVING" });
    expect(await ask("mcp_gateway.admin.v1.SystemService")).toEqual({ status: "SERVING" });
    const unknown = await ask("no.Such").catch((error: ServiceError) => ({ code: error.code }));
    expect(unknown).toEqual({ code: status.NOT_FOUND });
    plane.server.setServing(false);
    expect(await ask("")).toEqual({ status: "NOT_SERVING" });
    client.close();
  });

  test("a watch hears changes and ends when the server stops", async () => {
    await using plane = await startAdminPlane();
    const client = new Client(plane.address, credentials.createInsecure());
    const seen: unknown[] = [];
    const stream = client.makeServerStreamRequest(
      watch.path,
      watch.requestSerialize,
      watch.responseDeserialize,
      { service: "" },
    );
    const ended = new Promise<void>((resolve) => stream.on("end", resolve));
    const first = new Promise<void>((resolve) => stream.once("data", () => resolve()));
    stream.on("data", (answer: { status: string }) => seen.push(answer.status));
    await first;
    await plane.server.stop(5000);
    await ended;
    expect(seen).toEqual(["SERVING", "NOT_SERVING"]);
    client.close();
  });
});

describe("TLS", () => {
  let folder: string;
  const read = (name: string) => readFileSync(join(folder, name));
  const openssl = async (...args: readonly string[]) => {
    const done = await run("openssl", ...args);
    if (done.code !== 0) throw new Error(done.stderr);
  };
  const sign = async (name: string, commonName: string, ca: string) => {
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    const files = ["-keyout", join(folder, `${name}.key`), "-out", join(folder, `${name}.pem`)];
    const issuer =
      ca === "" ? [] : ["-CA", join(folder, `${ca}.pem`), "-CAkey", join(folder, `${ca}.key`)];
    const extensions = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
    await openssl(
      ...["req", "-x509", "-days", "2", "-subj", `/CN=${commonName}`],
      ...[...key, ...files, ...issuer, ...extensions],
    );
  };

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "admin-tls-"));
    await sign("ca", "test ca", "");
    await sign("other", "other ca", "");
    await sign("server", "localhost", "ca");
    await sign("ops", "ops", "ca");
    await sign("stranger", "stranger", "ca");
    await sign("forged", "ops", "other");
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test.each([
    ["a certificate an operator is entered with", "ops", undefined],
    ["a certificate of our CA that nobody is entered with", "stranger", status.UNAUTHENTICATED],
    ["a certificate of another CA with the right name", "forged", status.UNAVAILABLE],
    ["no certificate", "", status.UNAVAILABLE],
  ])("AD-05 %s", async (_name, who, expected) => {
    await using plane = await startAdminPlane({
      operators: [{ name: "ops", roles: ["operator"], certificateCommonName: "ops" }],
      server: {
        tls: { certificate: read("server.pem"), key: read("server.key"), clientCa: read("ca.pem") },
      },
    });
    const own = who === "" ? [] : [read(`${who}.key`), read(`${who}.pem`)];
    const client = createAdminClient(
      plane.address.replace("127.0.0.1", "localhost"),
      "",
      credentials.createSsl(read("ca.pem"), ...own),
    );
    const outcome = await client
      .call("SystemService", "getStatus", {}, { deadline: Date.now() + 10_000 })
      .then(
        () => undefined,
        (error: ServiceError) => error.code,
      );
    client.close();
    expect(outcome).toBe(expected);
  });
});
