/**
 * HTTP/1.1 by hand: the bytes go out as they are, so that tests can say what no client library would. Returns what
 * came back until one whole answer was there, or the other side closed.
 */
import { connect } from "node:net";

export interface RawAnswer {
  /** 0 where the connection was closed without an answer. */
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

const patienceMs = 20_000;

export function portOf(base: string): number {
  return Number(new URL(base).port);
}

/** Several answers are read where requests are pipelined; the list ends early where the connection does. */
export function rawHttp(
  base: string,
  bytes: string | Uint8Array,
  answersWanted = 1,
): Promise<readonly RawAnswer[]> {
  return new Promise((resolve, reject) => {
    let received = Buffer.alloc(0);
    const socket = connect(portOf(base), "127.0.0.1", () => {
      socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
    });
    const deadline = setTimeout(() => {
      socket.destroy();
      reject(new Error(`no answer within ${patienceMs} ms, only: ${received.toString("latin1")}`));
    }, patienceMs);
    socket.on("data", (chunk) => {
      received = Buffer.concat([received, chunk]);
      if (readAnswers(received).length >= answersWanted) socket.destroy();
    });
    // A peer that resets has refused, too: what it said before counts.
    socket.on("error", () => {});
    socket.on("close", () => {
      clearTimeout(deadline);
      resolve(readAnswers(received));
    });
  });
}

/** The first answer, or status 0. */
export async function rawStatus(base: string, bytes: string | Uint8Array): Promise<RawAnswer> {
  const [first] = await rawHttp(base, bytes);
  return first ?? { status: 0, headers: new Headers(), body: "" };
}

/** Every whole answer with a declared length; an answer without one is whole with its headers. */
export function readAnswers(received: Buffer): readonly RawAnswer[] {
  const answers: RawAnswer[] = [];
  let rest = received.toString("latin1");
  for (;;) {
    const end = rest.indexOf("\r\n\r\n");
    if (end === -1) return answers;
    const [statusLine = "", ...lines] = rest.slice(0, end).split("\r\n");
    const headers = new Headers();
    for (const line of lines) {
      const colon = line.indexOf(":");
      headers.append(line.slice(0, colon), line.slice(colon + 1).trim());
    }
    const length = Number(headers.get("content-length") ?? 0);
    if (rest.length < end + 4 + length) return answers;
    const status = Number(statusLine.split(" ")[1] ?? 0);
    answers.push({ status, headers, body: rest.slice(end + 4, end + 4 + length) });
    rest = rest.slice(end + 4 + length);
  }
}
