/**
 * The keys of `audit` about witnesses and the monitor: who remembers this node's checkpoints, whose checkpoints this node
 * remembers, and how closely the log is recomputed. Keys are verifier keys as C2SP spells them; compose reads them.
 */
import { z } from "zod";
import { count, text } from "./fields.ts";

const verifierKey = (about: string) =>
  z
    .string()
    .max(1024)
    .regex(/^[^+\s]+\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+$/, "<name>+<8 hex digits>+<base64>")
    .describe(about);

const witness = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9_-]{0,62}$/, "1 to 63 of a-z, 0-9, _ and -")
    .refine((name) => name !== "database", "this is the name of the database as a witness")
    .describe("What metrics and records call it."),
  url: z
    .url({ protocol: /^https?$/, error: "an http:// or https:// URL" })
    .describe("Its submission prefix (c2sp.org/tlog-witness); /add-checkpoint is added to it."),
  key: verifierKey("Its cosigner's verifier key, of type 4."),
});

export const witnessing = {
  witnesses: z
    .array(witness)
    .max(16)
    .refine(
      (list) => new Set(list.map((one) => one.name)).size === list.length,
      "two witnesses have the same name",
    )
    .default([])
    .describe("Who cosigns this node's checkpoints, besides the database."),
  witness_interval_seconds: count(10, "Time between two checkpoints for one such witness."),
  witness_for: z
    .array(verifierKey("A node key."))
    .max(1_000)
    .default([])
    .describe(
      "Node keys (mcp-gateway audit key) of other nodes whose checkpoints this one cosigns, on the ops listener.",
    ),
  witness_database_url: z
    .string()
    .regex(/^postgres(ql)?:\/\//, "a postgres:// URL")
    .optional()
    .describe(
      "PostgreSQL of another trust domain that keeps checkpoints (deploy/witness-database.sql). Better in MCP_GATEWAY_WITNESS_DATABASE_URL or witness_database_url_file. Left out: the database itself.",
    ),
  witness_database_url_file: text("File that holds that URL.").optional(),
  monitor_records_per_second: count(
    1_000,
    "Records of spool and database the monitor recomputes each second, at most.",
  ),
};
