/**
 * The admin plane's protocol as gRPC needs it, from the generated descriptor: every RPC with its path, whether it
 * streams, and how to decode and encode. Requests are handed over as bytes: `handle.ts` decodes only after it knows
 * who asks and has checked the bytes.
 */
import type { MethodDefinition, ServiceDefinition } from "@grpc/grpc-js";
import type * as protoLoader from "@grpc/proto-loader";
import descriptor from "../gen/descriptor.json";
import wire from "../gen/wire.json";
import { once } from "../lib/once.ts";

export const adminPackage = "mcp_gateway.admin.v1";

export interface Rpc {
  /** Short name: `ClientService`. */
  readonly service: string;
  /** As in the descriptor: `RegisterClient`. */
  readonly method: string;
  readonly isStream: boolean;
  /** Full name of the request message. */
  readonly requestType: string;
  decode(bytes: Buffer): object;
}

export interface ServiceFacts {
  readonly service: string;
  readonly rpcs: readonly Rpc[];
  /** Requests pass as bytes, answers as objects. */
  readonly definition: ServiceDefinition<Record<string, never>>;
}

type LoadedMethod = MethodDefinition<object, object>;
type Service = Readonly<Record<string, LoadedMethod>>;

interface Streams {
  readonly requestStream?: boolean;
  readonly responseStream?: boolean;
}

/** What is read of a protobufjs JSON descriptor: services and the namespaces around them. */
interface Namespace {
  readonly nested?: Readonly<Record<string, Namespace>>;
  readonly methods?: Readonly<Record<string, Streams>>;
}

// Widened first: the literal type of so large a file matches no declared one.
const descriptorJson: object = descriptor;

/**
 * How all messages are decoded and encoded. Made at the first call, because it takes a third of a start; loaded there
 * as well, and not by a promise: gRPC decodes and encodes while it waits.
 */
const codecs = once(() => {
  const { fromJSON }: typeof protoLoader = require("@grpc/proto-loader");
  return fromJSON(descriptorJson as Parameters<typeof fromJSON>[0], {
    keepCase: true,
    longs: Number,
    enums: String,
    defaults: true,
  });
});

/** Every service of the admin package. */
export function adminServiceFacts(): readonly ServiceFacts[] {
  const space = findNamespace(adminPackage)?.nested ?? {};
  return Object.keys(space)
    .filter((name) => space[name]?.methods !== undefined)
    .map((name) => toServiceFacts(name, needService(`${adminPackage}.${name}`)));
}

/** A service as gRPC wants it, requests decoded: for reflection and health. */
export function needService(fullName: string): Service {
  const methods = findNamespace(fullName)?.methods;
  if (methods === undefined) throw new Error(`the descriptor has no service ${fullName}`);
  return Object.fromEntries(
    Object.entries(methods).map(([method, streams]) => [
      method,
      toMethod(fullName, method, streams),
    ]),
  );
}

function findNamespace(fullName: string): Namespace | undefined {
  let found: Namespace | undefined = descriptorJson;
  for (const name of fullName.split(".")) found = found?.nested?.[name];
  return found;
}

function toMethod(
  service: string,
  method: string,
  { requestStream = false, responseStream = false }: Streams,
): LoadedMethod {
  const codec = once(() => {
    const loaded = codecs()[service] as Service | undefined;
    const found = loaded?.[method];
    if (found === undefined) throw new Error(`the descriptor has no ${service}/${method}`);
    return found;
  });
  return {
    path: `/${service}/${method}`,
    originalName: method,
    requestStream,
    responseStream,
    requestSerialize: (value) => codec().requestSerialize(value),
    requestDeserialize: (bytes) => codec().requestDeserialize(bytes),
    responseSerialize: (value) => codec().responseSerialize(value),
    responseDeserialize: (bytes) => codec().responseDeserialize(bytes),
  };
}

function toServiceFacts(service: string, methods: Service): ServiceFacts {
  const rpcs = Object.entries(methods).map(([method, definition]) => ({
    service,
    method,
    isStream: definition.responseStream,
    requestType: requestTypeName(service, method),
    decode: (bytes: Buffer) => definition.requestDeserialize(bytes),
  }));
  const raw = Object.entries(methods).map(([method, definition]) => [
    method,
    { ...definition, requestDeserialize: (bytes: Buffer) => bytes },
  ]);
  return { service, rpcs, definition: Object.fromEntries(raw) };
}

function requestTypeName(service: string, method: string): string {
  const rows: Readonly<Record<string, string>> = wire.requests;
  const type = rows[`${adminPackage}.${service}/${method}`];
  if (type === undefined) throw new Error(`src/gen/wire.json has no ${service}/${method}`);
  return type;
}
