/**
 * A WebSocket client by hand: any upgrade request, any frame, masked or not. It shows the status of a refused
 * upgrade and the code of a close frame, which clients built into a runtime hide.
 */
import { randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";
import { within } from "./deadline.ts";
import { portOf, type RawAnswer, readAnswers } from "./raw-http.ts";

export interface Frame {
  readonly opcode: number;
  readonly payload?: string | Uint8Array;
  readonly isFinal?: boolean;
  readonly isMasked?: boolean;
  readonly hasRsv1?: boolean;
}

export interface RawWebSocket extends Disposable {
  send(frame: Frame): void;
  sendText(text: string | Uint8Array): void;
  /** The next text message, or the close code where the socket ended instead. */
  next(): Promise<string | number>;
  /** The code of the close frame; 1006 where there was none. */
  readonly closed: Promise<number>;
  readonly socket: Socket;
}

export type Upgrade = { readonly webSocket: RawWebSocket } | { readonly refusal: RawAnswer };

export const opcodes = {
  continuation: 0,
  text: 1,
  binary: 2,
  close: 8,
  ping: 9,
  pong: 10,
} as const;
const noCloseFrame = 1006;

export interface UpgradeOptions {
  readonly base: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export function openRawWebSocket(options: UpgradeOptions): Promise<Upgrade> {
  const headers = {
    Host: new URL(options.base).host,
    Connection: "Upgrade",
    Upgrade: "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": randomBytes(16).toString("base64"),
    ...options.headers,
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const { promise, resolve } = Promise.withResolvers<Upgrade>();
  let head = Buffer.alloc(0);
  const socket = connect(portOf(options.base), "127.0.0.1", () =>
    socket.write(`GET ${options.path} HTTP/1.1\r\n${lines.join("")}\r\n`),
  );
  const onHead = (chunk: Buffer) => {
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf("\r\n\r\n");
    if (end === -1) return;
    if (!head.toString("latin1").startsWith("HTTP/1.1 101")) {
      const [refusal] = readAnswers(head);
      if (refusal === undefined) return;
      socket.destroy();
      resolve({ refusal });
      return;
    }
    socket.off("data", onHead);
    resolve({ webSocket: speak(socket, head.subarray(end + 4)) });
  };
  socket.on("data", onHead);
  socket.on("error", () => {});
  socket.on("close", () => resolve({ refusal: { status: 0, headers: new Headers(), body: "" } }));
  return within("the answer to the upgrade", promise);
}

function speak(socket: Socket, early: Buffer): RawWebSocket {
  const inbox: (string | number)[] = [];
  const waiting: ((message: string | number) => void)[] = [];
  const { promise: closed, resolve: close } = Promise.withResolvers<number>();
  let buffered = Buffer.alloc(0);
  let closeCode: number | undefined;

  const deliver = (message: string | number) => {
    const waiter = waiting.shift();
    if (waiter === undefined) inbox.push(message);
    else waiter(message);
  };
  const end = (code: number) => {
    if (closeCode !== undefined) return;
    closeCode = code;
    close(code);
    deliver(code);
  };
  const take = (chunk: Buffer) => {
    buffered = Buffer.concat([buffered, chunk]);
    for (let frame = readFrame(buffered); frame !== undefined; frame = readFrame(buffered)) {
      buffered = buffered.subarray(frame.size);
      if (frame.opcode === opcodes.text) deliver(frame.payload.toString());
      if (frame.opcode === opcodes.ping) send({ opcode: opcodes.pong, payload: frame.payload });
      if (frame.opcode === opcodes.close) {
        end(frame.payload.length >= 2 ? frame.payload.readUInt16BE(0) : 1005);
      }
    }
  };
  const send = (frame: Frame) => void socket.write(encodeFrame(frame));
  socket.on("data", take);
  socket.on("close", () => end(noCloseFrame));
  take(early);

  return {
    send,
    sendText: (payload) => send({ opcode: opcodes.text, payload }),
    next() {
      const first = inbox.shift();
      if (first !== undefined) return Promise.resolve(first);
      if (closeCode !== undefined) return Promise.resolve(closeCode);
      const message = new Promise<string | number>((resolve) => waiting.push(resolve));
      return within("the next WebSocket message", message);
    },
    closed,
    socket,
    [Symbol.dispose]: () => void socket.destroy(),
  };
}

export function encodeFrame(frame: Frame): Buffer {
  const { opcode, isFinal = true, isMasked = true, hasRsv1 = false } = frame;
  const payload = Buffer.from(frame.payload ?? "");
  const first = (isFinal ? 0x80 : 0) | (hasRsv1 ? 0x40 : 0) | opcode;
  const maskBit = isMasked ? 0x80 : 0;
  let head: Buffer;
  if (payload.length < 126) head = Buffer.from([first, maskBit | payload.length]);
  else if (payload.length < 65_536) {
    head = Buffer.from([first, maskBit | 126, 0, 0]);
    head.writeUInt16BE(payload.length, 2);
  } else {
    head = Buffer.alloc(10);
    head[0] = first;
    head[1] = maskBit | 127;
    head.writeBigUInt64BE(BigInt(payload.length), 2);
  }
  if (!isMasked) return Buffer.concat([head, payload]);
  const mask = randomBytes(4);
  const masked = Buffer.from(payload);
  for (let at = 0; at < masked.length; at += 1)
    masked[at] = (masked[at] ?? 0) ^ (mask[at % 4] ?? 0);
  return Buffer.concat([head, mask, masked]);
}

/** One unmasked frame from the front of the bytes, if it is whole. */
function readFrame(bytes: Buffer) {
  if (bytes.length < 2) return undefined;
  const opcode = bytes.readUInt8(0) & 0x0f;
  let length = bytes.readUInt8(1) & 0x7f;
  let start = 2;
  if (length === 126) {
    if (bytes.length < 4) return undefined;
    length = bytes.readUInt16BE(2);
    start = 4;
  } else if (length === 127) {
    if (bytes.length < 10) return undefined;
    length = Number(bytes.readBigUInt64BE(2));
    start = 10;
  }
  const size = start + length;
  if (bytes.length < size) return undefined;
  return { opcode, payload: bytes.subarray(start, size), size };
}
