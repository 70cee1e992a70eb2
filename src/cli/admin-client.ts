/**
 * The command line's gRPC client: one channel, a bearer token, messages by the generated descriptor. It is an admin
 * client like any other and uses nothing of the gateway's inside.
 */
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { checkServerIdentity, type PeerCertificate } from "node:tls";
import * as grpc from "@grpc/grpc-js";
import { fromJSON, type MethodDefinition } from "@grpc/proto-loader";
import descriptor from "../gen/descriptor.json" with { type: "json" };
import { systemClock } from "../lib/clock.ts";
import { CommandError, exitCodes, messageOf } from "./command.ts";

type Message = { readonly [name: string]: unknown };

export interface AdminClientOptions {
  /** `host:port`. */
  readonly address: string;
  /** Bearer token; undefined where a client certificate speaks for the operator. */
  readonly token: string | undefined;
  readonly tls:
    | {
        readonly caFile: string | undefined;
        readonly certificateFile: string | undefined;
        readonly keyFile: string | undefined;
      }
    | undefined;
  /** Longest wait for one answer; 30 s unless told. Streams have none. */
  readonly deadlineMs?: number;
}

export interface AdminClient {
  /** Calls `service` (full name) `method`; rejects with a `CommandError`. */
  call(service: string, method: string, request: object): Promise<Message>;
  /** Yields messages until the stream ends or `signal` aborts. */
  stream(
    service: string,
    method: string,
    request: object,
    signal: AbortSignal,
  ): AsyncIterable<Message>;
  close(): void;
}

const responseBytesMax = 64 * 1024 * 1024;

export function createAdminClient(options: AdminClientOptions): AdminClient {
  const { address, token, deadlineMs = 30_000 } = options;
  const channel = new grpc.Client(address, createCredentials(address, options.tls), {
    "grpc.max_receive_message_length": responseBytesMax,
    ...(addressIn(address) === undefined ? {} : { "grpc.ssl_target_name_override": "localhost" }),
  });
  // A copy, because the loader keeps and changes what it is given.
  const definitions: Parameters<typeof fromJSON>[0] = JSON.parse(JSON.stringify(descriptor));
  const services = fromJSON(definitions, {
    keepCase: true,
    longs: Number,
    enums: String,
    // A false or an empty list is an answer, so it is printed like one.
    defaults: true,
  });
  const metadata = new grpc.Metadata();
  if (token !== undefined) metadata.set("authorization", `Bearer ${token}`);

  const find = (service: string, method: string): MethodDefinition<object, object> => {
    const definition = services[service];
    const found = definition && !("format" in definition) ? definition[method] : undefined;
    if (found === undefined) throw new CommandError(`there is no ${service}/${method}`);
    return found;
  };

  return {
    call: (service, method, request) => {
      const { path, requestSerialize, responseDeserialize } = find(service, method);
      return new Promise((resolve, reject) => {
        channel.makeUnaryRequest(
          path,
          requestSerialize,
          responseDeserialize,
          request,
          metadata,
          // The channel's own wall clock: a deadline is a moment, and grpc-js takes no duration.
          { deadline: deadlineAfter(deadlineMs) },
          (error, response) => {
            if (error) reject(toCommandError(error, address));
            else resolve({ ...response });
          },
        );
      });
    },
    stream: async function* (service, method, request, signal) {
      const { path, requestSerialize, responseDeserialize } = find(service, method);
      const call = channel.makeServerStreamRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        metadata,
      );
      signal.addEventListener("abort", () => call.cancel(), { once: true });
      try {
        for await (const message of call) yield message;
      } catch (error) {
        if (!signal.aborted) throw toCommandError(error, address);
      } finally {
        call.cancel();
      }
    },
    close: () => channel.close(),
  };
}

function deadlineAfter(ms: number): Date {
  return new Date(systemClock.nowMs() + ms);
}

/**
 * TLS knows server names and no addresses, and grpc-js would send the address as a name. So one is sent that nobody
 * looks at, and the certificate must be for the address itself.
 */
function createCredentials(
  address: string,
  tls: AdminClientOptions["tls"],
): grpc.ChannelCredentials {
  if (tls === undefined) return grpc.credentials.createInsecure();
  const read = (path: string | undefined) => (path === undefined ? null : readFileSync(path));
  const ip = addressIn(address);
  const verify =
    ip === undefined
      ? {}
      : {
          checkServerIdentity: (_name: string, certificate: PeerCertificate) =>
            checkServerIdentity(ip, certificate),
        };
  return grpc.credentials.createSsl(
    read(tls.caFile),
    read(tls.keyFile),
    read(tls.certificateFile),
    verify,
  );
}

/** The IP address in `address`, undefined where it has a name. */
function addressIn(address: string): string | undefined {
  const host = address.replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
  return isIP(host) === 0 ? undefined : host;
}

/** Nobody answered, or somebody answered no: two exit codes. */
function toCommandError(error: unknown, address: string): CommandError {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  const details =
    error instanceof Error && "details" in error ? String(error.details) : messageOf(error);
  const hasNobody = /No connection established|ECONNREFUSED|Name resolution failed/.test(details);
  if (code === grpc.status.UNAVAILABLE && hasNobody) {
    const message = `nobody answers at ${address}; is the gateway running there? (--admin ADDR)`;
    return new CommandError(message, exitCodes.unreachable);
  }
  if (code === grpc.status.DEADLINE_EXCEEDED) {
    return new CommandError(`no answer from ${address} in time`, exitCodes.unreachable);
  }
  const name = typeof code === "number" ? grpc.status[code] : "error";
  return new CommandError(`${name}: ${details}`, exitCodes.failed);
}
