/** Asking a real server about tokens (J13): how the gateway says who it is, and what it takes for an answer. */

import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { jwtVerify } from "jose";
import {
  createIntrospectionClient,
  type IntrospectionConfig,
} from "../../../src/identity/introspection-client.ts";
import { createJwtVerifier } from "../../../src/identity/jwt.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import { createEgressFetch } from "../../../src/servers/egress-fetch.ts";
import { silentLog } from "../../../src/telemetry/log.ts";

const issuer = "https://as.example";
const seen: { authorization: string | null; form: URLSearchParams }[] = [];
let answer: (url: URL) => Response | Promise<Response>;
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  async fetch(request) {
    const form = new URLSearchParams(await request.text());
    seen.push({ authorization: request.headers.get("authorization"), form });
    return answer(new URL(request.url));
  },
});
afterAll(() => server.stop(true));
beforeEach(() => {
  seen.length = 0;
  answer = () => Response.json({ active: true, sub: "ann" });
});

function clientWith(
  config: Partial<IntrospectionConfig>,
  { isAllowed = true, timeoutMs = 30_000 } = {},
) {
  return createIntrospectionClient({
    config: { url: new URL("/introspect", server.url).href, clientId: "gw client", ...config },
    issuer,
    dial: createEgressFetch(isAllowed),
    allowPrivateNetwork: true,
    clock: systemClock,
    timeoutMs,
  });
}

const failureOf = (work: Promise<unknown>) =>
  work.then(
    () => "answered",
    (error: Error) => error.message,
  );

describe("who asks", () => {
  test("by a secret, form-encoded into Basic", async () => {
    await clientWith({ clientSecret: "p:ä %" }).ask("the-token");
    const [basic = ""] = seen.map(
      ({ authorization }) => authorization?.slice("Basic ".length) ?? "",
    );
    expect(Buffer.from(basic, "base64").toString()).toBe("gw+client:p%3A%C3%A4+%25");
    expect(Object.fromEntries(seen[0]?.form ?? [])).toEqual({
      token: "the-token",
      token_type_hint: "access_token",
    });
  });

  test("by a private key, for this issuer and for a minute", async () => {
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
    const client = clientWith({
      privateKey: pem,
      privateKeyAlgorithm: "ES256",
      privateKeyId: "k1",
    });
    await client.ask("the-token");
    await client.ask("the-token");
    const assertions = seen.map(({ form }) => form.get("client_assertion") ?? "");
    const checked = await Promise.all(
      assertions.map((one) => jwtVerify(one, publicKey, { issuer: "gw client", audience: issuer })),
    );
    expect(checked[0]?.protectedHeader).toEqual({ alg: "ES256", kid: "k1" });
    const { exp = 0, iat = 0, sub } = checked[0]?.payload ?? {};
    expect([exp - iat, sub]).toEqual([60, "gw client"]);
    expect(checked[0]?.payload.jti).not.toBe(checked[1]?.payload.jti);
    expect(seen[0]?.authorization).toBeNull();
  });

  test.each<[string, Partial<IntrospectionConfig>]>([
    ["neither", {}],
    ["both", { clientSecret: "s", privateKey: "k" }],
    ["no key", { privateKey: "k" }],
    ["no URL", { clientSecret: "s", url: "introspect" }],
  ])("%s is refused at the start", (_name, config) => {
    expect(() => clientWith(config)).toThrow("introspection");
  });
});

describe("what is an answer", () => {
  test.each<[string, () => Response | Promise<Response>, string]>([
    ["a redirect", () => Response.redirect("/elsewhere", 302), "status 302"],
    ["an error", () => new Response("no", { status: 500 }), "status 500"],
    ["a page", () => new Response("<html>"), "no introspection"],
    ["a list", () => Response.json([{ active: true }]), "no introspection"],
    ["active as text", () => Response.json({ active: "true" }), "no introspection"],
    ["active missing", () => Response.json({ sub: "ann" }), "no introspection"],
    ["active twice", () => new Response('{"active":false,"active":true}'), "no introspection"],
    [
      "more than 64 KiB",
      () => new Response(`{"active":true,"x":"${"x".repeat(70_000)}"}`),
      "65536",
    ],
  ])("%s is none", async (_name, given, want) => {
    answer = given;
    expect(await failureOf(clientWith({ clientSecret: "s" }).ask("t"))).toContain(want);
  });

  test("nothing in time is none", async () => {
    answer = () => new Promise<Response>(() => {});
    const asked = clientWith({ clientSecret: "s" }, { timeoutMs: 200 }).ask("t");
    expect(await failureOf(asked)).toContain("timed out");
  });

  test("what egress does not allow is never asked", async () => {
    expect(
      await failureOf(clientWith({ clientSecret: "s" }, { isAllowed: false }).ask("t")),
    ).toContain("egress");
    expect(seen).toEqual([]);
  });
});

describe("opaque tokens", () => {
  const verifier = createJwtVerifier({
    issuers: [
      {
        issuer,
        audiences: ["gw"],
        introspection: {
          url: new URL("/introspect", server.url).href,
          clientId: "gw",
          clientSecret: "s",
          opaqueTokens: true,
        },
      },
    ],
    dial: createEgressFetch(true),
    clock: systemClock,
    log: silentLog,
  });
  const claims = { active: true, iss: issuer, aud: "gw", sub: "ann", scope: "mcp" };
  const exp = Math.floor(systemClock.nowMs() / 1000) + 600;
  let tokens = 0;
  const verify = async (body: object, token = `opaque-${++tokens}`) => {
    answer = () => Response.json(body);
    const found = await verifier.verify(token, token);
    return typeof found === "string" ? found : found.claims.subject;
  };

  test("the answer's claims are judged like a JWT's", async () => {
    expect(await verify({ ...claims, exp })).toBe("ann");
    expect(await verify({ ...claims, exp, active: false })).toBe("token-inactive");
    expect(await verify({ ...claims })).toBe("jwt-claims");
    expect(await verify({ ...claims, exp: exp - 6000 })).toBe("jwt-expired");
    expect(await verify({ ...claims, exp, aud: "other" })).toBe("jwt-audience");
    expect(await verify({ ...claims, exp, aud: undefined })).toBe("jwt-audience");
    expect(await verify({ ...claims, exp, iss: "https://other" })).toBe("jwt-issuer-unknown");
    expect(await verify({ ...claims, exp, sub: ["ann"] })).toBe("jwt-claims");
  });

  test("AN-20 an encrypted token is not sent anywhere, and neither is a JWT of a stranger", async () => {
    expect(await verify({ ...claims, exp }, "a.b.c.d.e")).toBe("jwt-encrypted");
    expect(await verify({ ...claims, exp }, "a.b.c")).toBe("jwt-malformed");
    expect(seen).toEqual([]);
  });

  test("a server that is down makes nobody", async () => {
    answer = () => new Response("no", { status: 503 });
    expect(await verifier.verify("down", "down")).toBe("introspection-failed");
  });

  test("two issuers cannot both have them", () => {
    const one = {
      audiences: ["gw"],
      introspection: { url: "https://a", clientId: "c", clientSecret: "s", opaqueTokens: true },
    };
    const issuers = [
      { ...one, issuer: "https://a" },
      { ...one, issuer: "https://b" },
    ];
    const make = () =>
      createJwtVerifier({
        issuers,
        dial: createEgressFetch(true),
        clock: systemClock,
        log: silentLog,
      });
    expect(make).toThrow("one issuer only");
  });
});
