/**
 * An operator's day: whatever changes over gRPC reaches open connections within a second; writers who did not see
 * each other's change are told so; nobody ever reads a secret back.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { until, within } from "../support/deadline.ts";
import { modernCall } from "../support/modern-agent.ts";
import { openStreams } from "../support/open-streams.ts";
import { allRecords, generousLimits, registerClient } from "../support/operator.ts";
import { type SampleGateway, startSampleGateway } from "../support/sample-gateway.ts";
import { agentKinds, needKind, type SdkAgent } from "../support/sdk-agents.ts";

const reachMs = 1_000;
/** What is waited for is asked for again and again. */
const grants = { allowed_tools: ["calculator__*"], limits: generousLimits };

let sample: SampleGateway;
beforeAll(async () => {
  sample = await startSampleGateway();
});
afterAll(() => sample[Symbol.asyncDispose]());

const callAs = (token: string) =>
  modernCall({
    base: sample.gateway.agents,
    token,
    method: "tools/call",
    params: { name: "calculator__add", arguments: { a: 1, b: 1 } },
  });
const isRefused = async (token: string) => (await callAs(token)).status === 401;
const add = (agent: SdkAgent) => agent.callTool("calculator__add", { a: 1, b: 1 });
const succeeds = (call: Promise<unknown>) =>
  call.then(
    () => true,
    () => false,
  );

describe("ends what is open", () => {
  const endings: readonly (readonly [string, (client: string) => Promise<unknown>])[] = [
    [
      "AN-14 TW-08: a revoked token",
      async (client_id) => {
        const { tokens } = await sample.admin.call<{ tokens: { id: string }[] }>(
          "ClientService",
          "ListTokens",
          { client_id },
        );
        return sample.admin.call("ClientService", "RevokeToken", { token_id: tokens[0]?.id });
      },
    ],
    [
      "TW-08: a disabled client",
      (id) =>
        sample.admin.call("ClientService", "UpdateClient", {
          client: { id, enabled: false, ...grants },
        }),
    ],
    ["TW-08: a deleted client", (id) => sample.admin.call("ClientService", "DeleteClient", { id })],
    [
      "a session an operator ends",
      async (client_id) => {
        const { sessions } = await sample.admin.call<{ sessions: { id: string }[] }>(
          "ClientService",
          "ListSessions",
          { client_id },
        );
        expect(sessions).toHaveLength(1);
        return sample.admin.call("ClientService", "EndSession", { id: sessions[0]?.id });
      },
    ],
  ];
  let clients = 0;
  const nextClient = () => {
    clients += 1;
    return `ended-${clients}`;
  };

  for (const [name, end] of endings) {
    for (const [transport, open] of Object.entries(openStreams)) {
      test(`${name}: an open ${transport} is closed within a second`, async () => {
        const id = nextClient();
        const token = await registerClient(sample.admin, id, grants);
        using stream = await open({ base: sample.gateway.agents, token });
        await end(id);
        const ended = within(`${transport} closed`, stream.ended, reachMs);
        const isSession = name.includes("session");
        if (transport === "WebSocket") expect(await ended).toBe(isSession ? 4404 : 4401);
        else await ended;
      });
    }
    for (const kind of agentKinds.filter(({ binding }) => binding === "http")) {
      test(`${name}: ${kind.name} can call no more within a second`, async () => {
        const isSessionless = kind.name.includes("2026-07-28");
        if (isSessionless && name.includes("session")) return;
        const id = nextClient();
        const token = await registerClient(sample.admin, id, grants);
        await using agent = await kind.connect({ base: sample.gateway.agents, token });
        await add(agent);
        await end(id);
        await until("the call refused", async () => !(await succeeds(add(agent))), reachMs);
      });
    }
  }

  test("AN-15: a token that expires ends its WebSocket, without anybody's doing", async () => {
    const { token } = await sample.admin.call<{ token: string }>(
      "ClientService",
      "RegisterClient",
      {
        client: { id: "short-lived", enabled: true, ...grants },
        token_ttl_seconds: 5,
      },
    );
    await using agent = await needKind("SDK v1, WebSocket").connect({
      base: sample.gateway.agents,
      token,
    });
    await add(agent);
    await within("the socket closed", agent.closed, 10_000);
    expect(await isRefused(token)).toBe(true);
  });
});

test("a rotated token: both work through the overlap, the old one ends after it", async () => {
  const { admin } = sample;
  const old = await registerClient(admin, "rotating", grants);
  const rotate = (overlap_seconds: number) =>
    admin.call<{ token: string }>("ClientService", "RotateToken", {
      client_id: "rotating",
      overlap_seconds,
    });
  const { token: next } = await rotate(5);
  expect((await callAs(old)).status).toBe(200);
  expect((await callAs(next)).status).toBe(200);
  await until("the old token's end", () => isRefused(old), 10_000);
  expect((await callAs(next)).status).toBe(200);
  const { token: last } = await rotate(0);
  await until("the second token's end", () => isRefused(next), reachMs);
  expect((await callAs(last)).status).toBe(200);
});

describe("changes what is allowed", () => {
  const permissions = [{ resource: "mcp:calculator:*", actions: ["POLICY_ACTION_ANY"] }];

  for (const kind of agentKinds) {
    test(`AZ-14 P18 P23: roles and rules reach an open ${kind.name}`, async () => {
      const { admin } = sample;
      const index = agentKinds.indexOf(kind);
      const role = `counting-${index}`;
      await admin.call("PolicyService", "CreateRole", { role: { name: role, permissions } });
      const token = await registerClient(admin, `changing-${index}`, { roles: [role] });
      await using agent = await kind.connect({ base: sample.gateway.agents, token });
      const listsAdd = async () =>
        (await agent.listTools()).some((tool) => tool.name === "calculator__add");
      const agrees = async (allowed: boolean) =>
        (await listsAdd()) === allowed && (await succeeds(add(agent))) === allowed;
      expect(await agrees(true)).toBe(true);

      const narrowed = [
        { resource: "mcp:calculator:exact_calculate", actions: ["POLICY_ACTION_ANY"] },
      ];
      await admin.call("PolicyService", "UpdateRole", {
        role: { name: role, permissions: narrowed },
      });
      await until("the narrowed role", () => agrees(false), reachMs);

      await admin.call("PolicyService", "UpdateRole", { role: { name: role, permissions } });
      await until("the widened role", () => agrees(true), reachMs);

      const name = `no-adding-${index}`;
      const condition = { target_pattern: "add", principal: `client:changing-${index}` };
      const rule = { name, effect: "RULE_EFFECT_DENY", enabled: true, condition };
      await admin.call("PolicyService", "CreateRule", { rule });
      await until("the denial", () => agrees(false), reachMs);
      const explained = await admin.call("PolicyService", "Explain", {
        principal: `client:changing-${index}`,
        server: "calculator",
        target: "add",
        action: "POLICY_ACTION_INVOKE_TOOL",
      });
      expect(explained).toMatchObject({ allowed: false, decided_by: `rule:${name}` });
      await admin.call("PolicyService", "DeleteRule", { name });
      await until("the end of the denial", () => agrees(true), reachMs);
    });
  }
});

describe("writes with care", () => {
  const code = (call: Promise<unknown>) =>
    call.then(
      () => "OK",
      (error: { code: number }) => error.code,
    );
  const aborted = 10;

  test("AD-08: of writers who saw the same revision one wins, the others are told ABORTED", async () => {
    const { admin } = sample;
    const { state_revision } = await admin.call<{ state_revision: number }>(
      "SystemService",
      "GetStatus",
    );
    const codes = await Promise.all(
      Array.from({ length: 8 }, (_, writer) =>
        code(
          admin.call("PolicyService", "CreateRole", {
            role: { name: `writer-${writer}`, permissions: [] },
            expected_state_revision: state_revision,
          }),
        ),
      ),
    );
    expect(codes.filter((one) => one === "OK")).toHaveLength(1);
    expect(codes.filter((one) => one === aborted)).toHaveLength(7);
  });

  test("writers who name no revision all succeed", async () => {
    const codes = await Promise.all(
      Array.from({ length: 8 }, (_, writer) =>
        code(
          sample.admin.call("PolicyService", "CreateRole", {
            role: { name: `blind-${writer}`, permissions: [] },
          }),
        ),
      ),
    );
    expect(codes).toEqual(Array(8).fill("OK"));
  });

  test("validate_only checks and changes nothing", async () => {
    const { admin } = sample;
    const before = await admin.call("SystemService", "GetStatus");
    const client = { id: "never-made", enabled: true, ...grants };
    const answer = await admin.call<{ token: string }>("ClientService", "RegisterClient", {
      client,
      validate_only: true,
    });
    expect(answer.token).toBe("");
    const invalid = { ...client, roles: ["no-such-role"] };
    const refused = admin.call("ClientService", "RegisterClient", {
      client: invalid,
      validate_only: true,
    });
    expect(await code(refused)).not.toBe("OK");
    expect(await code(admin.call("ClientService", "GetClient", { id: "never-made" }))).toBe(5);
    const after = await admin.call("SystemService", "GetStatus");
    expect(after.state_revision).toBe(before.state_revision);
  });
});

test("AD-14: secrets go in and never come out, in answers, records or logs", async () => {
  const { admin, gateway } = sample;
  const secret = "s3cr3t-canary-71";
  const remote = { kind: "REMOTE_KIND_STREAMABLE_HTTP", url: "https://docs.example/mcp" };
  const server = {
    name: "guarded",
    enabled: false,
    remote: { ...remote, headers: { Authorization: `Bearer ${secret}` } },
  };
  const stdio = { command: "true", environment: { API_KEY: secret } };
  const answers = [
    await admin.call("ServerService", "RegisterServer", { server }),
    await admin.call("ServerService", "RegisterServer", {
      server: { name: "guarded-stdio", enabled: false, stdio },
    }),
    await admin.call("ServerService", "GetServer", { name: "guarded" }),
    await admin.call("ServerService", "ListServers"),
    await admin.call("SystemService", "GetConfig"),
  ];
  const token = await registerClient(admin, "careful", grants);
  answers.push(
    await admin.call("ClientService", "GetClient", { id: "careful" }),
    await admin.call("ClientService", "ListTokens", { client_id: "careful" }),
    await admin.call("ClientService", "ListClients"),
  );
  const records = await until("the registration's record", async () => {
    const found = await allRecords(admin);
    return found.some((record) => JSON.stringify(record).includes("careful")) ? found : undefined;
  });
  const said = JSON.stringify([answers, records]) + gateway.stdout() + gateway.stderr();
  for (const hidden of [secret, token, token.slice(6), gateway.adminToken]) {
    expect(said).not.toContain(hidden);
  }
  expect(JSON.stringify(answers)).toContain("[redacted]");
});
