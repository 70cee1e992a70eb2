/** Fetching a JWKS from a real server: no redirects, bounded in size and time, gated by egress (fault AN-12). */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { fetchJwks } from "../../../src/identity/jwks-source.ts";
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

const get = (path: string, allow = true) =>
  fetchJwks(new URL(path, server.url).href, { dial: createEgressFetch(allow), timeoutMs: 200 });

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
  await expect(get("/hangs")).rejects.toThrow();
});

test("what egress does not allow is never asked", async () => {
  await expect(get("/never", false)).rejects.toThrow("egress");
  expect(seen).not.toContain("/never");
});
