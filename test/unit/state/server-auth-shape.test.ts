/** What of a server's `auth` is refused at registration (R13, AN-22, UP-11), and what fits. */
import { expect, test } from "bun:test";
import type { OAuthClient, ServerAuth, ServerTransport } from "../../../src/servers/spec.ts";
import { checkAuth, serverAuthShape } from "../../../src/state/server-auth-shape.ts";

const secret = "0123456789abcdefghijkl";
const pem = "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----";
const client: OAuthClient = {
  grant: "client-credentials",
  clientId: "gateway",
  clientSecret: "s",
  issuer: "https://as.example",
};
const withClient = (more: Partial<OAuthClient>): ServerAuth => ({
  tellsUser: false,
  oauth: { ...client, ...more },
});
const remote = (
  kind: "streamable-http" | "http-sse" | "websocket",
  headers = {},
): ServerTransport => ({
  kind,
  url: "https://a.example/mcp",
  headers,
});
const stdio: ServerTransport = {
  kind: "stdio",
  command: "x",
  args: [],
  environment: {},
  workingDirectory: undefined,
};
const http = remote("streamable-http");

const rows: readonly [string, ServerAuth | undefined, ServerTransport, string | undefined][] = [
  ["none", undefined, stdio, undefined],
  ["a secret", { gatewaySecret: secret, tellsUser: true }, http, undefined],
  [
    "a secret over WebSocket",
    { gatewaySecret: secret, tellsUser: false },
    remote("websocket"),
    undefined,
  ],
  ["a client", withClient({}), remote("websocket"), undefined],
  ["a client that tells the user", { ...withClient({}), tellsUser: true }, http, undefined],
  [
    "a key without an issuer",
    withClient({ clientSecret: undefined, privateKey: pem, issuer: undefined }),
    http,
    undefined,
  ],
  ["an exchange", withClient({ grant: "token-exchange", audience: "x" }), http, undefined],
  ["a user's own authorization", withClient({ grant: "authorization-code" }), http, undefined],
  [
    "one of a public client",
    withClient({ grant: "authorization-code", clientSecret: undefined }),
    http,
    undefined,
  ],
  [
    "one with two proofs",
    withClient({ grant: "authorization-code", privateKey: pem }),
    http,
    "exactly one of",
  ],
  [
    "one over WebSocket",
    withClient({ grant: "authorization-code" }),
    remote("websocket"),
    "streamable-http alone",
  ],
  [
    "one wherever the server says",
    withClient({ grant: "authorization-code", clientSecret: undefined, issuer: undefined }),
    http,
    "auth.oauth.issuer",
  ],
  [
    "one at a token endpoint",
    withClient({
      grant: "authorization-code",
      issuer: undefined,
      tokenUrl: "https://as.example/token",
    }),
    http,
    "auth.oauth.issuer",
  ],
  ["any for stdio", { gatewaySecret: secret, tellsUser: false }, stdio, "from its environment"],
  ["21 characters", { gatewaySecret: secret.slice(1), tellsUser: false }, http, "128 bits"],
  ["users told without proof", { tellsUser: true }, http, "anybody could say who calls"],
  [
    "users told over WebSocket",
    { gatewaySecret: secret, tellsUser: true },
    remote("websocket"),
    "one set of headers",
  ],
  [
    "the header twice",
    { gatewaySecret: secret, tellsUser: false },
    remote("http-sse", { "X-Gateway-AUTH": "x" }),
    "x-gateway-auth is set by auth",
  ],
  [
    "a static X-User-ID",
    { gatewaySecret: secret, tellsUser: false },
    remote("http-sse", { "X-User-ID": "root" }),
    "x-user-id is set by auth",
  ],
  [
    "a static Authorization",
    withClient({}),
    remote("http-sse", { Authorization: "x" }),
    "authorization",
  ],
  ["no proof", withClient({ clientSecret: undefined }), http, "exactly one of"],
  ["two proofs", withClient({ privateKey: pem }), http, "exactly one of"],
  ["two places", withClient({ tokenUrl: "https://as.example/token" }), http, "not both"],
  ["a secret for anybody", withClient({ issuer: undefined }), http, "that may see it"],
  [
    "a place for no secret",
    withClient({ clientSecret: undefined, privateKey: pem, secretIn: "body" }),
    http,
    "only with a clientSecret",
  ],
  [
    "another kind of PEM",
    withClient({ clientSecret: undefined, privateKey: "-----BEGIN RSA PRIVATE KEY-----" }),
    http,
    "PKCS #8",
  ],
  ["an exchange over SSE", withClient({ grant: "token-exchange" }), remote("http-sse"), "alone"],
  [
    "an exchange with whom the server names",
    withClient({
      grant: "token-exchange",
      issuer: undefined,
      clientSecret: undefined,
      privateKey: pem,
    }),
    http,
    "needs an issuer",
  ],
  ["an audience of no exchange", withClient({ audience: "x" }), http, "only with token-exchange"],
];
test.each(rows)("%s", (_name, auth, transport, message) => {
  const check = () => checkAuth({ auth, transport });
  if (message === undefined) expect(check).not.toThrow();
  else expect(check).toThrow(message);
});

test("a refusal quotes no secret, and an unknown member is refused", () => {
  const body = { tellsUser: false, gatewaySecret: "canary with blanks" };
  expect(() => serverAuthShape(body, "auth")).toThrow(/^auth\.gatewaySecret: must be visible/);
  const misspelt = { tellsUser: false, oauth: { ...client, client_secret: "canary" } };
  expect(() => serverAuthShape(misspelt, "auth")).toThrow(/client_secret/);
  expect(() => serverAuthShape(misspelt, "auth")).not.toThrow(/canary/);
});
