/**
 * The key `audit.bodies`: for which classes of data the record keeps what was asked and answered. Part of
 * `audit-section.ts`.
 */
import { z } from "zod";
import { dataClasses } from "../servers/spec.ts";
import { section } from "./fields.ts";

/** Two bodies of this size, sealed, stay below the largest frame of the spool. */
const bodyCharsMax = 256 * 1024;

const classes = (about: string) => z.array(z.enum(dataClasses)).default([]).describe(about);

export const auditBodies = section(
  {
    arguments: classes("Classes of data whose calls' arguments are kept."),
    result: classes("Classes of data whose results are kept."),
    chars_max: z
      .int()
      .min(256)
      .max(bodyCharsMax)
      .default(8_192)
      .describe("Longest body kept whole; of a longer one its beginning, and the digest of all."),
  },
  "Bodies kept in the outcome's record, masked as replies are and sealed like everything personal; by default none.",
);
