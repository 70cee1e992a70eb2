/**
 * Puts the credential in front of a server's HTTP connections: each request carries it, and one that the server
 * refused for it is made once more with a new one. A request refused by 401, or by 403 for want of scope, was not
 * carried out, so repeating it is safe. The two kinds of connection get the same treatment.
 */
import { GatewayError } from "../../errors/fault.ts";
import type { HttpPool } from "../bindings/http.ts";
import type { HttpClient } from "../bindings/http-client.ts";
import type { Credentials } from "./credentials.ts";

/** A refused credential, and a scope that is missing besides. */
const attemptsMax = 3;

export function authorisedClient(http: HttpClient, credentials: Credentials): HttpClient {
  return {
    url: http.url,
    close: http.close,
    start(method, fields, body, reader) {
      return withCredential(
        credentials,
        (authorization, attempt) =>
          http.start(method, fields + fieldOf(authorization), body, {
            onHead(head) {
              const challenge = head.headers.get("www-authenticate");
              if (!attempt.isRefused(head.status, challenge)) reader.onHead(head);
            },
            onChunk(chunk) {
              if (!attempt.isOver()) reader.onChunk(chunk);
            },
            onEnd() {
              if (!attempt.isOver()) reader.onEnd();
            },
            onFailure(code, kind) {
              if (!attempt.isOver()) reader.onFailure(code, kind);
            },
          }),
        (code) => reader.onFailure(code, "unsent"),
      );
    },
  };
}

export function authorisedPool(pool: HttpPool, credentials: Credentials): HttpPool {
  return {
    url: pool.url,
    close: pool.close,
    start(method, path, headers, body, events) {
      return withCredential(
        credentials,
        (authorization, attempt) =>
          pool.start(method, path, withHeader(headers, authorization), body, {
            onResponse(response) {
              const challenge = response.headers["www-authenticate"];
              if (!attempt.isRefused(response.statusCode ?? 0, challenge)) {
                events.onResponse(response);
              } else {
                response.on("error", () => {});
              }
            },
            onFailure(code, mayHaveRun) {
              if (!attempt.isOver()) events.onFailure(code, mayHaveRun);
            },
          }),
        (code) => events.onFailure(code, false),
      );
    },
  };
}

function fieldOf(authorization: string | undefined): string {
  return authorization === undefined ? "" : `authorization: ${authorization}\r\n`;
}

function withHeader(
  headers: Readonly<Record<string, string>>,
  authorization: string | undefined,
): Readonly<Record<string, string>> {
  return authorization === undefined ? headers : { ...headers, authorization };
}

interface Attempt {
  /** True where the answer is not passed on: the request is made again. */
  isRefused(status: number, challenge: string | undefined): boolean;
  /** It was refused: whatever its connection still says concerns nobody. */
  isOver(): boolean;
}

/** Starts a request, again where it was refused; the returned function ends it, whichever attempt runs. */
function withCredential(
  credentials: Credentials,
  start: (authorization: string | undefined, attempt: Attempt) => () => void,
  fail: (code: string) => void,
): () => void {
  let stop: (() => void) | undefined;
  let isStopped = false;
  let attempts = 0;

  function send(authorization: string | undefined): void {
    if (isStopped) return;
    attempts += 1;
    let isOver = false;
    stop = start(authorization, {
      isOver: () => isOver,
      isRefused(status, challenge) {
        if (status !== 401 && status !== 403) {
          credentials.accepted(authorization);
          return false;
        }
        if (!credentials.refused(authorization, status, challenge)) return false;
        if (attempts >= attemptsMax) return false;
        isOver = true;
        // Out of the answer's own turn: its connection is ended from outside.
        queueMicrotask(again);
        return true;
      },
    });
  }

  function again(): void {
    stop?.();
    if (!isStopped) begin();
  }

  function begin(): void {
    const authorization = credentials.authorization();
    if (authorization === undefined || typeof authorization === "string") {
      send(authorization);
      return;
    }
    authorization.then(send, (error: unknown) => {
      if (isStopped) return;
      const { reason, name } = error instanceof GatewayError ? error.fault : { name: "no-token" };
      fail(reason ?? name);
    });
  }

  begin();
  return () => {
    isStopped = true;
    stop?.();
  };
}
