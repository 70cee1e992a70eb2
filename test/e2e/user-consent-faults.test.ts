/**
 * What an attacker, a careless user or a broken authorization server can do to a consent, on the executable: every one of
 * them ends without a grant, and the pages give nothing away.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createBrowser, type Page } from "../support/browser.ts";
import { type ConsentWorld, consent, linkOf, startConsentWorld } from "../support/consent-world.ts";
import { until } from "../support/deadline.ts";
import { allRecords, registerHttpServer } from "../support/operator.ts";

const stack = new AsyncDisposableStack();
let world: ConsentWorld;

beforeAll(async () => {
  world = stack.use(await startConsentWorld());
}, 60_000);
afterAll(() => stack.disposeAsync());

/** A link for a user who has none yet. */
const newLink = async (user: string) => linkOf(await world.echo(await world.tokenOf(user)));
const isCallback = ({ pathname, origin }: URL) =>
  origin === world.publicUrl && pathname === "/consent/callback";
const grantsOf = async (user: string) => {
  const { grants } = await world.admin.call("GrantService", "ListGrants", {});
  return (grants as { principal: string }[]).filter(({ principal }) =>
    principal.endsWith(`#${user}`),
  );
};
/** The page it is refused by, and that nothing came of it. */
async function expectRefused(page: Page, status: number, words: string, user: string) {
  expect([page.status, page.text]).toEqual([status, expect.stringContaining(words)]);
  expect(await grantsOf(user)).toEqual([]);
}
/** Up to where the server's authorization server sends the browser back to; nothing is visited there yet. */
async function untilCallback(user: string, atServer = user) {
  const browser = world.browserOf(user, atServer);
  const page = await browser.open(await newLink(user));
  // Pressed by hand: the page that leads on is not followed.
  const cookies = browser.cookies(world.publicUrl);
  const form = [...page.text.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)">/g)];
  const body = new URLSearchParams();
  for (const [, name = "", value = ""] of form) body.set(name, value);
  body.set("decision", "allow");
  const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
  const going = await fetch(`${world.publicUrl}/consent`, {
    method: "POST",
    headers: {
      cookie,
      origin: world.publicUrl,
      "content-type": "application/x-www-form-urlencoded",
    },
    body,
  });
  for (const line of going.headers.getSetCookie()) {
    const [pair = ""] = line.split(";");
    browser.setCookie(world.publicUrl, pair.split("=")[0] ?? "", pair.slice(pair.indexOf("=") + 1));
  }
  const next = /url=([^"]+)"/.exec(await going.text())?.[1] ?? "";
  const url = next.replace(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)));
  return {
    browser,
    callback: await browser.openUntil(url, isCallback),
    authorization: new URL(url),
  };
}

describe("AZ-20 whose browser it is", () => {
  test("one's own link sent to somebody else gets nobody anything, and is used up", async () => {
    const link = await newLink("mallory");
    const page = await world.browserOf("victim").open(link);
    await expectRefused(page, 403, "made for somebody else", "mallory");
    expect(await grantsOf("victim")).toEqual([]);
    expect(page.text).not.toContain("mallory");
    const again = await world.browserOf("mallory").open(link);
    await expectRefused(again, 404, "used already", "mallory");
    const [record] = await until("the record", async () => {
      const found = await allRecords(world.admin, { event: "consent.denied" });
      return found.length > 0 ? found : undefined;
    });
    expect(JSON.parse(record?.envelope_json ?? "{}").facts).toMatchObject({ reason: "other-user" });
    expect(record?.principal).toEndWith("#mallory");
  });

  test("an authorization begun in one browser does not end in another", async () => {
    const { callback, browser } = await untilCallback("nora");
    const stranger = createBrowser();
    await expectRefused(await stranger.open(callback), 400, "This step was done", "nora");
    // In the browser it was begun in it works still: the stranger used nothing up.
    expect((await browser.open(callback)).status).toBe(200);
    expect(await grantsOf("nora")).toHaveLength(1);
  });

  test("a second client of the same user needs a consent of its own", async () => {
    const [first, second] = [
      await world.tokenOf("nora"),
      await world.tokenOf("nora", "other-agent"),
    ];
    expect((await world.echo(first)).result?.content).toBeDefined();
    const question = await world.echo(second);
    expect(question.result?.resultType).toBe("input_required");
    const page = await world.browserOf("nora").open(linkOf(question));
    expect(page.text).toContain("<dd>other-agent</dd>");
    await world.browserOf("nora").press(page, "deny");
    expect((await world.echo(second)).result?.resultType).toBe("input_required");
    expect((await world.echo(first)).result?.content).toBeDefined();
    const clients = (await grantsOf("nora")).map((one) => Reflect.get(one, "client"));
    expect(clients).toEqual(["agent"]);
  });
});

describe("each step is good once", () => {
  test("a link", async () => {
    const link = await newLink("olga");
    const browser = world.browserOf("olga");
    await consent(browser, link);
    expect(await grantsOf("olga")).toHaveLength(1);
    const page = await browser.open(link);
    expect([page.status, page.text]).toEqual([404, expect.stringContaining("used already")]);
  });

  test("a login's answer, a form and an authorization's answer", async () => {
    const browser = world.browserOf("paul");
    const page = await browser.open(await newLink("paul"));
    const login = page.way.find(({ pathname }) => pathname === "/consent/login");
    await expectRefused(await browser.open(login ?? ""), 400, "done already", "paul");
    const { browser: other, callback } = await untilCallback("paul");
    expect((await other.open(callback)).status).toBe(200);
    expect((await other.open(callback)).status).toBe(400);
    expect(await grantsOf("paul")).toHaveLength(1);
  });

  test("links that were made up or changed", async () => {
    const link = await newLink("quin");
    const at = link.length - 30;
    const changed = link.slice(0, at) + (link[at] === "A" ? "B" : "A") + link.slice(at + 1);
    for (const url of [changed, `${world.publicUrl}/consent?link=`, `${link}.x`.slice(0, -25)]) {
      expect((await createBrowser().open(url)).status, url).toBe(404);
    }
    expect((await world.browserOf("quin").open(link)).status).toBe(200);
  });
});

describe("what comes back from the authorization server", () => {
  test("UP-11 another issuer's name, or none where one was promised", async () => {
    for (const change of [
      (params: URLSearchParams) => params.set("iss", "https://evil.example"),
      (params: URLSearchParams) => params.delete("iss"),
      (params: URLSearchParams) => params.append("iss", world.authority.issuer),
      (params: URLSearchParams) => params.append("code", "another"),
    ]) {
      const { browser, callback } = await untilCallback("rosa");
      change(callback.searchParams);
      const page = await browser.open(callback);
      expect(page.status).toBe(403);
      expect(await grantsOf("rosa")).toEqual([]);
    }
  });

  test("an error of another issuer is not shown, and one of its own says nothing of it", async () => {
    const { browser, callback } = await untilCallback("sara", "deny");
    expect(callback.searchParams.get("error")).toBe("access_denied");
    const page = await browser.open(callback);
    await expectRefused(page, 403, "did not give the access", "sara");
    expect(page.text).not.toContain("access_denied");
    const token = await world.tokenOf("sara");
    expect((await world.echo(token)).result?.resultType).toBe("input_required");
  });

  test("another state", async () => {
    const { browser, callback } = await untilCallback("tara");
    const state = callback.searchParams.get("state") ?? "";
    callback.searchParams.set("state", `${state.slice(0, -1)}${state.endsWith("A") ? "B" : "A"}`);
    await expectRefused(await browser.open(callback), 403, "does not belong", "tara");
  });

  test("what the gateway sent: PKCE, one resource, its own address, the asked scopes", async () => {
    const { authorization } = await untilCallback("ugo");
    const { searchParams } = authorization;
    expect(Object.fromEntries(searchParams)).toMatchObject({
      response_type: "code",
      client_id: "gateway-files",
      redirect_uri: `${world.publicUrl}/consent/callback`,
      code_challenge_method: "S256",
      resource: world.guard.url,
      scope: "read",
    });
    expect(searchParams.get("code_challenge")).toMatch(/^[A-Za-z0-9_-]{43}$/);
  });
});

describe("the form", () => {
  test("without the token, with another, or from another site, decides nothing", async () => {
    const browser = world.browserOf("vera");
    const page = await browser.open(await newLink("vera"));
    for (const token of [undefined, "", "A".repeat(43)]) {
      const answer = await browser.press(page, "allow", { token });
      await expectRefused(answer, 403, "does not belong", "vera");
    }
    const elsewhere = await browser.press(page, "allow", {}, { origin: "https://evil.example" });
    expect(elsewhere.status).toBe(403);
    const plain = await browser.press(page, "allow", {}, { "content-type": "text/plain" });
    expect(plain.status).toBe(403);
    expect(await grantsOf("vera")).toEqual([]);
    expect((await createBrowser().press(page, "allow")).status).toBe(400);
  });

  test("a user who says no leaves nothing behind", async () => {
    const browser = world.browserOf("will");
    const page = await browser.press(await browser.open(await newLink("will")), "deny");
    await expectRefused(page, 200, "Nothing was allowed", "will");
    expect([...browser.cookies(world.publicUrl).keys()]).toEqual([]);
    expect(page.way.every(({ origin }) => origin === world.publicUrl)).toBe(true);
  });
});

describe("the pages", () => {
  test("cannot be framed, kept, scripted or made to say where one came from", async () => {
    const browser = world.browserOf("xena");
    const page = await browser.open(await newLink("xena"));
    const refused = await createBrowser().open(`${world.publicUrl}/consent?link=x`);
    for (const { headers, text } of [page, refused]) {
      const policy = headers.get("content-security-policy") ?? "";
      expect(policy).toContain("default-src 'none'");
      expect(policy).toContain("frame-ancestors 'none'");
      expect(policy).toContain("form-action 'self'");
      expect(policy).not.toContain("unsafe-inline");
      expect(headers.get("x-frame-options")).toBe("DENY");
      expect(headers.get("cache-control")).toBe("no-store");
      expect(headers.get("referrer-policy")).toBe("same-origin");
      expect(text).not.toContain("<script");
    }
    const answer = await fetch(await newLink("xena"), { redirect: "manual" });
    expect(answer.headers.get("referrer-policy")).toBe("no-referrer");
  });

  test("their cookie is HttpOnly, Lax and short-lived", async () => {
    const answer = await fetch(await newLink("yara"), { redirect: "manual" });
    expect(answer.status).toBe(303);
    const [line = ""] = answer.headers.getSetCookie();
    expect(line).toMatch(/^mcp-consent-[A-Za-z0-9_-]{12}=sealed:/);
    expect(line).toEndWith("; Path=/; HttpOnly; SameSite=Lax; Max-Age=600");
  });

  test("nothing in a request says where to go, and other methods are refused", async () => {
    for (const query of ["", "flow=x", "flow=AAAAAAAAAAAA", "link=https://evil.example"]) {
      const page = await createBrowser().open(`${world.publicUrl}/consent?${query}`);
      expect([400, 404]).toContain(page.status);
      expect(page.headers.get("location")).toBeNull();
    }
    for (const method of ["DELETE", "PUT"]) {
      expect((await fetch(`${world.publicUrl}/consent`, { method })).status).toBe(405);
    }
    const posted = await fetch(`${world.publicUrl}/consent/callback`, { method: "POST", body: "" });
    expect(posted.status).toBe(405);
    expect((await fetch(`${world.publicUrl}/consent/elsewhere`)).status).toBe(404);
  });
});

describe("an authorization server that users are not sent to", () => {
  test.each([
    ["without PKCE", { code_challenge_methods_supported: undefined }],
    ["with plain PKCE alone", { code_challenge_methods_supported: ["plain"] }],
    ["of another name", { issuer: "https://evil.example" }],
    ["without a page", { authorization_endpoint: undefined }],
    ["with a page that is none", { authorization_endpoint: "javascript:alert(1)" }],
  ])("%s", async (name, changes) => {
    const server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch(request) {
        const { origin, pathname } = new URL(request.url);
        if (!pathname.startsWith("/.well-known/oauth-authorization-server")) {
          return new Response("", { status: 404 });
        }
        return Response.json({
          issuer: origin,
          authorization_endpoint: `${origin}/auth`,
          token_endpoint: `${origin}/token`,
          code_challenge_methods_supported: ["S256"],
          ...changes,
        });
      },
    });
    stack.defer(() => server.stop(true));
    const issuer = server.url.origin;
    const server_name = `weak-${name.replaceAll(" ", "-").toLowerCase()}`;
    await registerHttpServer(world.admin, server_name, `${issuer}/mcp`, {
      auth: { oauth: { grant: "OAUTH_GRANT_AUTHORIZATION_CODE", client_id: "public", issuer } },
    });
    const token = await world.tokenOf("zoe");
    const link = linkOf(await world.echo(token, { server: server_name }));
    const page = await world.browserOf("zoe").open(link);
    await expectRefused(page, 502, "cannot be used", "zoe");
  });
});
