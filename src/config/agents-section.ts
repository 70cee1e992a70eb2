/**
 * The `agents` section: the listener agents connect to, and its bounds. Part of `schema.ts`.
 */
import { z } from "zod";
import {
  atLeastZero,
  count,
  flag,
  mebibyte,
  names,
  networks,
  port,
  section,
  text,
} from "./fields.ts";

export const agents = section(
  {
    host: text("Address the agents' listener binds to.").default("127.0.0.1"),
    port: port(8_000, "Port of the agents' listener; 0 asks for a free one."),
    public_url: z
      .url({ protocol: /^https?$/ })
      .optional()
      .describe("URL agents use, behind a proxy."),
    allowed_origins: names("Browser origins that may connect, such as https://app.example."),
    allowed_hosts: names("Host headers answered besides the bound address and public_url's."),
    trusted_proxies: networks("Addresses or CIDR ranges whose X-Forwarded-For is believed."),
    allowed_networks: networks("Addresses or CIDR ranges served; empty = all."),
    denied_networks: networks("Addresses or CIDR ranges not served, whatever is allowed."),
    tls: z
      .strictObject({
        certificate_file: text("PEM certificate chain."),
        key_file: text("PEM private key."),
        client_ca_file: text(
          "PEM CA of agents' certificates: an agent may show one, and of no other CA.",
        ).optional(),
      })
      .optional()
      .describe("TLS of the agents' listener; left out where a proxy in front ends it."),
    client_cert_header: flag(
      false,
      "Believe agents' certificates in Client-Cert (RFC 9440) from trusted_proxies. They must remove what agents send by that name.",
    ),
    insecure_cookies: flag(
      false,
      "Serve consent pages on plain http, where public_url is loopback: their cookies go without Secure. For development.",
    ),
    body_bytes_max: count(4 * mebibyte, "Largest message accepted from an agent."),
    json_depth_max: count(64, "Deepest nesting accepted in a message."),
    json_nodes_max: count(100_000, "Most values accepted in one message."),
    json_string_bytes_max: count(4 * mebibyte, "Longest string accepted in a message."),
    connections_max: count(10_000, "Most agents' connections at once."),
    connections_per_peer_max: count(1_000, "Most connections at once from one address."),
    sessions_max: count(10_000, "Most sessions of the older protocol revisions at once."),
    sessions_per_principal_max: count(1_000, "Most sessions at once for one principal."),
    session_idle_seconds: count(1_800, "A session unused this long is ended."),
    session_max_seconds: count(86_400, "A session or WebSocket this old is ended, used or not."),
    idle_timeout_seconds: count(120, "A connection without any traffic this long is closed."),
    write_queue_bytes_max: count(mebibyte, "Most bytes waiting for one reader."),
    slow_reader_seconds: count(30, "A reader that takes nothing for this long is cut off."),
    sse_after_ms: atLeastZero(2_000, "A call running longer than this answers as an event stream."),
    keep_alive_seconds: count(15, "Time between keep-alive comments and pings."),
    resume_seconds: count(300, "How long an ended stream of a session can be resumed."),
    resume_events_max: count(256, "Most events kept for resuming one stream."),
    resume_bytes_max: count(mebibyte, "Most bytes kept for resuming one stream."),
    resume_session_bytes_max: count(4 * mebibyte, "Most bytes kept for all streams of a session."),
    resume_total_bytes_max: count(64 * mebibyte, "Most bytes kept for streams of all sessions."),
    http_sse: flag(true, "Serve the 2024-11-05 transport, HTTP+SSE."),
    in_flight_max: count(1_024, "Most calls running at once; more are refused as overloaded."),
    baggage_keys: names("Keys of W3C baggage that servers may see; others are dropped."),
    param_headers: z
      .enum(["strict", "lenient"])
      .default("strict")
      .describe(
        "Mcp-Param-* headers of modern calls: strict = where a tool has them they must be there; lenient = they may be missing, never wrong.",
      ),
    listens_max: count(10_000, "Most listens for changes at once, of sessions too."),
    listens_per_principal_max: count(1_000, "Most listens for changes at once of one principal."),
  },
  "The listener agents connect to: Streamable HTTP, HTTP+SSE and WebSocket.",
).refine(
  (one) => !one.client_cert_header || one.trusted_proxies.length > 0,
  "client_cert_header needs trusted_proxies: nobody else's header is believed",
);
