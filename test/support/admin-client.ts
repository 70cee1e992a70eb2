/**
 * A foreign operator: the admin plane through grpc-js and the committed descriptor, without any code of `src`.
 * `createAdminClient(gateway).call("ServerService", "RegisterServer", {…})`.
 */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import * as grpc from "@grpc/grpc-js";
import * as protoLoader from "@grpc/proto-loader";

const descriptorPath = join(resolve(import.meta.dir, "../.."), "src/gen/descriptor.json");
const packagePrefix = "mcp_gateway.admin.v1.";
const defaultDeadlineMs = 60_000;

/** A message as proto-loader gives it: field names as in the descriptor, enumerations as their names. */
export type AdminMessage = { readonly [field: string]: unknown };

export interface AdminClient extends Disposable {
  /** One answer; rejects with the gRPC `ServiceError`, whose `code` is the status. */
  call<T = AdminMessage>(service: string, method: string, request?: AdminMessage): Promise<T>;
  /** A server stream. Leaving the loop cancels the call. */
  stream<T = AdminMessage>(
    service: string,
    method: string,
    request?: AdminMessage,
  ): AsyncIterable<T>;
}

export interface AdminClientOptions {
  /** `host:port` */
  readonly admin: string;
  readonly adminToken?: string;
  readonly credentials?: grpc.ChannelCredentials;
  /** Of one answer. */
  readonly deadlineMs?: number;
}

export function createAdminClient(options: AdminClientOptions): AdminClient {
  const credentials = options.credentials ?? grpc.credentials.createInsecure();
  const client = new grpc.Client(options.admin, credentials);
  const definitions = loadDefinitions();
  const { deadlineMs = defaultDeadlineMs } = options;

  const methodOf = (service: string, method: string) => {
    const found = definitions[`${packagePrefix}${service}`]?.[method];
    if (found === undefined) throw new Error(`the descriptor has no ${service}/${method}`);
    return found;
  };
  const metadata = () => {
    const made = new grpc.Metadata();
    if (options.adminToken !== undefined) made.set("authorization", `Bearer ${options.adminToken}`);
    return made;
  };

  return {
    call<T>(service: string, method: string, request: AdminMessage = {}) {
      const { path, requestSerialize, responseDeserialize } = methodOf(service, method);
      return new Promise<T>((resolve, reject) => {
        client.makeUnaryRequest(
          path,
          requestSerialize,
          responseDeserialize,
          request,
          metadata(),
          { deadline: performance.timeOrigin + performance.now() + deadlineMs },
          (error, response) => (error ? reject(error) : resolve(response as T)),
        );
      });
    },
    async *stream<T>(service: string, method: string, request: AdminMessage = {}) {
      const { path, requestSerialize, responseDeserialize } = methodOf(service, method);
      const messages = client.makeServerStreamRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        metadata(),
      );
      try {
        for await (const message of messages) yield message as T;
      } finally {
        messages.cancel();
      }
    },
    [Symbol.dispose]: () => client.close(),
  };
}

type Methods = Readonly<Record<string, protoLoader.MethodDefinition<object, object>>>;

function loadDefinitions(): Readonly<Record<string, Methods>> {
  const descriptor = JSON.parse(readFileSync(descriptorPath, "utf8"));
  const options = { longs: Number, enums: String, defaults: true, arrays: true, oneofs: true };
  const loaded = protoLoader.fromJSON(descriptor, options);
  return Object.fromEntries(
    Object.entries(loaded).filter(
      (entry): entry is [string, Methods & (typeof entry)[1]] => !("format" in entry[1]),
    ),
  );
}
