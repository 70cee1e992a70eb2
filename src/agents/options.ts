/**
 * Every bound and address of the agents' listener, with its default. Filled from the configuration by compose;
 * nothing in this folder has a limit that is not here.
 */
import { defaultScanLimits, type ScanLimits } from "../protocol/scan.ts";

export interface AgentsOptions {
  readonly host: string;
  /** 0 asks for a free port. */
  readonly port: number;
  /** Where agents reach us, behind a proxy; without it the verified `Host` header says. */
  readonly publicUrl: string | undefined;
  /** Host names (or `name:port`) answered to, beside loopback names, `host` and the host of `publicUrl`. */
  readonly allowedHosts: readonly string[];
  /** Browser origins answered to, exact, beside the listener's own. */
  readonly allowedOrigins: readonly string[];
  /** Addresses whose `X-Forwarded-For` is believed: an address, or a prefix in CIDR form. */
  readonly trustedProxies: readonly string[];
  /** PEM. With `clientCa`, agents may show a certificate of that authority, and no other. */
  readonly tls:
    | { readonly cert: string; readonly key: string; readonly clientCa: string | undefined }
    | undefined;
  /** Believe a certificate in `Client-Cert` (RFC 9440) from trusted proxies. */
  readonly clientCertHeader: boolean;
  /** Addresses and ranges served; empty = all. The denied ones are not, whatever the others say. */
  readonly allowedNetworks: readonly string[];
  readonly deniedNetworks: readonly string[];
  /** Serve HTTP+SSE, the transport of 2024-11-05; off, its paths do not exist. */
  readonly httpSse: boolean;
  readonly scan: ScanLimits;
  readonly bodyBytesMax: number;
  readonly batchMessagesMax: number;
  /** Open requests, streams and sockets: all together, and from one address. */
  readonly connectionsMax: number;
  readonly connectionsPerPeerMax: number;
  /** Seconds without a byte after which an idle or half-sent request is cut. */
  readonly idleSeconds: number;
  readonly sessionsMax: number;
  readonly sessionsPerPrincipalMax: number;
  readonly sessionIdleMs: number;
  /** Longest a session or a WebSocket lives, used or not. */
  readonly sessionMaxMs: number;
  /** Requests in flight of one legacy session or one WebSocket. */
  readonly callsPerConnectionMax: number;
  /** Questions of servers that one legacy client may have open, and how long it may take over one. */
  readonly questionsPerSessionMax: number;
  readonly answerTimeoutMs: number;
  /** Resources one legacy session may be subscribed to. */
  readonly subscriptionsPerSessionMax: number;
  /** A call that takes longer is answered as an event stream, which can be kept alive. */
  readonly sseAfterMs: number;
  readonly keepAliveMs: number;
  /** Bytes that may wait for a slow reader of one stream or socket. */
  readonly writeQueueBytesMax: number;
  /** How long bytes may wait before the reader is cut. */
  readonly slowReaderMs: number;
  /** Events kept for replay on one stream of a legacy session. */
  readonly resumeEventsMax: number;
  /** Bytes kept for replay: on one stream, for one session, in the whole gateway. */
  readonly resumeBytesMax: number;
  readonly resumeSessionBytesMax: number;
  readonly resumeTotalBytesMax: number;
  /** How long a stream that has ended can be replayed. */
  readonly resumeMs: number;
  readonly wsIdleSeconds: number;
  /** Frames that may wait for their turn on one socket before it is no longer read. */
  readonly wsInboxMax: number;
}

export const defaultAgentsOptions: AgentsOptions = Object.freeze({
  host: "127.0.0.1",
  port: 8000,
  publicUrl: undefined,
  allowedHosts: [],
  allowedOrigins: [],
  trustedProxies: [],
  tls: undefined,
  clientCertHeader: false,
  allowedNetworks: [],
  deniedNetworks: [],
  httpSse: true,
  scan: defaultScanLimits,
  bodyBytesMax: 4 * 1024 * 1024,
  batchMessagesMax: 100,
  connectionsMax: 10_000,
  connectionsPerPeerMax: 1_000,
  idleSeconds: 15,
  sessionsMax: 10_000,
  sessionsPerPrincipalMax: 1_000,
  sessionIdleMs: 30 * 60 * 1000,
  sessionMaxMs: 24 * 60 * 60 * 1000,
  callsPerConnectionMax: 128,
  questionsPerSessionMax: 64,
  answerTimeoutMs: 10 * 60 * 1000,
  subscriptionsPerSessionMax: 256,
  sseAfterMs: 2_000,
  keepAliveMs: 15_000,
  writeQueueBytesMax: 1024 * 1024,
  slowReaderMs: 30_000,
  resumeEventsMax: 256,
  resumeBytesMax: 1024 * 1024,
  resumeSessionBytesMax: 4 * 1024 * 1024,
  resumeTotalBytesMax: 64 * 1024 * 1024,
  resumeMs: 300_000,
  wsIdleSeconds: 120,
  wsInboxMax: 256,
});
