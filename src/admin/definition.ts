/**
 * The admin plane's protocol as gRPC needs it, from the generated descriptor: every RPC with its path, whether it
 * streams, and how to decode and encode. Requests are handed over as bytes: `handle.ts` decodes only after it knows
 * who asks and has checked the bytes.
 */
import type { MethodDefinition, ServiceDefinition } from "@grpc/grpc-js";
import { fromJSON } from "@grpc/proto-loader";
import descriptor from "../gen/descriptor.json";
import wire from "../gen/wire.json";

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

// Widened first: the literal type of so large a file matches no declared one.
const descriptorJson: object = descriptor;
const loaded = fromJSON(descriptorJson as Parameters<typeof fromJSON>[0], {
  keepCase: true,
  longs: Number,
  enums: String,
  defaults: true,
});

/** Every service of the admin package. */
export function adminServiceFacts(): readonly ServiceFacts[] {
  return Object.keys(loaded)
    .filter((name) => name.startsWith(`${adminPackage}.`) && findService(name) !== undefined)
    .map((name) => toServiceFacts(name.slice(adminPackage.length + 1), needService(name)));
}

/** A service as loaded, requests decoded: for reflection and health. */
export function needService(fullName: string): Readonly<Record<string, LoadedMethod>> {
  const service = findService(fullName);
  if (service === undefined) throw new Error(`the descriptor has no service ${fullName}`);
  return service;
}

/** Services and messages lie side by side in what proto-loader returns; only messages have a format. */
function findService(fullName: string): Readonly<Record<string, LoadedMethod>> | undefined {
  const found = loaded[fullName];
  if (found === undefined || "format" in found) return undefined;
  return found as Readonly<Record<string, LoadedMethod>>;
}

function toServiceFacts(
  service: string,
  methods: Readonly<Record<string, LoadedMethod>>,
): ServiceFacts {
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
