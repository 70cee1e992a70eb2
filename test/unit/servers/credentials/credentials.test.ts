/** One token's life by a clock that stands still: fetched once, renewed in time, paused after failures. */
import { expect, test } from "bun:test";
import { createCredentials } from "../../../../src/servers/credentials/credentials.ts";

function setUp({ lifetimeMs = 60_000, asksFirst = false } = {}) {
  let nowMs = 0;
  let issued = 0;
  let failing = false;
  const learned = { scopes: undefined as readonly string[] | undefined, metadataUrl: undefined };
  const credentials = createCredentials({
    hasFixedScopes: false,
    learned,
    asksFirst,
    clock: { nowMs: () => nowMs, monotonicMs: () => nowMs },
    async obtain() {
      issued += 1;
      if (failing) throw new Error(`failure ${issued}`);
      return { value: `t${issued}`, lifetimeMs };
    },
  });
  return {
    credentials,
    learned,
    issued: () => issued,
    pass: (ms: number) => {
      nowMs += ms;
    },
    fail: (now: boolean) => {
      failing = now;
    },
  };
}

test("one fetch serves all who wait, and the token after it needs no waiting", async () => {
  const { credentials, issued } = setUp();
  const all = [
    credentials.authorization(),
    credentials.authorization(),
    credentials.authorization(),
  ];
  expect(await Promise.all(all)).toEqual(["Bearer t1", "Bearer t1", "Bearer t1"]);
  expect(credentials.authorization()).toBe("Bearer t1");
  expect(issued()).toBe(1);
});

test.each([
  [60_000, 54_000],
  [3_600_000, 3_570_000],
  [10, 9],
])("a token of %d ms is used for %d ms", async (lifetimeMs, usedMs) => {
  const { credentials, pass } = setUp({ lifetimeMs });
  await credentials.authorization();
  pass(usedMs - 1);
  expect(credentials.authorization()).toBe("Bearer t1");
  pass(1);
  expect(await credentials.authorization()).toBe("Bearer t2");
});

test("after a failure nobody is asked for a while, which grows to half a minute", async () => {
  const { credentials, pass, fail, issued } = setUp();
  fail(true);
  const messageOf = () =>
    Promise.resolve(credentials.authorization()).catch((error: Error) => error.message);
  expect(await messageOf()).toBe("failure 1");
  pass(999);
  expect(await messageOf()).toBe("failure 1");
  pass(1);
  expect(await messageOf()).toBe("failure 2");
  pass(1_999);
  expect(await messageOf()).toBe("failure 2");
  for (let count = 0; count < 10; count += 1) {
    pass(30_000);
    await messageOf();
  }
  expect(issued()).toBe(12);
  pass(29_999);
  await messageOf();
  expect(issued()).toBe(12);
  fail(false);
  pass(1);
  expect(await messageOf()).toBe("Bearer t13");
});

test("a server may send us for another token twice in half a minute, then again", async () => {
  const { credentials, pass } = setUp();
  const refuse = async () => {
    const used = await credentials.authorization();
    return credentials.refused(used ?? "", 401, undefined);
  };
  expect([await refuse(), await refuse(), await refuse()]).toEqual([true, true, false]);
  pass(30_001);
  expect(await refuse()).toBe(true);
  credentials.accepted(await credentials.authorization());
  expect([await refuse(), await refuse(), await refuse()]).toEqual([true, true, false]);
});

test("the first request may go without, to hear what is wanted", async () => {
  const { credentials, learned, issued } = setUp({ asksFirst: true });
  expect(credentials.authorization()).toBeUndefined();
  const challenge = 'Bearer scope="a", resource_metadata="https://a.example/m"';
  expect(credentials.refused(undefined, 401, challenge)).toBe(true);
  expect(learned as object).toEqual({ scopes: ["a"], metadataUrl: "https://a.example/m" });
  expect(issued()).toBe(0);
  expect(await credentials.authorization()).toBe("Bearer t1");
});

test("a 403 without a new scope is an answer like any other", async () => {
  const { credentials, learned } = setUp();
  const used = (await credentials.authorization()) ?? "";
  const more = 'Bearer error="insufficient_scope", scope="a"';
  for (const challenge of [undefined, 'Bearer error="access_denied", scope="b"']) {
    expect(credentials.refused(used, 403, challenge)).toBe(false);
  }
  learned.scopes = ["a"];
  expect(credentials.refused(used, 403, more)).toBe(false);
  expect(credentials.refused(used, 403, 'Bearer error="insufficient_scope", scope="c"')).toBe(true);
  expect(learned.scopes as readonly string[]).toEqual(["a", "c"]);
});
