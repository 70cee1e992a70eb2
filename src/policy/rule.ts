/**
 * The vocabulary of a policy decision: who asks, what for, and what came of it.
 */
import type { TargetKind } from "../protocol/methods.ts";

export type Action = "list_tools" | "invoke_tool" | "read_resource" | "get_prompt";

/** Who asks, as far as policy cares. `Principal` satisfies it. */
export interface Asker {
  readonly id: string;
  readonly clientId: string | undefined;
  readonly subject: string | undefined;
  readonly roles: readonly string[];
  readonly groups: readonly string[];
}

/** One thing somebody may or may not do: call this tool, read this URI, get this prompt, on this server. */
export interface Question {
  readonly server: string;
  readonly kind: TargetKind;
  /** The target's own name (or canonical URI) on its server. */
  readonly target: string;
  readonly action: Action;
}

export interface Decision {
  readonly allowed: boolean;
  /** For operators and the record: `allowed by role analyst`, `denied by rule no-deletes`, `denied by default`. */
  readonly reason: string;
  /** The rule, role or client list that decided: `rule:no-deletes`, `role:analyst`, `client:ci`, or `default`. */
  readonly ruleId: string;
}
