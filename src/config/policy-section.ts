/**
 * The `policy` section: how policy may be changed, and how long it holds without its database. Part of `schema.ts`.
 */
import { count, flag, section } from "./fields.ts";

export const policySection = section(
  {
    two_person: flag(
      false,
      "Roles, bindings, rules, clients' grants and tools' risk change by drafts alone, which another operator than their author approves.",
    ),
    revisions_max: count(200, "Changes of policy kept in the history; the oldest go first."),
    max_stale_seconds: count(
      900,
      "Longest that policy serves without its database having said that it still holds; then every call is denied.",
    ),
  },
  "What principals may do, and who says so.",
);
