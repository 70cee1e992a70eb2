/**
 * The gRPC listener of the admin plane: limits, TLS, the services, reflection and health. The one dynamic import
 * point: `compose/` loads this file and the services lazily, because grpc-js costs memory and start-up time.
 */
import { Server, ServerCredentials } from "@grpc/grpc-js";
import descriptorSet from "../gen/file-descriptor-set.json";
import { once } from "../lib/once.ts";
import { adminPackage, adminServiceFacts, needService } from "./definition.ts";
import { buildDescriptorIndex } from "./descriptor-index.ts";
import { authenticateCall } from "./grpc-call.ts";
import { createHandle, type HandleDeps } from "./handle.ts";
import { createHealth, type Health } from "./health.ts";
import { createDeadlineInterceptor } from "./opening-deadline.ts";
import { createReflection } from "./reflection.ts";

export interface AdminTls {
  /** PEM. */
  readonly certificate: string | Buffer;
  readonly key: string | Buffer;
  /** Where set, every client must present a certificate of this authority. */
  readonly clientCa?: string | Buffer | undefined;
}

export interface AdminServerLimits {
  /** Largest message, either way, decompressed. */
  readonly messageBytesMax: number;
  readonly maxInFlightPerOperator: number;
  readonly maxStreamsPerConnection: number;
  /** HTTP/2 memory of one connection; passed on in megabytes, as node:http2 counts it. */
  readonly sessionBytesMax: number;
  readonly requestTimeoutMs: number;
  readonly unaryTimeoutMs: number;
  readonly keepaliveMs: number;
  readonly keepaliveTimeoutMs: number;
}

export const defaultAdminLimits: AdminServerLimits = Object.freeze({
  messageBytesMax: 4 * 1024 * 1024,
  maxInFlightPerOperator: 32,
  maxStreamsPerConnection: 100,
  sessionBytesMax: 256 * 1024 * 1024,
  requestTimeoutMs: 30_000,
  unaryTimeoutMs: 30_000,
  keepaliveMs: 60_000,
  keepaliveTimeoutMs: 20_000,
});

export interface AdminServerDeps
  extends Omit<HandleDeps, "stopping" | "draining" | "maxInFlightPerOperator"> {
  readonly host: string;
  /** 0 asks for a free port. */
  readonly port: number;
  readonly tls?: AdminTls | undefined;
  readonly limits?: Partial<AdminServerLimits> | undefined;
  /** Who may ask for the schema: nobody, operators (any role), or anyone who reaches the port. */
  readonly reflection?: "off" | "operators" | "open" | undefined;
}

export interface AdminServer {
  /** Binds and serves; resolves with the real address, `host:port`. */
  start(): Promise<{ readonly address: string; readonly port: number }>;
  /** What health tells: false while starting, draining or not ready. `start` sets it, `stop` clears it. */
  setServing(isServing: boolean): void;
  /** Takes no new calls, waits for those running, and ends what is left after `graceMs`. */
  stop(graceMs: number): Promise<void>;
}

const reflectionRequestsMax = 10_000;
const healthWatchersMax = 100;

export function createAdminServer(deps: AdminServerDeps): AdminServer {
  const limits = { ...defaultAdminLimits, ...deps.limits };
  const ending = { draining: new AbortController(), stopping: new AbortController() };
  const server = new Server(channelOptions(limits));
  const facts = adminServiceFacts();
  const names = facts.map((one) => `${adminPackage}.${one.service}`);
  const handleDeps: HandleDeps = {
    ...deps,
    draining: ending.draining.signal,
    stopping: ending.stopping.signal,
    maxInFlightPerOperator: limits.maxInFlightPerOperator,
  };
  const implement = createHandle(handleDeps);
  for (const one of facts) server.addService(one.definition, implement(one));
  const health = createHealth(names, healthWatchersMax);
  server.addService(needService("grpc.health.v1.Health"), { ...health.implementation });
  addReflection(server, deps, names);
  return {
    start: () => bind(server, deps, health),
    setServing: (isServing) => health.setServing(isServing),
    stop: (graceMs) => stop(server, health, ending, graceMs),
  };
}

function channelOptions(limits: AdminServerLimits) {
  return {
    "grpc.max_receive_message_length": limits.messageBytesMax,
    "grpc.max_send_message_length": limits.messageBytesMax,
    "grpc.max_concurrent_streams": limits.maxStreamsPerConnection,
    "grpc.keepalive_time_ms": limits.keepaliveMs,
    "grpc.keepalive_timeout_ms": limits.keepaliveTimeoutMs,
    // grpc-js asks for MAX_SAFE_INTEGER, which Bun reads as 1 MB; larger lists then fail.
    "grpc-node.max_session_memory": Math.ceil(limits.sessionBytesMax / 1_000_000),
    "grpc.enable_channelz": 0,
    interceptors: [createDeadlineInterceptor(limits)],
  };
}

function addReflection(server: Server, deps: AdminServerDeps, names: readonly string[]): void {
  const who = deps.reflection ?? "operators";
  if (who === "off") return;
  const versions = ["grpc.reflection.v1", "grpc.reflection.v1alpha"].map(
    (space) => `${space}.ServerReflection`,
  );
  const implementation = createReflection({
    index: once(() => buildDescriptorIndex(Buffer.from(descriptorSet.base64, "base64"))),
    services: [...names, "grpc.health.v1.Health", ...versions].sort(),
    admit: (call) => {
      if (who === "operators") authenticateCall(call, deps.authenticate);
    },
    requestsMax: reflectionRequestsMax,
  });
  for (const version of versions) server.addService(needService(version), implementation);
}

async function bind(server: Server, deps: AdminServerDeps, health: Health) {
  const host = deps.host.includes(":") ? `[${deps.host}]` : deps.host;
  const credentials = createCredentials(deps.tls);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`${host}:${deps.port}`, credentials, (error, bound) => {
      if (error === null) resolve(bound);
      else reject(new Error(`cannot listen on ${host}:${deps.port}`, { cause: error }));
    });
  });
  health.setServing(true);
  return { address: `${host}:${port}`, port };
}

function createCredentials(tls: AdminTls | undefined): ServerCredentials {
  if (tls === undefined) return ServerCredentials.createInsecure();
  const pair = { cert_chain: Buffer.from(tls.certificate), private_key: Buffer.from(tls.key) };
  const { clientCa } = tls;
  if (clientCa === undefined) return ServerCredentials.createSsl(null, [pair]);
  return ServerCredentials.createSsl(Buffer.from(clientCa), [pair], true);
}

interface Ending {
  readonly draining: AbortController;
  readonly stopping: AbortController;
}

async function stop(
  server: Server,
  health: Health,
  { draining, stopping }: Ending,
  graceMs: number,
): Promise<void> {
  health.setServing(false);
  health.close();
  draining.abort();
  const timer = setTimeout(() => {
    stopping.abort();
    server.forceShutdown();
  }, graceMs);
  await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
  clearTimeout(timer);
  stopping.abort();
}
