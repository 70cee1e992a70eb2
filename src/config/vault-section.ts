/**
 * The `vault` section: where the keys lie that seal personal values in the audit log. Part of `schema.ts`.
 */
import { z } from "zod";
import { flag, section, text } from "./fields.ts";

export const vault = section(
  {
    url: z
      .string()
      .regex(/^postgres(ql)?:\/\//, "a postgres:// URL; leave it out for vault.sqlite in data_dir")
      .optional()
      .describe(
        "PostgreSQL URL of the key vault, which nodes share; another database than the records', with backups of its own. Better in MCP_GATEWAY_VAULT_URL or url_file.",
      ),
    url_file: text("File that holds the vault's PostgreSQL URL.").optional(),
    key_file: text(
      "File with the root key of the vault; nodes that share a vault share it. Left out: vault.key in data_dir.",
    ).optional(),
    node_local: flag(
      false,
      "Keep the vault on this node although the records are in PostgreSQL: no other node opens this one's records.",
    ),
  },
  "The keys that seal personal values in the audit log.",
);
