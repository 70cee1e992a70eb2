/**
 * The standard gRPC health service: up or down, nothing else, to anyone. Ours because the npm package reads files of
 * the build machine. Called by `server.ts`, which says when the answer changes.
 */
import {
  type handleServerStreamingCall,
  type handleUnaryCall,
  type ServerWritableStream,
  status,
} from "@grpc/grpc-js";

interface HealthRequest {
  readonly service: string;
}
interface HealthAnswer {
  readonly status: "SERVING" | "NOT_SERVING" | "SERVICE_UNKNOWN";
}

export interface Health {
  readonly implementation: {
    readonly Check: handleUnaryCall<HealthRequest, HealthAnswer>;
    readonly Watch: handleServerStreamingCall<HealthRequest, HealthAnswer>;
  };
  setServing(isServing: boolean): void;
  /** Ends every watch. */
  close(): void;
}

/** `services` are the full names that are known; the empty name is the whole server. */
export function createHealth(services: readonly string[], watchersMax: number): Health {
  const known = new Set(["", ...services]);
  const watchers = new Set<ServerWritableStream<HealthRequest, HealthAnswer>>();
  let isServing = false;
  const answerFor = (service: string): HealthAnswer => {
    if (!known.has(service)) return { status: "SERVICE_UNKNOWN" };
    return { status: isServing ? "SERVING" : "NOT_SERVING" };
  };
  return {
    implementation: {
      Check(call, callback) {
        const answer = answerFor(call.request.service);
        if (answer.status !== "SERVICE_UNKNOWN") callback(null, answer);
        else callback({ code: status.NOT_FOUND, details: "unknown service" });
      },
      Watch(call) {
        if (watchers.size >= watchersMax) {
          call.emit("error", { code: status.RESOURCE_EXHAUSTED, details: "too many watchers" });
          return;
        }
        watchers.add(call);
        call.on("cancelled", () => watchers.delete(call));
        call.on("close", () => watchers.delete(call));
        call.write(answerFor(call.request.service));
      },
    },
    setServing(next) {
      if (next === isServing) return;
      isServing = next;
      for (const call of watchers) call.write(answerFor(call.request.service));
    },
    close() {
      for (const call of watchers) call.end();
      watchers.clear();
    },
  };
}
