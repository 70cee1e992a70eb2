/**
 * Every configuration key: its name in the file, type, bounds, default and description. The commented
 * `config/gateway.yaml` and `config/gateway.schema.json` are checked against it; `load.ts` parses with it.
 */
import { z } from "zod";
import { agents } from "./agents-section.ts";
import { audit } from "./audit-section.ts";
import { atLeastZero, count, flag, mebibyte, port, section, text } from "./fields.ts";
import { identity } from "./identity-section.ts";
import { limits } from "./limits-section.ts";
import { policySection } from "./policy-section.ts";
import { sanitize } from "./sanitize-section.ts";
import { vault } from "./vault-section.ts";

export const adminRoles = ["admin", "operator", "auditor", "approver", "dpo", "viewer"] as const;

export const acceptableRisks = [
  "anonymous-access",
  "admin-without-tls",
  "plain-http-keys",
  "any-origin",
  "plain-sinks",
] as const;

const database = section(
  {
    url: z
      .string()
      .regex(/^postgres(ql)?:\/\//, "a postgres:// URL; leave it out for the embedded database")
      .optional()
      .describe("PostgreSQL URL. Better in DATABASE_URL or url_file. Left out: embedded SQLite."),
    url_file: text("File that holds the PostgreSQL URL.").optional(),
    deadline_ms: count(5_000, "Longest wait for one database operation."),
  },
  "Where state and the queryable copy of the audit log are kept.",
);

const operator = z
  .strictObject({
    name: text("The operator's name, as it appears in the audit log."),
    roles: z.array(z.enum(adminRoles)).min(1).describe("What the operator may do."),
    token_sha256: z
      .string()
      .regex(/^[0-9a-f]{64}$/, "64 lower-case hexadecimal digits")
      .optional()
      .describe("SHA-256 of the operator's bearer token, in hex."),
    certificate_common_name: text("Common name of the operator's client certificate.").optional(),
    tenant: text("The only tenant whose resources and records the operator sees; unset = all.")
      .regex(/^\P{Cc}{1,256}$/u, "1 to 256 characters without control characters")
      .optional(),
  })
  .refine(
    (one) => one.token_sha256 !== undefined || one.certificate_common_name !== undefined,
    "an operator needs token_sha256 or certificate_common_name",
  );

const admin = section(
  {
    host: text("Address the admin plane binds to.").default("127.0.0.1"),
    port: port(50_051, "Port of the admin plane; 0 asks for a free one."),
    tls: z
      .strictObject({
        certificate_file: text("PEM certificate chain."),
        key_file: text("PEM private key."),
        client_ca_file: text("PEM CA of operators' certificates; turns on mutual TLS.").optional(),
      })
      .optional()
      .describe("TLS of the admin plane. Required where it is bound beyond loopback."),
    operators: z.array(operator).default([]).describe("Operators besides the bootstrap token's."),
    message_bytes_max: count(4 * mebibyte, "Largest admin message."),
    deadline_seconds: count(30, "Longest an admin call may run."),
    reflection: flag(true, "Serve gRPC reflection."),
  },
  "The gRPC plane operators use.",
);

const ops = section(
  {
    host: text("Address the ops listener binds to.").default("127.0.0.1"),
    port: port(9_464, "Port of the ops listener; 0 asks for a free one."),
  },
  "Health and metrics over plain HTTP.",
);

const cache = section(
  {
    enabled: flag(true, "Keep replies in memory, encrypted."),
    bytes_max: count(64 * mebibyte, "Most bytes kept."),
    entries_max: count(10_000, "Most replies kept."),
    list_ttl_seconds: atLeastZero(5, "How long list results are kept; 0 = not at all."),
    ttl_seconds_max: count(3_600, "Longest a tool's setting may keep a reply."),
  },
  "Replies of cacheable requests.",
);

const validation = section(
  { tool_arguments: flag(true, "Refuse calls whose arguments violate the tool's input schema.") },
  "What is checked before a server sees a call.",
);

export const configSchema = z.strictObject({
  data_dir: text("Folder of the spool, the embedded database, keys and admin.token.").default(
    "./data",
  ),
  i_accept: z
    .array(z.enum(acceptableRisks))
    .default([])
    .describe("Risks accepted by name. Refused under production, high_security and gdpr_focused."),
  database,
  log: section(
    {
      level: z
        .enum(["debug", "info", "warn", "error"])
        .default("info")
        .describe("Lowest level that is written."),
    },
    "JSON lines on standard output.",
  ),
  agents,
  admin,
  ops,
  identity,
  policy: policySection,
  limits,
  cache,
  sanitize,
  validation,
  audit,
  vault,
  retention: section(
    { interval_minutes: count(60, "Time between runs of the retention rules.") },
    "Deletion of old records.",
  ),
  erasure: section(
    {
      mix_subjects: count(
        5,
        "Erased persons whose records are swept together, so that the order in the log shows nobody's records as one person's.",
      ),
      mix_hours: atLeastZero(24, "Longest wait for so many of them; 0 sweeps each at once."),
      key_retire_minutes: count(
        10,
        "Least time a rotated key stays beside its successor, for the nodes that share the vault to hear of it.",
      ),
    },
    "Erasing persons and data classes: the key is destroyed at once, the rest is swept later.",
  ),
  servers: section(
    {
      connect_timeout_ms: count(10_000, "Longest wait for a server's connection."),
      call_timeout_ms: count(60_000, "Longest wait for a server's answer."),
      response_bytes_max: count(8 * mebibyte, "Largest answer accepted from a server."),
      max_in_flight: count(256, "Calls running at once on one server."),
      allow_private_network: flag(false, "Let servers be in private ranges, or on plain http."),
      secrets_key_file: text(
        "File with the key that seals servers' secrets in the database; nodes that share a database share it. Left out: secrets.key in data_dir; no override.",
      ).optional(),
      parked_calls_max: count(1_000, "Calls waiting for agents' answers at once; no override."),
      parked_calls_per_principal_max: count(32, "The same, for one principal; no override."),
      parked_seconds: count(600, "Longest a call waits for its agent's answers; no override."),
      processes_per_server_max: count(
        1,
        "Processes of one legacy stdio server. More let calls that may ask something run beside each other, but each remembers for itself; no override.",
      ),
    },
    "Defaults for MCP servers; a server's registration may override those not marked.",
  ),
  drain: section(
    { timeout_seconds: atLeastZero(30, "Longest wait for running calls when stopping.") },
    "Stopping.",
  ),
  call: section(
    {
      timeout_seconds: count(120, "Longest a call may take in the gateway, all stages together."),
      question_seconds: count(600, "Longest an agent may take to answer a server's question."),
    },
    "Calls.",
  ),
});

/** The file's own shape: snake_case, every key optional. */
export type ConfigInput = z.input<typeof configSchema>;
/** Checked and complete, still in the file's names. */
export type ConfigValues = z.output<typeof configSchema>;
