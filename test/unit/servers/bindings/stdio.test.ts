/** What a child process gets to see: our environment, and each message on one line. */
import { expect, test } from "bun:test";
import { childEnvironment, openStdioChannel } from "../../../../src/servers/bindings/stdio.ts";
import type { ServerSpec } from "../../../../src/servers/spec.ts";
import { silentLog } from "../../../../src/telemetry/log.ts";
import { until } from "../../../support/deadline.ts";

test("six names are inherited, the operator's are added, the runtime's own are scrubbed", () => {
  const inherited = {
    PATH: "/bin",
    HOME: "/home/x",
    SHELL: "() { evil; }",
    DATABASE_URL: "secret",
    MCP_GATEWAY_TOKEN: "secret",
    USER: undefined,
  };
  const added = { API_KEY: "k", PATH: "/opt/bin", BUN_OPTIONS: "--preload x", BUN_BE_BUN: "1" };
  expect(childEnvironment(inherited, added)).toEqual({
    HOME: "/home/x",
    PATH: "/opt/bin",
    API_KEY: "k",
  });
});

function specOf(transport: ServerSpec["transport"]): ServerSpec {
  return {
    name: "cat",
    description: "",
    transport,
    era: "auto",
    enabled: true,
    connectTimeoutMs: 1_000,
    callTimeoutMs: 1_000,
    responseBytesMax: 1_000_000,
    maxInFlight: 10,
    listTtlMs: 0,
    listsPublic: false,
    toolSettings: [],
    dataClass: "INTERNAL",
    allowPrivateNetwork: false,
  };
}

test("a line break in a message never starts a second one (PR-10)", async () => {
  const seen: string[] = [];
  const transport = {
    kind: "stdio",
    command: "cat",
    args: [],
    environment: {},
    workingDirectory: undefined,
  } as const;
  const channel = await openStdioChannel(
    {
      spec: specOf(transport),
      transport,
      inheritedEnvironment: { PATH: process.env.PATH },
      stopStepMs: 1_000,
      stderrLineBytesMax: 1_000,
      queuedBytesMax: 1_000_000,
      log: silentLog,
    },
    { onText: (text) => seen.push(text), onClose: () => {} },
  );
  const smuggled = '{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"secret"}}';
  channel.send(`{"arguments":\r\n${smuggled}\n\r}`);
  channel.send('"end"');
  await until("both messages", () => seen.includes('"end"'));
  await channel.close();
  expect(seen).toEqual([`{"arguments":  ${smuggled}  }`, '"end"']);
});
