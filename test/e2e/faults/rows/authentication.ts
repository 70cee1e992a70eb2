/** Group AN of the catalogue: credentials that must not do, on every way in. */
import { expect } from "bun:test";
import { until } from "../../../support/deadline.ts";
import { type Row, refusalOf, type Stage, secretText } from "../../../support/fault-suite.ts";
import { registerClient } from "../../../support/operator.ts";
import { rawStatus } from "../../../support/raw-http.ts";
import {
  assemble,
  audience,
  ecIssuer,
  type Json,
  rsaIssuer,
  secretIssuer,
  type TokenIssuers,
} from "../../../support/token-issuers.ts";
import {
  callText,
  eraOf,
  pathOf,
  type Transport,
  transports,
  type Wire,
  type WireAnswer,
} from "../../../support/wires.ts";

const record = { event: "authn.failed", reason: "unauthenticated" };
const empty = () => new Uint8Array();

/** Nobody comes in, whatever the token, and the answer says no more than that. */
export async function nobody(
  stage: Stage,
  transport: Transport,
  token: string | undefined,
  what: string,
) {
  const answer = await refusalOf(stage, transport, token);
  expect(answer.status, `${what}: ${answer.text}`).toBe(401);
  expect(answer.code, what).toBe(40101);
  const challenge = answer.headers.get("www-authenticate") ?? "";
  expect(challenge, what).toStartWith("Bearer resource_metadata=");
  const body = JSON.parse(answer.text).error;
  expect(body.message, what).toBe("Authentication required");
  expect(JSON.stringify(body), what).not.toMatch(/signature|expired|audience|jwt|kid|alg/i);
}

/** One row of tokens, each made anew when it is used. */
function tokenRow(id: string, title: string, tokens: Readonly<Record<string, () => string>>): Row {
  return {
    id,
    title,
    transports,
    audit: record,
    async run(stage, transport) {
      for (const [what, make] of Object.entries(tokens)) {
        await nobody(stage, transport, make(), what);
      }
    },
  };
}

export function authenticationRows(issuers: TokenIssuers): readonly Row[] {
  const { claims, hs256, rs256, es256 } = issuers;
  const good = () => claims(secretIssuer);
  const withClaims = (more: Json) => () => hs256(claims(secretIssuer, more));
  /** The payload's source text, for what JSON.stringify cannot say. */
  const withText = (from: string, to: string) => () =>
    hs256(JSON.stringify(good()).replace(from, () => to));
  const withHeader = (more: Json) => () => hs256(good(), more);
  const withRsaHeader = (more: Json) => () => rs256(claims(rsaIssuer), more);
  const now = () => Math.floor((performance.timeOrigin + performance.now()) / 1000);

  return [
    {
      id: "AN-01",
      title: "good tokens of every issuer come in, so that the refusals below mean something",
      transports,
      reachesServer: true,
      async run(stage, transport) {
        const made = [hs256(good()), rs256(claims(rsaIssuer)), es256(claims(ecIssuer))];
        for (const token of made) {
          const answer = await refusalOf(stage, transport, token);
          expect(answer.text).toContain('"result"');
        }
      },
    },
    tokenRow("AN-01", "what could make a verifier throw makes nobody", {
      "null payload": () => hs256("null"),
      "payload is a list": () => hs256("[]"),
      "payload is no JSON": () => hs256("{"),
      "empty payload": () => hs256(""),
      "null claims": () => hs256({ iss: null, aud: null, sub: null, exp: null }),
      "null issuer": withClaims({ iss: null }),
      "header is null": () => assemble("null", good(), empty),
      dots: () => "..",
    }),
    {
      id: "AN-02",
      title: "a cookie or a name in a header is no credential",
      transports,
      audit: record,
      async run(stage, transport) {
        const headers = {
          Cookie: `token=${stage.token}`,
          "X-User": "alice",
          "X-Api-Key": stage.token,
        };
        for (const token of [undefined, "garbage"]) {
          const answer = await refusalOf(stage, transport, token, { headers });
          expect(answer.status).toBe(401);
        }
      },
    },
    tokenRow("AN-03", "no algorithm, no signature, no token", {
      none: () => assemble({ alg: "none" }, good(), empty),
      None: () => assemble({ alg: "None" }, good(), empty),
      nOnE: () => assemble({ alg: "nOnE" }, good(), empty),
      "no signature": () => `${hs256(good()).split(".").slice(0, 2).join(".")}.`,
      "two segments": () => hs256(good()).split(".").slice(0, 2).join("."),
      "no alg": () => assemble({ typ: "JWT" }, good(), empty),
    }),
    tokenRow("AN-04", "the issuer's algorithm, never the token's", {
      "public key as secret": () => hs256(claims(rsaIssuer), { kid: "rsa" }, issuers.rsaPublicPem),
      "HS384 where HS256 is pinned": withHeader({ alg: "HS384" }),
      "hs256 in lower case": withHeader({ alg: "hs256" }),
      "PS256 where RS256 is pinned": withRsaHeader({ alg: "PS256" }),
      "another secret": () => hs256(good(), {}, "another secret of more than 256 bits in all"),
    }),
    tokenRow("AN-05", "ES256 signatures that are none", {
      zero: () => assemble({ alg: "ES256", kid: "ec" }, claims(ecIssuer), () => new Uint8Array(64)),
      DER: () => es256(claims(ecIssuer), {}, "der"),
      "trailing byte": () => `${es256(claims(ecIssuer))}AA`,
      short: () => es256(claims(ecIssuer)).slice(0, -8),
    }),
    tokenRow("AN-06", "a kid is a name in a map and nothing else", {
      path: withRsaHeader({ kid: "../../etc/passwd" }),
      SQL: withRsaHeader({ kid: "rsa' OR '1'='1" }),
      "10 KiB": withRsaHeader({ kid: "k".repeat(10_240) }),
      "129 characters": withRsaHeader({ kid: "k".repeat(129) }),
      URL: withRsaHeader({ kid: "https://evil.example/jwks" }),
      prototype: withRsaHeader({ kid: "__proto__" }),
      number: withRsaHeader({ kid: 1 }),
      empty: withRsaHeader({ kid: "" }),
    }),
    {
      id: "AN-07",
      title: "a token does not say where its keys are, and nobody goes to look",
      transports,
      audit: record,
      async run(stage, transport) {
        let asked = 0;
        const trap = Bun.serve({
          hostname: "127.0.0.1",
          port: 0,
          fetch: () => new Response(String(++asked)),
        });
        const headers: readonly Json[] = [
          { jku: trap.url.href },
          { x5u: trap.url.href },
          { jwk: { kty: "oct", k: "c2VjcmV0" } },
          { x5c: ["MIIB"] },
          { crit: ["x"], x: 1 },
          { b64: false, crit: ["b64"] },
          { zip: "DEF" },
        ];
        for (const header of headers) {
          const [what = ""] = Object.keys(header);
          await nobody(stage, transport, rs256(claims(rsaIssuer), header), what);
        }
        expect(asked).toBe(0);
        await trap.stop(true);
      },
    },
    tokenRow("AN-08", "only the exact audience", {
      "another service": withClaims({ aud: "https://other.example/mcp" }),
      "trailing slash": withClaims({ aud: `${audience}/` }),
      "other case": withClaims({ aud: audience.toUpperCase() }),
      prefix: withClaims({ aud: "https://gateway.example" }),
      wildcard: withClaims({ aud: "*" }),
      empty: withClaims({ aud: "" }),
      "empty list": withClaims({ aud: [] }),
      "list with a number": withClaims({ aud: [audience, 1] }),
      object: withClaims({ aud: { [audience]: true } }),
      missing: withText(`"aud":"${audience}",`, ""),
    }),
    tokenRow("AN-09", "times that are not, or not now", {
      "no exp": () => {
        const { exp: _, ...rest } = good();
        return hs256(rest);
      },
      "exp as text": () => hs256({ ...good(), exp: String(now() + 600) }),
      "exp 1e400": () => hs256(JSON.stringify(good()).replace(/"exp":\d+/, '"exp":1e400')),
      "exp negative": withClaims({ exp: -1 }),
      "exp a fraction": () => hs256({ ...good(), exp: now() + 600.5 }),
      "exp in milliseconds": () => hs256({ ...good(), exp: now() * 1_000_000 }),
      "exp passed": () => hs256({ ...good(), exp: now() - 60 }),
      "nbf to come": () => hs256({ ...good(), nbf: now() + 120 }),
      "nbf as text": withClaims({ nbf: "0" }),
      "iat to come": () => hs256({ ...good(), iat: now() + 3_600 }),
      "iat too old": () => hs256({ ...good(), iat: now() - 25 * 3_600 }),
    }),
    tokenRow("AN-10", "claims said twice or of another type", {
      "sub twice": withText('"sub":"user-1"', '"sub":"user-1","sub":"root"'),
      "escaped twin": withText('"sub":"user-1"', '"sub":"user-1","s\\u0075b":"root"'),
      "iss twice": withText('"iss":', '"iss":"https://rsa.example","iss":'),
      "sub a number": withClaims({ sub: 1 }),
      "sub a list": withClaims({ sub: ["user-1"] }),
      "sub an object": withClaims({ sub: {} }),
      "sub empty": withClaims({ sub: "" }),
      "sub with NUL": withClaims({ sub: "user\0-1" }),
      "sub right to left": withClaims({ sub: "user\u202e1" }),
      "sub of 10 KiB": withClaims({ sub: "s".repeat(10_240) }),
      "roles as text": withClaims({ roles: "admin" }),
    }),
    tokenRow("AN-11", "keys belong to their issuer", {
      "RSA's name, EC's key": () => es256(claims(rsaIssuer)),
      "EC's name, RSA's key": () => rs256(claims(ecIssuer), { kid: "ec" }),
      "RSA's name, the secret": () => hs256(claims(rsaIssuer)),
      "unknown issuer": () => hs256(claims("https://unknown.example")),
      "issuer with a slash": () => hs256(claims(`${secretIssuer}/`)),
      "issuers as a list": () => hs256({ ...good(), iss: [secretIssuer] }),
    }),
    {
      id: "AN-14",
      title: "a token rotated away stops working on what it had opened",
      transports,
      async run(stage, transport) {
        const id = `rotated-${transport}`;
        const token = await registerClient(stage.admin, id, { allowed_tools: ["tiny__echo"] });
        await using wire = await stage.open(transport, token);
        await stage.admin.call("ClientService", "RotateToken", { client_id: id });
        const answer = await wire.send(callText(eraOf(transport), { text: secretText }));
        await isCutOff(answer, wire, transport);
      },
    },
    {
      id: "AN-15",
      title: "a token that expires stops working on what it had opened",
      transports,
      reachesServer: true,
      async run(stage, transport) {
        const exp = now() - 29;
        await using wire = await stage.open(transport, hs256(claims(secretIssuer, { exp })));
        await until("the end of the token", async () => {
          const answer = await wire.send(callText(eraOf(transport)));
          if (answer.text.includes('"result"')) return false;
          await isCutOff(answer, wire, transport);
          return true;
        });
      },
    },
    {
      id: "AN-16",
      title: "nearly a client token is no client token",
      transports,
      audit: record,
      async run(stage, transport) {
        const { token } = stage;
        const last = token.endsWith("A") ? "B" : "A";
        const nearly = {
          "last character": token.slice(0, -1) + last,
          "one short": token.slice(0, -1),
          "one more": `${token}A`,
          "prefix alone": "mcpgw_",
          "other case": token.toUpperCase(),
          "without prefix": token.slice(token.indexOf("_") + 1),
          "16 KiB": `mcpgw_${"A".repeat(12_000)}`,
        };
        for (const [what, wrong] of Object.entries(nearly)) {
          await nobody(stage, transport, wrong, what);
        }
      },
    },
    {
      id: "AN-17",
      title: "a token in the URL is no credential, not even beside a good one",
      transports,
      audit: { event: "authn.failed", reason: "unauthenticated:token-in-query" },
      async run(stage, transport) {
        const isSocket = transport.startsWith("ws");
        const path = pathOf(transport, "tiny");
        for (const name of ["token", "access_token", "api_key"]) {
          for (const header of ["", `Authorization: Bearer ${stage.token}\r\n`]) {
            const request = isSocket ? upgradeLines : postLines;
            const bytes = request(stage, `${path}?${name}=${stage.token}`, header);
            expect((await rawStatus(stage.gateway.agents, bytes)).status, name).toBe(401);
          }
        }
      },
    },
    {
      id: "AN-17",
      title: "a token in the message is no credential",
      transports: ["http-modern"],
      audit: record,
      async run(stage) {
        const body = callText("modern", { text: stage.token });
        const bytes = postLines(stage, "/tiny/mcp", "", body);
        expect((await rawStatus(stage.gateway.agents, bytes)).status).toBe(401);
      },
    },
    {
      id: "AN-18",
      title: "one Authorization, one Bearer",
      transports,
      async run(stage, transport) {
        const bearer = `Bearer ${stage.token}`;
        const cases: readonly (readonly [readonly string[], number])[] = [
          [[bearer, bearer], 400],
          [[bearer, "Bearer other"], 400],
          [["Basic YTpi", bearer], 400],
          [[`Bearer ${bearer}`], 401],
          [[`Bearer\t${stage.token}`], 401],
          [[`Basic ${Buffer.from(`a:${stage.token}`).toString("base64")}`], 401],
          [[stage.token], 401],
          [["Bearer"], 401],
          [[`Token ${stage.token}`], 401],
        ];
        for (const [values, status] of cases) {
          const header = values.map((value) => `Authorization: ${value}\r\n`).join("");
          const request = transport.startsWith("ws") ? upgradeLines : postLines;
          const bytes = request(stage, pathOf(transport, "tiny"), header);
          const answer = await rawStatus(stage.gateway.agents, bytes);
          expect(answer.status, values.join(" | ").replaceAll(stage.token, "TOKEN")).toBe(status);
        }
      },
    },
    {
      id: "AN-18",
      title: "the scheme's case does not matter",
      transports: ["http-modern"],
      reachesServer: true,
      async run(stage) {
        for (const scheme of ["bearer", "BEARER"]) {
          const bytes = postLines(
            stage,
            "/tiny/mcp",
            `Authorization: ${scheme} ${stage.token}\r\n`,
          );
          expect((await rawStatus(stage.gateway.agents, bytes)).status).toBe(200);
        }
      },
    },
    {
      id: "AN-19",
      title: "whoever keeps guessing must wait, and others need not",
      transports,
      reachesServer: true,
      async run(stage, transport) {
        const network = `2001:db8:0:${transports.indexOf(transport) + 1}`;
        let guesses = 0;
        /** Another address of the same /64 each time. */
        const guesser = () => {
          guesses += 1;
          return `${network}::${guesses.toString(16)}`;
        };
        const from = (address: string) => ({ headers: { "X-Forwarded-For": address } });
        const seen = new Set<number | undefined>();
        await until("the pause", async () => {
          const answer = await refusalOf(stage, transport, "guess", from(guesser()));
          seen.add(answer.status);
          if (answer.status !== 429) return false;
          expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
          return true;
        });
        expect([...seen]).toEqual([401, 429]);
        const blocked = await refusalOf(stage, transport, stage.token, from(guesser()));
        expect(blocked.status).toBe(429);
        for (const address of ["203.0.113.7", `2001:db8:1:${transports.indexOf(transport)}::1`]) {
          const elsewhere = await refusalOf(stage, transport, stage.token, from(address));
          expect(elsewhere.text, address).toContain('"result"');
        }
      },
    },
    tokenRow("AN-20", "encrypted tokens are not even opened", {
      "five segments": () =>
        `${Buffer.from('{"alg":"dir","enc":"A256GCM","zip":"DEF"}').toString("base64url")}..AA.${"A".repeat(4_000)}.AA`,
      "six segments": () => `${hs256(good())}.AA.AA.AA`,
    }),
    {
      id: "AN-22",
      title: "internal-looking headers count for nothing and go nowhere",
      transports,
      reachesServer: true,
      async run(stage, transport) {
        const headers = {
          "X-Gw-Principal": "admin",
          "Router-Key": "secret",
          "Mcp-Init-Host": "evil.example",
          "X-Forwarded-User": "admin",
        };
        expect((await refusalOf(stage, transport, undefined, { headers })).status).toBe(401);
        const answer = await refusalOf(stage, transport, stage.token, { headers });
        expect(answer.text).toContain('"result"');
        const received = [...(stage.upstream.seen.at(-1)?.headers.keys() ?? [])];
        for (const name of Object.keys(headers)) expect(received).not.toContain(name.toLowerCase());
        expect(received).not.toContain("authorization");
      },
    },
    {
      id: "AN-23",
      title: "what a client calls itself gives it no right",
      transports: ["http-modern", "ws-modern"],
      refused: {
        admin: (text) =>
          text.replace('"bare-agent"', '"mcp-gateway-admin"').replace('"echo"', '"secret"'),
      },
      refusal: (transport) =>
        transport === "http-modern" ? { code: -32602, status: 200 } : { code: -32602 },
    },
    {
      id: "AN-24",
      title: "401 names the resource's metadata and no reason",
      transports,
      async run(stage, transport) {
        await nobody(stage, transport, undefined, "no token");
        await nobody(stage, transport, "wrong", "wrong token");
        const answer = await refusalOf(stage, transport, "wrong");
        const challenge = answer.headers.get("www-authenticate") ?? "";
        const path = `/.well-known/oauth-protected-resource${pathOf(transport, "tiny")}`;
        expect(challenge).toBe(
          `Bearer resource_metadata="${stage.gateway.agents}${path}", error="invalid_token"`,
        );
      },
    },
  ];
}

/** 401 over HTTP; on a socket the same error, if a call came first, and then the close. */
export async function isCutOff(
  answer: WireAnswer,
  wire: Wire,
  transport: Transport,
): Promise<void> {
  if (!transport.startsWith("ws")) {
    expect(answer.status).toBe(401);
    return;
  }
  if (answer.closeCode === undefined) expect(answer.code).toBe(40101);
  const last = answer.closeCode === undefined ? await wire.send("{}") : answer;
  expect(last.closeCode).toBe(4401);
}

function postLines(
  stage: Stage,
  target: string,
  header: string,
  body = callText("modern"),
): string {
  const lines = [
    `POST ${target} HTTP/1.1`,
    `Host: ${new URL(stage.gateway.agents).host}`,
    "Content-Type: application/json",
    "Accept: application/json, text/event-stream",
    "MCP-Protocol-Version: 2026-07-28",
    "Mcp-Method: tools/call",
    "Mcp-Name: echo",
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  return `${lines.join("\r\n")}\r\n${header}\r\n${body}`;
}

function upgradeLines(stage: Stage, target: string, header: string): string {
  const lines = [
    `GET ${target} HTTP/1.1`,
    `Host: ${new URL(stage.gateway.agents).host}`,
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  ];
  return `${lines.join("\r\n")}\r\n${header}\r\n`;
}
