/**
 * One request to a place that is no MCP server, on real sockets: nothing is followed (UP-06), nothing goes through a
 * proxy (UP-07), and both the time and the bytes of an answer are bounded.
 */
import { afterEach, describe, expect, test } from "bun:test";
import { createEgressFetch } from "../../src/servers/egress-fetch.ts";

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** Counts the requests it gets, by path. */
function serve(answer: (request: Request) => Response | Promise<Response>) {
  const seen: string[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request) {
      seen.push(`${request.method} ${new URL(request.url).pathname}`);
      return answer(request);
    },
  });
  ends.push(() => server.stop(true));
  return { url: `http://127.0.0.1:${server.port}`, seen };
}

const fetchAny = createEgressFetch(true);
const fetchPublic = createEgressFetch(false);
const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

describe("UP-06 no redirect is followed", () => {
  const statuses = [301, 302, 303, 307, 308];
  const places = [
    "/elsewhere",
    "elsewhere",
    "//{other}/elsewhere",
    "http://{other}/elsewhere",
    "http://169.254.169.254/latest/meta-data",
    "http://[::1]/",
    "http://localhost/",
    "file:///etc/passwd",
    "https://user:password@example.com/",
    "javascript:alert(1)",
  ];
  const rows = statuses.flatMap((status) => places.map((place) => [status, place] as const));
  test.each(rows)("%d to %s", async (status, place) => {
    const other = serve(() => new Response("reached"));
    const location = place.replace("{other}", other.url.replace("http://", ""));
    const first = serve(() => new Response("moved", { status, headers: { location } }));
    const answer = await fetchAny(`${first.url}/start`, { headers: { authorization: "Bearer x" } });
    expect(answer.status).toBe(status);
    expect(answer.text).toBe("moved");
    expect(first.seen).toEqual(["GET /start"]);
    expect(other.seen).toEqual([]);
  });
});

test("UP-01 an address that may not be dialled is not dialled", async () => {
  const inside = serve(() => new Response("reached"));
  const tried = await Promise.all(
    [inside.url, inside.url.replace("http:", "https:"), "https://localhost:1/"].map((url) =>
      fetchPublic(url).then(() => "reached", messageOf),
    ),
  );
  for (const message of tried) expect(message).toStartWith("Invalid server address");
  expect(inside.seen).toEqual([]);
});

test("UP-07 the environment's proxy is not asked", async () => {
  const proxy = serve(() => new Response("by proxy"));
  const target = serve(() => new Response("straight"));
  const before = process.env.HTTP_PROXY;
  process.env.HTTP_PROXY = proxy.url;
  ends.push(() => {
    if (before === undefined) delete process.env.HTTP_PROXY;
    else process.env.HTTP_PROXY = before;
  });
  expect((await fetchAny(target.url)).text).toBe("straight");
  expect(proxy.seen).toEqual([]);
});

test("UP-12 an answer that is too long, compressed or never ends is given up", async () => {
  const long = serve(() => new Response("x".repeat(5_000)));
  expect(await fetchAny(long.url, { bytesMax: 4_999 }).catch(messageOf)).toBe(
    "more than 4999 bytes",
  );
  expect((await fetchAny(long.url, { bytesMax: 5_000 })).text).toHaveLength(5_000);
  const silent = serve(() => new Promise<Response>(() => {}));
  expect(await fetchAny(silent.url, { timeoutMs: 50 }).catch(messageOf)).toBe(
    "timed out after 50 ms",
  );
});

test("a POST arrives with its body, and a line break makes no header", async () => {
  const echo = serve(async (request) => {
    return new Response(`${request.headers.get("content-type")} ${await request.text()}`);
  });
  const form = { "content-type": "application/x-www-form-urlencoded" };
  const answer = await fetchAny(echo.url, { method: "POST", headers: form, body: "a=b\u00fc" });
  expect(answer.text).toBe("application/x-www-form-urlencoded a=b\u00fc");
  const broken = { authorization: "Bearer x\r\nhost: y" };
  expect(await fetchAny(echo.url, { headers: broken }).catch(messageOf)).toBe("header-refused");
});
