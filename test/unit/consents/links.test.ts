import { describe, expect, test } from "bun:test";
import { createConsentLinks } from "../../../src/consents/links.ts";
import { createPasses, passLifetimeMs } from "../../../src/consents/passes.ts";
import type { AccessAsked } from "../../../src/servers/user-access.ts";
import { createMemoryPasses, testSealer } from "../../support/memory-passes.ts";

const issuer = "https://login.example";
const ada = { id: `user:${issuer}#ada`, tenant: "a", clientId: "agent", issuer };
const asked = (changes: Partial<AccessAsked> = {}): AccessAsked => ({
  caller: ada,
  server: "files",
  moreScopes: [],
  ...changes,
});

function setUp() {
  const time = { nowMs: 1_000 };
  const clock = { nowMs: () => time.nowMs, monotonicMs: () => time.nowMs };
  const store = createMemoryPasses();
  const passes = createPasses<AccessAsked>({ step: "link", store, sealer: testSealer, clock });
  const make = (key: Buffer, publicUrl: string | undefined = "https://gateway.example") =>
    createConsentLinks({ passes, key, publicUrl, canLogIn: (one) => one === issuer, clock });
  const links = make(Buffer.alloc(32, 1));
  const linkOf = (url: string | undefined) => new URL(url ?? "").searchParams.get("link") ?? "";
  return { time, store, passes, links, make, linkOf };
}

describe("links to the consent page", () => {
  test("say nothing of who or what, and are told from made-up ones without asking anybody", async () => {
    const { links, linkOf, passes, make } = setUp();
    const url = await links.make(asked());
    expect(url).toMatch(/^https:\/\/gateway\.example\/consent\?link=[\w-]{43}\.[\w-]{22}$/);
    const pass = links.passOf(linkOf(url)) ?? "";
    expect(await passes.read(pass)).toEqual(asked());
    const link = linkOf(url);
    const other = `${link.startsWith("x") ? "y" : "x"}${link.slice(1)}`;
    for (const forged of ["", ".", link.slice(0, -1), other, pass, `${pass}.`]) {
      expect(links.passOf(forged)).toBeUndefined();
    }
    expect(make(Buffer.alloc(32, 2)).passOf(link)).toBeUndefined();
    // Nodes that share the key open each other's.
    expect(make(Buffer.alloc(32, 1)).passOf(link)).toBe(pass);
  });

  test("who asks again gets the same one while it is good for a while, and another once it was used", async () => {
    const { links, linkOf, passes, time, store } = setUp();
    const first = await links.make(asked());
    expect(await links.make(asked())).toBe(first ?? "");
    expect(store.size()).toBe(1);
    expect(await links.make(asked({ moreScopes: ["x"] }))).not.toBe(first ?? "");
    expect(await links.make(asked({ caller: { ...ada, clientId: "other" } }))).not.toBe(
      first ?? "",
    );
    await passes.take(links.passOf(linkOf(first)) ?? "");
    const second = await links.make(asked());
    expect(second).not.toBe(first ?? "");
    time.nowMs += passLifetimeMs / 2 + 60_001;
    expect(await links.make(asked())).not.toBe(second ?? "");
  });

  test("are not made where nobody could log in", async () => {
    const { links } = setUp();
    const of = (one: string | undefined) => links.make(asked({ caller: { ...ada, issuer: one } }));
    expect(await of("https://elsewhere.example")).toBeUndefined();
    expect(await of(undefined)).toBeUndefined();
  });

  test("are bounded for each user, until they are over", async () => {
    const { links, time } = setUp();
    for (let at = 0; at < 16; at += 1) await links.make(asked({ server: `s${at}` }));
    const refused = await links
      .make(asked({ server: "more" }))
      .catch((error: Error) => error.message);
    expect(refused).toContain("Too many consents are asked for already");
    const bob = { ...ada, id: `user:${issuer}#bob` };
    expect(await links.make(asked({ caller: bob, server: "more" }))).toBeDefined();
    time.nowMs += passLifetimeMs;
    expect(await links.make(asked({ server: "more" }))).toBeDefined();
  });
});
