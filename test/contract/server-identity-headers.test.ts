/**
 * `X-Gateway-Auth` and `X-User-ID` (R13) as they arrive at real servers, on every transport; nothing of what an agent
 * sent under these names, and nothing of its credential.
 */
import { afterEach, expect, test } from "bun:test";
import type { ServerAuth } from "../../src/servers/spec.ts";
import { callTool, connectServer, needText } from "../support/connected-server.ts";
import {
  type RemoteStart,
  remoteStartNames,
  remoteStarts,
  transportThrough,
} from "../support/fake-servers/network.ts";
import { startListeningGuard } from "../support/oauth-servers.ts";

let stack = new AsyncDisposableStack();
afterEach(async () => {
  const ending = stack;
  stack = new AsyncDisposableStack();
  await ending.disposeAsync();
});

const gatewaySecret = "a-secret-of-this-gateway-and-that-server";

async function setUp(kind: RemoteStart, auth: ServerAuth) {
  const fake = await remoteStarts[kind]();
  stack.defer(() => fake.stop());
  const guard = stack.use(await startListeningGuard(fake.url.replace(/^ws/, "http")));
  const transport = transportThrough(guard.url, kind, { "X-Static": "of the operator" });
  const { client } = stack.use(connectServer(transport, { auth }));
  return { guard, client };
}

test.each(remoteStartNames)("R13 X-Gateway-Auth goes with every request: %s", async (kind) => {
  const { guard, client } = await setUp(kind, { gatewaySecret, tellsUser: false });
  needText(await callTool(client, "echo", { text: "x" }));
  expect(guard.passed.length).toBeGreaterThan(0);
  for (const headers of guard.passed) {
    expect(headers["x-gateway-auth"]).toBe(gatewaySecret);
    expect(headers["x-static"]).toBe("of the operator");
    expect(headers["x-user-id"]).toBeUndefined();
  }
});

test.each(remoteStartNames.filter((kind) => kind !== "websocket"))(
  "R13 X-User-ID tells who calls, on that call alone: %s",
  async (kind) => {
    const { guard, client } = await setUp(kind, { gatewaySecret, tellsUser: true });
    const users = ["client:ci", "user:https://issuer.example#Zo\u00eb"];
    for (const principalId of users) {
      needText(await callTool(client, "echo", { text: "x" }, { principalId }));
    }
    const told = guard.passed.flatMap((headers) => headers["x-user-id"] ?? []);
    const encoded = Buffer.from(users[1] ?? "").toString("base64");
    expect(told).toEqual(["client:ci", `=?base64?${encoded}?=`]);
    await client.facts(new AbortController().signal);
    expect(guard.passed.length).toBeGreaterThan(told.length);
  },
);

test.each(remoteStartNames)(
  "R13 neither is sent where it was not switched on: %s",
  async (kind) => {
    const { guard, client } = await setUp(kind, { tellsUser: false });
    needText(await callTool(client, "echo", { text: "x" }));
    for (const headers of guard.passed) {
      const names = Object.keys(headers);
      expect(names.filter((name) => /^x-(?:gateway|user)|authorization|cookie/.test(name))).toEqual(
        [],
      );
    }
  },
);
