import { describe, expect, test } from "bun:test";
import type { RecordDraft } from "../../../src/audit/record.ts";
import { createBrowserStates } from "../../../src/consents/browser-state.ts";
import {
  type ConsentStep,
  createConsentDesk,
  type Decision,
  type Sent,
} from "../../../src/consents/desk.ts";
import { createPasses, passLifetimeMs } from "../../../src/consents/passes.ts";
import { GatewayError } from "../../../src/errors/fault.ts";
import type { AccessAsked, AccessReturn } from "../../../src/servers/user-access.ts";
import { silentLog } from "../../../src/telemetry/log.ts";
import { createMemoryPasses, testSealer } from "../../support/memory-passes.ts";

const issuer = "https://login.example";
const server = "https://auth.example";
const ada = `user:${issuer}#ada`;

interface Bends {
  /** Who logs in. */
  user: string;
  authorizes: boolean;
  /** The authorization server that is found, at the question and afterwards. */
  issuers: [string, string];
  records: boolean;
  isRegistered: boolean;
}

function setUp() {
  const bends: Bends = {
    user: ada,
    authorizes: true,
    issuers: [server, server],
    records: true,
    isRegistered: true,
  };
  const time = { nowMs: 1_000 };
  const clock = { nowMs: () => time.nowMs, monotonicMs: () => time.nowMs };
  const store = createMemoryPasses();
  const passes = { store, sealer: testSealer, clock };
  const linkPasses = createPasses<AccessAsked>({ step: "link", ...passes });
  const records: RecordDraft[] = [];
  const saved: AccessReturn[] = [];
  const denied: AccessAsked[] = [];
  const desk = createConsentDesk({
    links: { passOf: (link) => link },
    linkPasses,
    decisions: createPasses<Decision>({ step: "decision", ...passes }),
    awaited: createPasses<Sent>({ step: "return", ...passes }),
    states: createBrowserStates(testSealer, clock),
    logins: {
      begin: async (one, redirectUri, state) => {
        const url = `${issuer}/auth?${new URLSearchParams({ redirectUri, state })}`;
        return { issuer: one, nonce: "n", verifier: "v", url };
      },
      finish: async () => bends.user,
    },
    authorization: () =>
      bends.isRegistered
        ? {
            describe: async () => ({ issuer: bends.issuers[0], scopes: ["read"] }),
            begin: async ({ redirectUri, state }) => ({
              url: `${server}/auth?${new URLSearchParams({ redirectUri, state })}`,
              verifier: "v2",
              issuer: bends.issuers[1],
            }),
            async finish(back) {
              if (!bends.authorizes) {
                const more = { reason: "oauth-access_denied" };
                throw new GatewayError("upstream-unreachable", "no", more);
              }
              return { scopes: ["read"], save: async () => void saved.push(back) };
            },
            deny: (asked) => void denied.push(asked),
            revoke: async () => true,
          }
        : undefined,
    publicUrl: "https://gateway.example",
    audit: {
      async append(draft) {
        if (!bends.records) throw new GatewayError("audit-unavailable", "spool full");
        records.push(draft);
        return { logId: "log", seq: records.length };
      },
    },
    clock,
    log: silentLog,
  });

  const link = () =>
    linkPasses.issue({
      caller: { id: ada, tenant: "a", clientId: "agent", issuer },
      server: "files",
      moreScopes: [],
    });
  const answerTo = (url: string, more: Readonly<Record<string, string>> = {}) => {
    const state = new URL(url).searchParams.get("state") ?? "";
    return new URLSearchParams({ code: "c", state, ...more });
  };
  const left = need("leave");
  const asked = need("ask");
  /** Up to the question. */
  async function ask() {
    const { flow, cookie, url } = left(await desk.begin(await link()));
    return asked(await desk.loggedIn(flow, cookie, answerTo(url)));
  }
  async function csrfOf({ flow, cookie }: { readonly flow: string; readonly cookie: string }) {
    return need("question")(await desk.show(flow, cookie)).csrf;
  }
  /** Up to the server's authorization server. */
  async function allow() {
    const at = await ask();
    return need("go")(await desk.decide(at.flow, at.cookie, await csrfOf(at), true));
  }
  return { desk, bends, time, link, ask, csrfOf, allow, answerTo, left, records, saved, denied };
}

function need<Kind extends ConsentStep["kind"]>(kind: Kind) {
  return (step: ConsentStep) => {
    if (step.kind !== kind) throw new Error(`not ${kind}: ${JSON.stringify(step)}`);
    return step as Extract<ConsentStep, { readonly kind: Kind }>;
  };
}

const whyOf = (step: ConsentStep) => need("refused")(step).why;

describe("the way of a consent", () => {
  test("the whole of it: recorded before it is kept, and kept once", async () => {
    const { desk, allow, answerTo, records, saved } = setUp();
    const { flow, cookie, url } = await allow();
    const done = await desk.back(flow, cookie, answerTo(url));
    expect(done).toEqual({ kind: "done", flow, server: "files" });
    expect(records).toMatchObject([
      {
        event: "consent.granted",
        class: "A",
        facts: { server: "files", tenant: "a", status: "granted", issuer: server, scopes: "read" },
        details: { principal: ada, client: "agent" },
      },
    ]);
    expect(saved).toHaveLength(1);
    expect(saved[0]).toMatchObject({ verifier: "v2", issuer: server, scopes: ["read"] });
    expect(whyOf(await desk.back(flow, cookie, answerTo(url)))).toBe("expired");
    expect(saved).toHaveLength(1);
  });

  test("a consent that cannot be recorded is none", async () => {
    const { desk, allow, answerTo, bends, saved } = setUp();
    const { flow, cookie, url } = await allow();
    bends.records = false;
    expect(whyOf(await desk.back(flow, cookie, answerTo(url)))).toBe("unavailable");
    expect(saved).toEqual([]);
  });

  test("AZ-20 of another user: recorded, and the link is used up", async () => {
    const { desk, link, answerTo, left, bends, records } = setUp();
    bends.user = `user:${issuer}#victim`;
    const sent = await link();
    const { flow, cookie, url } = left(await desk.begin(sent));
    expect(whyOf(await desk.loggedIn(flow, cookie, answerTo(url)))).toBe("other-user");
    expect(records).toMatchObject([
      { event: "consent.denied", facts: { reason: "other-user" }, details: { principal: ada } },
    ]);
    expect(whyOf(await desk.begin(sent))).toBe("link-unknown");
  });

  test("each step ends after ten minutes", async () => {
    const { desk, ask, csrfOf, allow, answerTo, left, link, time } = setUp();
    const later = () => {
      time.nowMs += passLifetimeMs;
    };
    const sent = await link();
    later();
    expect(whyOf(await desk.begin(sent))).toBe("link-unknown");
    const login = left(await desk.begin(await link()));
    later();
    const { flow, cookie, url } = login;
    expect(whyOf(await desk.loggedIn(flow, cookie, answerTo(url)))).toBe("expired");
    const question = await ask();
    const csrf = await csrfOf(question);
    later();
    expect(whyOf(await desk.decide(question.flow, question.cookie, csrf, true))).toBe("expired");
    const going = await allow();
    later();
    expect(whyOf(await desk.back(going.flow, going.cookie, answerTo(going.url)))).toBe("expired");
  });

  test("a step's cookie is none of another step's, or flow's", async () => {
    const { desk, ask, csrfOf, allow, answerTo } = setUp();
    const [one, other] = [await ask(), await ask()];
    const csrf = await csrfOf(one);
    expect(whyOf(await desk.decide(other.flow, one.cookie, csrf, true))).toBe("expired");
    expect(whyOf(await desk.decide(other.flow, other.cookie, csrf, true))).toBe("forged");
    const going = await allow();
    const params = answerTo(going.url);
    expect(whyOf(await desk.back(going.flow, one.cookie, params))).toBe("expired");
    expect(whyOf(await desk.loggedIn(going.flow, going.cookie, params))).toBe("expired");
    expect(whyOf(await desk.back(going.flow, undefined, params))).toBe("expired");
    const strange = answerTo(going.url, { state: `${going.flow}.x` });
    expect(whyOf(await desk.back(going.flow, going.cookie, strange))).toBe("forged");
    params.append("code", "second");
    expect(whyOf(await desk.back(going.flow, going.cookie, params))).toBe("forged");
  });

  test("a no, here or there, is recorded, and tells the call that waits", async () => {
    const { desk, ask, csrfOf, allow, answerTo, bends, records, denied, saved } = setUp();
    const at = await ask();
    const step = await desk.decide(at.flow, at.cookie, await csrfOf(at), false);
    expect(step).toMatchObject({ kind: "denied", server: "files" });
    bends.authorizes = false;
    const { flow, cookie, url } = await allow();
    expect(whyOf(await desk.back(flow, cookie, answerTo(url)))).toBe("not-authorized");
    expect(records.map(({ event, facts }) => [event, facts.reason])).toEqual([
      ["consent.denied", "user"],
      ["consent.denied", "oauth-access_denied"],
    ]);
    expect(denied).toHaveLength(2);
    expect(saved).toEqual([]);
  });

  test("an authorization server that changed after it was shown is not gone to", async () => {
    const { desk, ask, csrfOf, bends } = setUp();
    const at = await ask();
    bends.issuers = [server, "https://evil.example"];
    const step = await desk.decide(at.flow, at.cookie, await csrfOf(at), true);
    expect(whyOf(step)).toBe("server-unusable");
  });

  test("a server that is gone meanwhile leads nowhere", async () => {
    const { desk, allow, answerTo, bends, saved } = setUp();
    const { flow, cookie, url } = await allow();
    bends.isRegistered = false;
    expect(whyOf(await desk.back(flow, cookie, answerTo(url)))).toBe("server-unusable");
    expect(saved).toEqual([]);
  });
});
