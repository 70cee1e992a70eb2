/**
 * The section `limits`: how often and how much at once, by whom, and where nodes count together.
 */
import { z } from "zod";
import { atLeastZero, count, section, text } from "./fields.ts";

/** Of the defaults and, each left out or given, of tiers. */
const limitWords = {
  requests_per_minute: "Requests a minute for one client or user.",
  burst: "Requests one client or user may make at once after a pause.",
  tool_requests_per_minute: "Calls a minute of one tool by one client or user.",
  tool_burst: "Calls of one tool one client or user may make at once after a pause.",
  max_in_flight: "Calls one client or user may have running on one node.",
  requests_per_10_seconds: "Requests in ten seconds for one client or user; 0 = no such limit.",
  requests_per_hour: "Requests an hour for one client or user; 0 = no such limit.",
  requests_per_day: "Requests a day for one client or user; 0 = no such limit.",
  server_requests_per_minute:
    "Requests a minute to one server by one client or user; 0 = no such limit.",
  server_burst: "Requests to one server at once after a pause; 0 = as many as in a minute.",
} as const;

/** Without a default of its own: what a tier leaves out is as configured for everybody. */
const given = (min: number, about: string) =>
  z.int().min(min).max(1_000_000_000).optional().describe(about);

const tier = z.strictObject({
  requests_per_minute: given(1, limitWords.requests_per_minute),
  burst: given(1, limitWords.burst),
  tool_requests_per_minute: given(1, limitWords.tool_requests_per_minute),
  tool_burst: given(1, limitWords.tool_burst),
  max_in_flight: given(1, limitWords.max_in_flight),
  requests_per_10_seconds: given(0, limitWords.requests_per_10_seconds),
  requests_per_hour: given(0, limitWords.requests_per_hour),
  requests_per_day: given(0, limitWords.requests_per_day),
  server_requests_per_minute: given(0, limitWords.server_requests_per_minute),
  server_burst: given(0, limitWords.server_burst),
});

const tierName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9_-]{0,62}$/, "a tier's name is 1 to 63 of a-z, 0-9, _ and -");

export const limits = section(
  {
    requests_per_minute: count(1_000, limitWords.requests_per_minute),
    burst: count(2_000, limitWords.burst),
    tool_requests_per_minute: count(100, limitWords.tool_requests_per_minute),
    tool_burst: count(200, limitWords.tool_burst),
    max_in_flight: count(64, limitWords.max_in_flight),
    requests_per_10_seconds: atLeastZero(0, limitWords.requests_per_10_seconds),
    requests_per_hour: atLeastZero(0, limitWords.requests_per_hour),
    requests_per_day: atLeastZero(0, limitWords.requests_per_day),
    server_requests_per_minute: atLeastZero(0, limitWords.server_requests_per_minute),
    server_burst: atLeastZero(0, limitWords.server_burst),
    tenant_requests_per_minute: atLeastZero(
      0,
      "Requests a minute of all callers of one tenant together; 0 = no such limit.",
    ),
    tenant_burst: atLeastZero(0, "Of one tenant at once; 0 = as many as in a minute."),
    tiers: z
      .record(tierName, tier)
      .default({})
      .describe(
        "Named sets of limits; what a tier leaves out keeps the default. A client's registration or a rule names one.",
      ),
    source_requests_per_minute: count(6_000, "Requests a minute from one address."),
    failed_auth_per_minute: count(30, "Refused credentials a minute from one address."),
    queue_max: atLeastZero(
      0,
      "Calls that may wait for a place in flight, all callers together; 0 = none waits.",
    ),
    queue_wait_ms: count(1_000, "Longest a call waits for a place in flight."),
    penalty_after_refusals: atLeastZero(
      600,
      "Refusals by a limit within a minute that put their caller or address aside; 0 = never.",
    ),
    penalty_seconds: count(300, "How long somebody is put aside."),
    redis_url: z
      .string()
      .regex(/^(redis|rediss|valkey|valkeys):\/\//, "a redis:// or rediss:// URL")
      .optional()
      .describe(
        "Redis or Valkey that nodes share limits by. Better in REDIS_URL or redis_url_file. Left out: each node counts for itself.",
      ),
    redis_url_file: text("File that holds the Redis URL.").optional(),
    redis_prefix: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9:._-]{0,62}$/, "1 to 63 of letters, digits, :, ., _ and -")
      .default("mcp-gateway")
      .describe("First part of every key in Redis: gateways that count together share it."),
    redis_timeout_ms: count(50, "Longest a call waits for Redis; then the node decides alone."),
    redis_nodes: count(1, "Nodes to divide limits by until Redis has said how many there are."),
  },
  "Defaults; a client's registration may override those of one client.",
);
