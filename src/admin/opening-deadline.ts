/**
 * Ends RPCs that never get going: a request that does not arrive whole in time, and a unary call whose client set no
 * deadline and whose answer takes too long. A grpc-js interceptor, installed by `server.ts`.
 */
import { ServerInterceptingCall, type ServerInterceptor, status } from "@grpc/grpc-js";

export interface OpeningDeadlines {
  /** For the request to arrive whole, whatever the call's kind. */
  readonly requestTimeoutMs: number;
  /** For a unary answer where the client set no deadline. */
  readonly unaryTimeoutMs: number;
}

export function createDeadlineInterceptor(deadlines: OpeningDeadlines): ServerInterceptor {
  return (method, call) => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const expireAfter = (timeoutMs: number, details: string) => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        call.sendStatus({ code: status.DEADLINE_EXCEEDED, details });
      }, timeoutMs);
    };
    const isUnary = !method.requestStream && !method.responseStream;
    return new ServerInterceptingCall(call, {
      start(next) {
        expireAfter(deadlines.requestTimeoutMs, "The request did not arrive in time");
        next({
          onReceiveMessage(message, forward) {
            clearTimeout(timer);
            if (isUnary && call.getDeadline() === Number.POSITIVE_INFINITY) {
              expireAfter(deadlines.unaryTimeoutMs, "No answer in time; set a longer deadline");
            }
            forward(message);
          },
          onCancel() {
            clearTimeout(timer);
          },
        });
      },
      sendStatus(sent, forward) {
        clearTimeout(timer);
        forward(sent);
      },
    });
  };
}
