/**
 * The table of what JSON is, at every door of the executable: agents' five transports, and the answers of a server
 * over HTTP in both its forms. What must be refused is refused with the right error and reaches nobody; what must be
 * accepted is forwarded byte for byte (PR-09, PR-10, PR-07).
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createAdminClient } from "../support/admin-client.ts";
import { type GatewayProcess, startGateway } from "../support/gateway-process.ts";
import { type JsonCase, jsonCases } from "../support/json-cases.ts";
import { registerClient, registerHttpServer } from "../support/operator.ts";
import { startScriptedServer } from "../support/scripted-server.ts";
import {
  callText,
  eraOf,
  mustOpenWire,
  requestText,
  type Transport,
  transports,
  type Wire,
  type WireAnswer,
} from "../support/wires.ts";

const unhurried = {
  failed_auth_per_minute: 1_000_000_000,
};
const stack = new AsyncDisposableStack();
let gateway: GatewayProcess;
let token = "";
/** What the tools `json` and `events` answer with. */
let told: Uint8Array = new Uint8Array();
const upstream = stack.use(
  startScriptedServer({
    json: (id) => new Response(wrap(id), { headers: { "Content-Type": "application/json" } }),
    events: (id) =>
      new Response(asEvent(wrap(id)), { headers: { "Content-Type": "text/event-stream" } }),
  }),
);

beforeAll(async () => {
  gateway = stack.use(await startGateway({ config: { limits: unhurried } }));
  const admin = stack.use(createAdminClient(gateway));
  await registerHttpServer(admin, "tiny", upstream.url);
  token = await registerClient(admin, "parser", { allowed_tools: ["*"] });
}, 60_000);
afterAll(() => stack.disposeAsync());

function wrap(id: string | number): Buffer<ArrayBuffer> {
  const head = `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":{"content":[],"x":`;
  return Buffer.concat([Buffer.from(head), told, Buffer.from("}}")]);
}

/** Line breaks between tokens become lines of their own, as the format wants it. */
function asEvent(message: Buffer): Buffer<ArrayBuffer> {
  const text = message.toString("latin1").replaceAll(/\r\n|\r|\n/g, "\ndata: ");
  return Buffer.from(`data: ${text}\n\n`, "latin1");
}

/** The table's text where a value may stand in a good call. */
function embedded(transport: Transport, bytes: Uint8Array): Buffer {
  const [before = "", after = ""] = callText(eraOf(transport), { text: "HERE" }).split('"HERE"');
  return Buffer.concat([Buffer.from(before), bytes, Buffer.from(after)]);
}

const shown = (one: JsonCase) =>
  `${one.category}: ${JSON.stringify(Buffer.from(one.bytes.subarray(0, 60)).toString("latin1"))}`;
const asText = (bytes: Uint8Array) => Buffer.from(bytes).toString();
const isUtf8 = (bytes: Uint8Array) => Buffer.from(asText(bytes)).equals(Buffer.from(bytes));

/** One wire after another: some refusals end a socket. */
async function eachOver(
  transport: Transport,
  visit: (send: (body: Uint8Array) => Promise<WireAnswer>) => Promise<void>,
): Promise<void> {
  const open = () => mustOpenWire(transport, { base: gateway.agents, scope: "tiny", token });
  let wire: Wire = await open();
  await visit(async (body) => {
    const answer = await wire.send(body);
    if (answer.closeCode === undefined) return answer;
    await wire[Symbol.asyncDispose]();
    wire = await open();
    return answer;
  });
  await wire[Symbol.asyncDispose]();
}

function judgeRefusal(transport: Transport, one: JsonCase, answer: WireAnswer): string | undefined {
  const isSocket = transport.startsWith("ws");
  // A text frame that is no UTF-8 breaks the socket's own protocol.
  if (isSocket && !isUtf8(one.bytes)) {
    return answer.closeCode === 1007 ? undefined : `close ${answer.closeCode}, not 1007`;
  }
  const isRight = answer.code === one.code && (isSocket || answer.status === 400);
  return isRight ? undefined : `${answer.status} ${answer.closeCode} ${answer.text.slice(0, 200)}`;
}

test.each(transports)(
  "PR-09 PR-10 what is no JSON is refused, alone and inside a call (%s)",
  async (transport) => {
    const problems: string[] = [];
    const seenBefore = upstream.seen.length;
    await eachOver(transport, async (send) => {
      for (const one of jsonCases.filter(({ verdict }) => verdict === "refused")) {
        for (const body of [one.bytes, embedded(transport, one.bytes)]) {
          const problem = judgeRefusal(transport, one, await send(body));
          if (problem !== undefined) problems.push(`${shown(one)}: ${problem}`);
        }
      }
    });
    expect(problems).toEqual([]);
    expect(upstream.seen.length).toBe(seenBefore);
  },
  120_000,
);

test.each(transports)(
  "PR-07 what is JSON is forwarded as it is written (%s)",
  async (transport) => {
    const problems: string[] = [];
    await eachOver(transport, async (send) => {
      for (const one of jsonCases.filter(({ verdict }) => verdict === "accepted")) {
        const text = asText(one.bytes);
        const answer = await send(embedded(transport, one.bytes));
        const received = upstream.seen.at(-1)?.body ?? "";
        const isKept = received.includes(`"text":${text}}`);
        if (!answer.text.includes('"result"') || !isKept) {
          problems.push(`${shown(one)}: ${answer.text.slice(0, 200)} ${received.slice(-200)}`);
        }
        // Alone it is JSON, and no message.
        const alone = await send(one.bytes);
        if (alone.code !== -32600) problems.push(`${shown(one)} alone: ${alone.text}`);
      }
    });
    expect(problems).toEqual([]);
  },
  120_000,
);

test.each(["json", "events"])(
  "PR-25 the same of a server's answer (%s)",
  async (tool) => {
    const problems: string[] = [];
    await eachOver("http-modern", async (send) => {
      for (const one of jsonCases) {
        told = one.bytes;
        const call = requestText("modern", "tools/call", { name: tool, arguments: {} });
        const answer = await send(Buffer.from(call));
        if (one.verdict === "refused") {
          if (answer.code !== 50201) problems.push(`${shown(one)}: ${answer.text.slice(0, 200)}`);
          continue;
        }
        const text = asText(one.bytes);
        const wanted = tool === "json" ? text : text.replaceAll(/\r\n|\r/g, "\n");
        if (!answer.text.includes(`"x":${wanted}}`)) {
          problems.push(`${shown(one)}: ${answer.text.slice(0, 300)}`);
        }
      }
    });
    expect(problems).toEqual([]);
  },
  120_000,
);
