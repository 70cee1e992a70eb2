/** Correlation on one two-way channel, against a channel the test plays by hand (PR-25, TS-05, UP-19). */
import { expect, test } from "bun:test";
import type { McpNotification } from "../../../../src/protocol/messages.ts";
import { defaultScanLimits } from "../../../../src/protocol/scan.ts";
import { openDuplex } from "../../../../src/servers/bindings/duplex.ts";
import { renderCancellation } from "../../../../src/servers/outgoing.ts";
import type { ChannelEvents, Wire } from "../../../../src/servers/wire.ts";
import { silentLog } from "../../../../src/telemetry/log.ts";

async function open() {
  const sent: string[] = [];
  const closes: string[] = [];
  const unsolicited: string[] = [];
  const asked: string[] = [];
  let strays = 0;
  let events: ChannelEvents | undefined;
  const wire = await openDuplex({
    server: "s",
    scanLimits: defaultScanLimits,
    log: silentLog,
    countStray: () => {
      strays += 1;
    },
    events: {
      onNotification: ({ method }) => unsolicited.push(method),
      onRequest: ({ method, idText }, callId) => asked.push(`${method} ${idText} ${callId}`),
      onClose: (fault) => closes.push(fault.reason ?? ""),
    },
    open: async (given) => {
      events = given;
      return {
        send: (text) => {
          sent.push(text);
          return undefined;
        },
        close: async () => {},
      };
    },
  });
  const receive = (text: string) => events?.onText(text);
  return { wire, sent, closes, unsolicited, asked, receive, strays: () => strays };
}

function ask(
  wire: Wire,
  signal?: AbortSignal,
  onNotification: (n: McpNotification) => void = () => {},
) {
  const id = wire.nextId();
  return wire.request({
    id,
    method: "tools/call",
    text: `{"id":${id}}`,
    headers: {},
    cancellation: renderCancellation(id),
    signal,
    timeoutMs: 60_000,
    onNotification,
  });
}

const ok = (id: number) => `{"jsonrpc":"2.0","id":${id},"result":{"n":${id}}}`;

test("answers find their calls in any order", async () => {
  const { wire, receive } = await open();
  const calls = [ask(wire), ask(wire)];
  receive(ok(2));
  receive(ok(1));
  const answers = await Promise.all(calls);
  expect(answers.map(({ kind }) => kind)).toEqual(["result", "result"]);
});

test("TS-05 a second answer, and one after a cancellation, are dropped and counted", async () => {
  const { wire, receive, sent, strays } = await open();
  const abort = new AbortController();
  const call = ask(wire, abort.signal);
  abort.abort();
  expect(await call).toMatchObject({ kind: "fault", fault: { name: "cancelled" } });
  expect(sent.at(-1)).toBe(
    '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}',
  );
  receive(ok(1));
  expect(strays()).toBe(1);
  expect(wire.isOpen()).toBe(true);
});

test.each(["99", '"1x"', "0"])(
  "UP-19 an answer to %s, never asked, ends the connection and tells every caller",
  async (id) => {
    const { wire, receive, closes } = await open();
    const calls = [ask(wire), ask(wire)];
    receive(`{"jsonrpc":"2.0","id":${id},"result":{}}`);
    for (const answer of await Promise.all(calls)) {
      expect(answer).toMatchObject({ kind: "fault", fault: { name: "upstream-invalid" } });
    }
    expect(closes).toEqual(["unknown-id"]);
    expect(wire.isOpen()).toBe(false);
  },
);

test("PR-25 result and error in one answer fail that call alone", async () => {
  const { wire, receive } = await open();
  const calls = [ask(wire), ask(wire)];
  receive('{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":"m"}}');
  receive(ok(2));
  expect(await calls[0]).toMatchObject({ kind: "fault", fault: { name: "upstream-invalid" } });
  expect(await calls[1]).toMatchObject({ kind: "result" });
});

test("chatter that is no JSON is passed over", async () => {
  const { wire, receive } = await open();
  const call = ask(wire);
  receive("Server listening on stdio!");
  receive(ok(1));
  expect(await call).toMatchObject({ kind: "result" });
});

test("the server's own requests are handed on, and answered on the same channel", async () => {
  const { wire, receive, sent, asked } = await open();
  void ask(wire);
  receive('{"jsonrpc":"2.0","id":"p","method":"roots/list"}');
  // One call in flight proves nothing: whose the question is, is decided where calls are known.
  expect(asked).toEqual(['roots/list "p" undefined']);
  await wire.respond('{"jsonrpc":"2.0","id":"p","result":{}}', {});
  expect(sent.at(-1)).toBe('{"jsonrpc":"2.0","id":"p","result":{}}');
});

test("progress goes to its call by token; a log message only where one call is open", async () => {
  const { wire, receive, strays, unsolicited } = await open();
  const got: string[] = [];
  const calls = [1, 2].map((call) =>
    ask(wire, undefined, ({ method }) => got.push(`${call}:${method}`)),
  );
  receive(
    '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":2,"progress":1}}',
  );
  receive(
    '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":9,"progress":1}}',
  );
  receive('{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}');
  receive(ok(2));
  receive('{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}');
  receive('{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}');
  receive(ok(1));
  await Promise.all(calls);
  expect(got).toEqual(["2:notifications/progress", "1:notifications/message"]);
  expect(unsolicited).toEqual(["notifications/tools/list_changed"]);
  expect(strays()).toBe(1);
});

function listen(wire: Wire, heard: string[], signal?: AbortSignal) {
  const id = wire.nextId();
  return wire.request({
    id,
    method: "subscriptions/listen",
    text: `{"id":${id}}`,
    headers: {},
    cancellation: renderCancellation(id),
    signal,
    timeoutMs: undefined,
    isListen: true,
    onNotification: ({ method }) => heard.push(method),
  });
}

const changed = "notifications/tools/list_changed";
const changedOn = (id: unknown) => {
  const params = { _meta: { "io.modelcontextprotocol/subscriptionId": id } };
  return JSON.stringify({ jsonrpc: "2.0", method: changed, params });
};

test("a change goes to the listen it names, and to the connection where it names none", async () => {
  const { wire, receive, unsolicited } = await open();
  const heard: [string[], string[]] = [[], []];
  void listen(wire, heard[0]);
  void listen(wire, heard[1]);
  receive(changedOn(2));
  expect(heard).toEqual([[], [changed]]);
  receive(`{"jsonrpc":"2.0","method":"${changed}"}`);
  expect(unsolicited).toEqual([changed]);
});

test("a server that takes a listen back tells the listen; a cancelled call's number tells nobody", async () => {
  const { wire, receive, unsolicited } = await open();
  const heard: string[] = [];
  void ask(wire);
  void listen(wire, heard);
  const cancelled = "notifications/cancelled";
  receive(`{"jsonrpc":"2.0","method":"${cancelled}","params":{"requestId":2}}`);
  expect(heard).toEqual([cancelled]);
  receive(`{"jsonrpc":"2.0","method":"${cancelled}","params":{"requestId":1}}`);
  expect(unsolicited).toEqual([cancelled]);
});

test("a listen that we ended is taken back, and hears nothing more", async () => {
  const { wire, sent, receive, unsolicited, strays } = await open();
  const heard: string[] = [];
  const abort = new AbortController();
  const over = listen(wire, heard, abort.signal);
  abort.abort();
  expect((await over).kind).toBe("fault");
  expect(sent.at(-1)).toBe(renderCancellation(1));
  receive(changedOn(1));
  expect([heard, unsolicited, strays()]).toEqual([[], [], 0]);
});

test("a listen is no call that a log message could belong to", async () => {
  const { wire, receive } = await open();
  const heard: string[] = [];
  const logged: string[] = [];
  void listen(wire, heard);
  const log = '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info"}}';
  receive(log);
  void ask(wire, undefined, ({ method }) => logged.push(method));
  receive(log);
  expect([heard, logged]).toEqual([[], ["notifications/message"]]);
});
