/** Fetching a JWKS from a real server: no redirects, bounded in size and time, gated by egress (fault AN-12). */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { createDiscovery, fetchJwks } from "../../../src/identity/jwks-source.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import { createEgressFetch } from "../../../src/servers/egress-fetch.ts";

let server: Bun.Server<undefined>;
const seen: string[] = [];

beforeAll(() => {
  server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request) {
      const { pathname } = new URL(request.url);
      seen.push(pathname);
      if (pathname === "/good") return new Response('{"keys":[]}');
      if (pathname === "/moved") return Response.redirect("/good", 302);
      if (pathname === "/large") return new Response("x".repeat(256 * 1024 + 1));
      if (pathname === "/hangs") return new Promise<Response>(() => {});
      return new Response("no", { status: 500 });
    },
  });
});
afterAll(() => server.stop(true));

const get = (path: string, { allow = true, timeoutMs = 30_000 } = {}) =>
  fetchJwks(new URL(path, server.url).href, { dial: createEgressFetch(allow), timeoutMs });

test("a document is returned as it is", async () => {
  expect(await get("/good")).toBe('{"keys":[]}');
});

test.each([
  ["/moved", "status 302"],
  ["/broken", "status 500"],
  ["/large", "more than 262144 bytes"],
])("%s is refused", async (path, message) => {
  await expect(get(path)).rejects.toThrow(message);
});

test("a server that hangs is given up", async () => {
  await expect(get("/hangs", { timeoutMs: 200 })).rejects.toThrow();
});

test("what egress does not allow is never asked", async () => {
  await expect(get("/never", { allow: false })).rejects.toThrow("egress");
  expect(seen).not.toContain("/never");
});

describe("keys found by the issuer's metadata", () => {
  const documents = new Map<string, unknown>();
  const asked: string[] = [];
  const idp = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request) {
      const { pathname } = new URL(request.url);
      asked.push(pathname);
      const document = documents.get(pathname);
      return document === undefined ? new Response("", { status: 404 }) : Response.json(document);
    },
  });
  afterAll(() => idp.stop(true));
  const at = (path: string) => new URL(path, idp.url).href;
  const issuer = at("/tenant");
  const load = () => createDiscovery(issuer, systemClock, { dial: createEgressFetch(true) })();
  const failureOf = (work: Promise<unknown>) => work.catch((error: Error) => error.message);
  beforeEach(() => {
    documents.clear();
    asked.length = 0;
    documents.set("/keys", { keys: [] });
  });

  test("OpenID's place, then RFC 8414's", async () => {
    documents.set("/tenant/.well-known/openid-configuration", { issuer, jwks_uri: at("/keys") });
    expect(await load()).toBe('{"keys":[]}');
    documents.clear();
    documents.set("/keys", { keys: [1] });
    documents.set("/.well-known/oauth-authorization-server/tenant", {
      issuer,
      jwks_uri: at("/keys"),
    });
    expect(await load()).toBe('{"keys":[1]}');
  });

  test.each<[string, object, string]>([
    ["another issuer", { issuer: "https://evil.example", jwks_uri: "x" }, "another issuer"],
    ["a slash more", { issuer: `${issuer}/`, jwks_uri: "x" }, "another issuer"],
    ["no keys", { issuer }, "no jwks_uri"],
    ["keys nowhere", { issuer, jwks_uri: "here" }, "no jwks_uri"],
  ])("metadata of %s is not believed", async (_name, document, want) => {
    documents.set("/tenant/.well-known/openid-configuration", document);
    documents.set("/.well-known/oauth-authorization-server/tenant", document);
    expect(await failureOf(load())).toContain(want);
    expect(asked).not.toContain("/keys");
  });

  test("the metadata is read once, and again after the keys could not be had", async () => {
    const place = "/tenant/.well-known/openid-configuration";
    documents.set(place, { issuer, jwks_uri: at("/keys") });
    const again = createDiscovery(issuer, systemClock, { dial: createEgressFetch(true) });
    await again();
    await again();
    expect(asked).toEqual([place, "/keys", "/keys"]);
    documents.delete("/keys");
    await failureOf(again());
    documents.set("/moved", { keys: [2] });
    documents.set(place, { issuer, jwks_uri: at("/moved") });
    expect(await again()).toBe('{"keys":[2]}');
  });
});
