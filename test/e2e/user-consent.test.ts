/**
 * A user lets the gateway reach a server in their name: the agent's call becomes a question with a URL, a browser goes the
 * whole way through two real authorization servers, and the retry succeeds with the user's own token. One executable.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  Client as ModernClient,
  StreamableHTTPClientTransport,
} from "@modelcontextprotocol/client";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as LegacyTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { decodeJwt } from "jose";
import { createAdminClient } from "../support/admin-client.ts";
import {
  type ConsentWorld,
  consent,
  linkOf,
  loginSecret,
  serverClientSecret,
  startConsentWorld,
} from "../support/consent-world.ts";
import { until } from "../support/deadline.ts";
import { startGateway } from "../support/gateway-process.ts";
import type { RpcAnswer } from "../support/modern-agent.ts";
import { allRecords, registerClient } from "../support/operator.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const stack = new AsyncDisposableStack();
let world: ConsentWorld;
let folder = "";

beforeAll(async () => {
  folder = stack.use(temporaryFolder("consent")).path;
  world = stack.use(await startConsentWorld({ dataDir: join(folder, "data") }));
}, 60_000);
afterAll(() => stack.disposeAsync());

const accepted = (answer: RpcAnswer) => ({
  requestState: answer.result?.requestState,
  inputResponses: { consent: { action: "accept" } },
});
const subjectSeen = () => {
  const token = world.guard.passed.at(-1)?.authorization?.replace("Bearer ", "") ?? "";
  return decodeJwt(token).sub;
};
const textOf = (answer: RpcAnswer) => JSON.stringify(answer.result?.content ?? answer.text);

describe("AZ-20 a server that is called in its users' own names", () => {
  test("asks the user first, sends nothing before, and then calls with the user's own token", async () => {
    const token = await world.tokenOf("ada");
    const question = await world.echo(token);
    expect(question.result?.resultType).toBe("input_required");
    const asked = Object.values(question.result?.inputRequests as object)[0];
    expect(asked).toMatchObject({ method: "elicitation/create", params: { mode: "url" } });
    expect(asked.params.message).toStartWith("[files] needs your consent");
    expect(linkOf(question)).toStartWith(`${world.publicUrl}/consent?link=`);
    expect([world.guard.passed, world.guard.refused]).toEqual([[], []]);
    // Who asks again is not sent a second link while the first is good.
    expect(linkOf(await world.echo(token))).toBe(linkOf(question));

    const done = await consent(world.browserOf("ada"), linkOf(question));
    expect([done.status, done.text]).toEqual([200, expect.stringContaining("files is ready")]);
    const answer = await world.echo(token, accepted(question));
    expect(textOf(answer)).toContain("hello");
    expect(subjectSeen()).toBe("ada");
    for (const { authorization } of world.guard.passed) expect(authorization).not.toContain(token);
    // From now on there is nothing to ask.
    expect(textOf(await world.echo(token))).toContain("hello");
  });

  test("another user is asked for themselves, and gets nothing of the first", async () => {
    const [ada, bob] = [await world.tokenOf("ada"), await world.tokenOf("bob")];
    const question = await world.echo(bob);
    expect(question.result?.resultType).toBe("input_required");
    await consent(world.browserOf("bob"), linkOf(question));
    const calls = [];
    for (let round = 0; round < 5; round += 1) calls.push(world.echo(ada), world.echo(bob));
    for (const answer of await Promise.all(calls)) expect(textOf(answer)).toContain("hello");
    await world.echo(bob);
    expect(subjectSeen()).toBe("bob");
    await world.echo(ada);
    expect(subjectSeen()).toBe("ada");
    const listed = await world.admin.call("GrantService", "ListGrants", { server: "files" });
    const principals = (listed.grants as { principal: string }[]).map(({ principal }) => principal);
    const named = ["ada", "bob"].map((user) => `user:${world.issuer.issuer}#${user}`);
    expect(principals.toSorted()).toEqual(named);
  });

  test("a call that waits for its user ends when they have decided", async () => {
    const token = await world.tokenOf("cleo");
    const question = await world.echo(token);
    const waiting = world.echo(token, accepted(question));
    await consent(world.browserOf("cleo"), linkOf(question));
    expect(textOf(await waiting)).toContain("hello");

    const other = await world.tokenOf("dora");
    const asked = await world.echo(other);
    const refused = world.echo(other, accepted(asked));
    const browser = world.browserOf("dora");
    const page = await browser.press(await browser.open(linkOf(asked)), "deny");
    expect(page.text).toContain("Nothing was allowed");
    expect((await refused).error).toMatchObject({ code: 40305 });
  });

  test("who turns the URL down is not asked again in this call", async () => {
    const token = await world.tokenOf("emil");
    const { requestState } = (await world.echo(token)).result ?? {};
    const inputResponses = { consent: { action: "decline" } };
    const answer = await world.echo(token, { requestState, inputResponses });
    expect(answer.error).toMatchObject({
      code: 40305,
      message: expect.stringContaining("declined"),
    });
  });

  test("an agent that shows no URLs gets an error that names it, for lists too", async () => {
    const token = await world.tokenOf("finn");
    for (const more of [
      { capabilities: {} },
      { capabilities: { elicitation: {} } },
      { scope: "files", method: "tools/list" },
    ]) {
      const { error } = await world.echo(token, more);
      expect(error).toMatchObject({ code: 40305, data: { server: "files" } });
      expect(error?.message).toContain(String(error?.data?.url));
    }
  });

  test("callers without a user's login are refused in words that say so", async () => {
    const token = await registerClient(world.admin, "ci", { roles: ["adder"] });
    const { error } = await world.echo(token);
    expect(error).toMatchObject({ code: 40301 });
    expect(error?.message).toContain("identity.jwt.issuers, login");
  });

  test("a server that wants more asks the user for just that, and not for what they withheld", async () => {
    const token = await world.tokenOf("ada");
    world.guard.needed = ["read", "extra"];
    try {
      const question = await world.echo(token);
      expect(question.result?.resultType).toBe("input_required");
      const browser = world.browserOf("ada");
      const page = await browser.open(linkOf(question));
      expect(page.text).toContain("<li>read</li><li>extra <small>(new)</small></li>");
      await browser.press(page, "allow");
      expect(textOf(await world.echo(token, accepted(question)))).toContain("hello");
      // A scope that the authorization server does not know is asked for once.
      world.guard.needed = ["read", "nonsense"];
      const impossible = await world.echo(token);
      await consent(world.browserOf("ada"), linkOf(impossible));
      expect((await world.echo(token, accepted(impossible))).error?.code).toBe(50201);
    } finally {
      world.guard.needed = [];
    }
  });

  test("SDK clients of both eras are led there by what they know", async () => {
    const visit = async (user: string, url: string) => {
      const page = await consent(world.browserOf(user), url);
      expect(page.status).toBe(200);
      return { action: "accept" } as const;
    };
    const url = new URL(`${world.gateway.agents}/files/mcp`);
    const headersOf = async (user: string) => ({
      headers: { authorization: `Bearer ${await world.tokenOf(user)}` },
    });
    const capabilities = { elicitation: { url: {} } };
    const legacy = new Client({ name: "legacy", version: "1" }, { capabilities });
    legacy.setRequestHandler(ElicitRequestSchema, async ({ params }) =>
      visit("gina", "url" in params ? params.url : ""),
    );
    await legacy.connect(new LegacyTransport(url, { requestInit: await headersOf("gina") }));
    const called = { name: "echo", arguments: { text: "from the past" } };
    expect(JSON.stringify(await legacy.callTool(called))).toContain("from the past");
    await legacy.close();

    const modern = new ModernClient(
      { name: "modern", version: "1" },
      { capabilities, versionNegotiation: { mode: { pin: "2026-07-28" } } },
    );
    modern.setRequestHandler("elicitation/create", async ({ params }) =>
      visit("hugo", "url" in params ? params.url : ""),
    );
    const requestInit = await headersOf("hugo");
    await modern.connect(new StreamableHTTPClientTransport(url, { requestInit }));
    const answer = await modern.callTool({ name: "echo", arguments: { text: "from now" } });
    expect(JSON.stringify(answer)).toContain("from now");
    await modern.close();
  });

  test("an operator takes a grant back: gone here and there, recorded, and asked for anew", async () => {
    const token = await world.tokenOf("bob");
    const bob = `user:${world.issuer.issuer}#bob`;
    const listed = await world.admin.call("GrantService", "ListGrants", { server: "files" });
    const grant = (listed.grants as { principal: string; id: string }[]).find(
      ({ principal }) => principal === bob,
    );
    const answer = await world.admin.call("GrantService", "RevokeGrant", { id: grant?.id ?? "" });
    expect(answer.revoked_upstream).toBe(true);
    expect((await world.echo(token)).result?.resultType).toBe("input_required");
    const events = async (event: string) =>
      until("the record", async () => {
        const found = await allRecords(world.admin, { event });
        return found.length > 0 ? found : undefined;
      });
    const [revoked] = await events("consent.revoked");
    expect(revoked).toMatchObject({ principal: bob, client: "agent", server: "files" });
    expect(JSON.parse(revoked?.envelope_json ?? "{}")).toMatchObject({
      class: "A",
      facts: { reason: "operator" },
    });
    const granted = await events("consent.granted");
    expect(granted.map(({ principal }) => principal)).toContain(bob);
    const denied = await events("consent.denied");
    expect(denied.at(0)?.principal).toBe(`user:${world.issuer.issuer}#dora`);
    const changed = await allRecords(world.admin, { event: "admin.change" });
    expect(changed.map(({ method }) => method)).toContain("GrantService/RevokeGrant");
  });

  test("nothing of a grant is readable in the data folder or the log, and it outlives a restart", async () => {
    const seen = world.guard.passed.flatMap(({ authorization }) =>
      authorization === undefined ? [] : [authorization.replace("Bearer ", "")],
    );
    const secrets = [...new Set(seen), loginSecret, serverClientSecret];
    expect(secrets.length).toBeGreaterThan(3);
    const token = await world.tokenOf("ada");
    await world.gateway[Symbol.asyncDispose]();
    const files = readdirSync(join(folder, "data"), { recursive: true, withFileTypes: true })
      .filter((one) => one.isFile())
      .map((one) => readFileSync(join(one.parentPath, one.name)));
    for (const secret of secrets) {
      expect(files.some((bytes) => bytes.includes(secret))).toBe(false);
      expect(world.gateway.stdout() + world.gateway.stderr()).not.toContain(secret);
    }
    await using gateway = await startGateway(world.start);
    using admin = createAdminClient(gateway);
    expect(textOf(await world.echo(token, { base: gateway.agents }))).toContain("hello");
    const { grants } = await admin.call("GrantService", "ListGrants", {});
    expect(JSON.stringify(grants)).toContain("ada");
  });
});
