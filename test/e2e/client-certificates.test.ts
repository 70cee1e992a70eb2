/**
 * Agents that show certificates to the executable itself: who they are by them, on every binding, and who they are
 * not. Real TLS, real certificates, clients of Bun and of `ws`.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import WebSocket from "ws";
import { type AdminClient, createAdminClient } from "../support/admin-client.ts";
import { type Authority, type Certificate, createAuthority } from "../support/certificates.ts";
import { within } from "../support/deadline.ts";
import { type GatewayProcess, startGateway } from "../support/gateway-process.ts";
import { modernMeta } from "../support/modern-agent.ts";
import { registerClient, registerHttpServer } from "../support/operator.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { startTinyServer } from "../support/tiny-server.ts";
import { requestText } from "../support/wires.ts";

const stack = new AsyncDisposableStack();
let authority: Authority;
let gateway: GatewayProcess;
let admin: AdminClient;
/** Of the agents' listener, which speaks TLS here. */
let base: string;
let agent: Certificate;
let stranger: Certificate;
let foreign: Certificate;

beforeAll(async () => {
  const folder = stack.use(temporaryFolder("client-certificates")).path;
  authority = await createAuthority(folder);
  const other = await createAuthority(folder, "other");
  const server = await authority.issue("server");
  agent = await authority.issue("agent", "DNS:agent.example");
  stranger = await authority.issue("stranger", "DNS:stranger.example");
  foreign = await other.issue("foreign", "DNS:agent.example");
  const tls = {
    certificate_file: server.certificateFile,
    key_file: server.keyFile,
    client_ca_file: authority.caFile,
  };
  gateway = stack.use(
    await startGateway({ config: { agents: { tls } }, dataDir: join(folder, "data") }),
  );
  admin = stack.use(createAdminClient(gateway));
  base = gateway.agents.replace("http:", "https:");
  const tiny = stack.use(startTinyServer());
  await registerHttpServer(admin, "tiny", tiny.url);
  await registerClient(admin, "certified", {
    allowed_tools: ["tiny__echo"],
    certificates: ["dns:agent.example"],
  });
});
afterAll(() => stack.disposeAsync());

function tlsOf(certificate: Certificate | undefined) {
  return {
    ca: readFileSync(authority.caFile),
    ...(certificate === undefined
      ? {}
      : {
          cert: readFileSync(certificate.certificateFile),
          key: readFileSync(certificate.keyFile),
        }),
  };
}

const callBody = JSON.stringify({
  jsonrpc: "2.0",
  id: 1,
  method: "tools/call",
  params: { name: "tiny__echo", arguments: { text: "hello" }, _meta: modernMeta },
});

function call(certificate: Certificate | undefined, more: Record<string, string> = {}) {
  return fetch(`${base}/mcp`, {
    method: "POST",
    tls: tlsOf(certificate),
    headers: {
      "Content-Type": "application/json",
      Accept: "application/json, text/event-stream",
      "MCP-Protocol-Version": "2026-07-28",
      "Mcp-Method": "tools/call",
      "Mcp-Name": "tiny__echo",
      ...more,
    },
    body: callBody,
    // A connection is one certificate's: none is to be used again for another.
    keepalive: false,
  });
}

test("A02: the listener speaks TLS, and a certificate alone is a credential", async () => {
  const answer = await call(agent);
  expect(await answer.text()).toContain("hello");
  expect(answer.status).toBe(200);
});

test("A02: a certificate of nobody, and none, come in only with a token of their own", async () => {
  for (const certificate of [stranger, undefined]) {
    const answer = await call(certificate);
    expect(answer.status).toBe(401);
    expect(answer.headers.get("www-authenticate")).toContain("https://");
  }
  const token = await registerClient(admin, "by-token", { allowed_tools: ["tiny__echo"] });
  const bearer = { Authorization: `Bearer ${token}` };
  for (const certificate of [stranger, undefined]) {
    expect((await call(certificate, bearer)).status).toBe(200);
  }
});

test("A02: a certificate of another authority gets no connection", async () => {
  const outcome = await call(foreign).then(
    ({ status }) => `answered ${status}`,
    () => "no connection",
  );
  expect(outcome).toBe("no connection");
});

test("AN-21: a client's token is worth nothing without its certificate", async () => {
  const { token } = await admin.call<{ token: string }>("ClientService", "RotateToken", {
    client_id: "certified",
  });
  const bearer = { Authorization: `Bearer ${token}` };
  expect((await call(agent, bearer)).status).toBe(200);
  expect((await call(stranger, bearer)).status).toBe(401);
  expect((await call(undefined, bearer)).status).toBe(401);
});

test("AN-22: a certificate in a header is nobody's, unless a trusted proxy sends it", async () => {
  const der = new X509Certificate(readFileSync(agent.certificateFile)).raw.toString("base64");
  const header = { "Client-Cert": `:${der}:` };
  expect((await call(undefined, header)).status).toBe(401);
  expect((await call(stranger, header)).status).toBe(401);

  const config = { agents: { trusted_proxies: ["127.0.0.1"], client_cert_header: true } };
  await using behind = await startGateway({ config });
  await using operator = createAdminClient(behind);
  await registerClient(operator, "behind-proxy", { certificates: ["dns:agent.example"] });
  const list = (headers: Record<string, string>) =>
    fetch(`${behind.agents}/mcp`, {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        Accept: "application/json, text/event-stream",
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": "tools/list",
        ...headers,
      },
      body: requestText("modern", "tools/list"),
    });
  expect((await list(header)).status).toBe(200);
  for (const spoilt of [{}, { "Client-Cert": der }, { "Client-Cert": `:${der}:, :${der}:` }]) {
    expect((await list(spoilt as Record<string, string>)).status).toBe(401);
  }
  const without = { agents: { client_cert_header: true } };
  const failure = await startGateway({ config: without }).then(
    () => "it started",
    (error: Error) => error.message,
  );
  expect(failure).toContain("client_cert_header needs trusted_proxies");
});

test("A10: sockets, streams and sessions live by the certificate that opened them", async () => {
  const socket = new WebSocket(base.replace("https", "wss").concat("/ws"), "mcp", {
    ...tlsOf(agent),
  });
  const closed = new Promise<number>((resolve) => socket.on("close", resolve));
  await within("the socket", new Promise((resolve) => socket.on("open", resolve)));
  const answered = new Promise<string>((resolve) =>
    socket.on("message", (m) => resolve(String(m))),
  );
  socket.send(callBody);
  expect(await within("its answer", answered)).toContain("hello");

  const stream = await fetch(`${base}/all/sse`, {
    headers: { Accept: "text/event-stream" },
    tls: tlsOf(agent),
  });
  expect(stream.status).toBe(200);
  const opened = await fetch(`${base}/mcp`, {
    method: "POST",
    tls: tlsOf(agent),
    headers: { "Content-Type": "application/json", Accept: "application/json, text/event-stream" },
    body: requestText("legacy", "initialize", {
      protocolVersion: "2025-11-25",
      capabilities: {},
      clientInfo: { name: "n", version: "1" },
    }),
  });
  const id = opened.headers.get("mcp-session-id") ?? "";
  const ask = (certificate: Certificate) =>
    fetch(`${base}/mcp`, {
      method: "POST",
      tls: tlsOf(certificate),
      keepalive: false,
      headers: {
        "Content-Type": "application/json",
        Accept: "application/json, text/event-stream",
        "Mcp-Session-Id": id,
        "MCP-Protocol-Version": "2025-11-25",
      },
      body: requestText("legacy", "tools/list"),
    });
  expect((await ask(agent)).status).toBe(200);
  expect((await ask(stranger)).status).toBe(401);
  const listed = await admin.call<{ sessions: readonly { client_id: string }[] }>(
    "ClientService",
    "ListSessions",
    { client_id: "certified" },
  );
  expect(listed.sessions.length).toBeGreaterThanOrEqual(2);

  await admin.call("ClientService", "UpdateClient", {
    client: { id: "certified", enabled: true, allowed_tools: ["tiny__echo"] },
  });
  expect(await within("the socket's end", closed)).toBe(4401);
  await within("the stream's end", stream.text());
  expect((await ask(agent)).status).toBe(401);
});
