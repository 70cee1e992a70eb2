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

/** What `compilePolicy` takes, as lists of plain values; the state's resources fit as they are. */
export interface PolicyInput {
  readonly clients: readonly ClientGrants[];
  readonly roles: readonly Role[];
  readonly bindings: readonly Binding[];
  readonly rules: readonly Rule[];
}

export interface ClientGrants {
  readonly id: string;
  readonly enabled: boolean;
  /** `server__tool`, `server__*` or `*`; an empty list grants nothing. */
  readonly allowedTools: readonly string[];
  /** URI patterns; `*` stands for any run of characters. */
  readonly allowedResources: readonly string[];
  /** `server__prompt`, `server__*` or `*`. */
  readonly allowedPrompts: readonly string[];
}

export interface Role {
  readonly name: string;
  /** `resource` is `mcp:{server}:{target}`; a segment may be `*`, only as a whole. */
  readonly permissions: readonly {
    readonly resource: string;
    readonly actions: readonly (Action | "*")[];
  }[];
}

/** Gives roles to principals: by principal id or JWT subject, or to everyone in a group. */
export interface Binding {
  readonly name: string;
  readonly roles: readonly string[];
  readonly users: readonly string[];
  readonly groups: readonly string[];
}

/** Decided before grants. A deny always wins; priority says which of several matching rules is named. */
export interface Rule {
  readonly name: string;
  readonly effect: "deny" | "allow";
  readonly priority: number;
  readonly condition: {
    /** Exact server name; undefined = any. */
    readonly server: string | undefined;
    /** RE2 pattern matched against the whole target name; undefined = any. */
    readonly targetPattern: string | undefined;
    /** Match upper and lower case alike. */
    readonly ignoreCase: boolean;
    /** Principal id, client id or subject; undefined = anybody. */
    readonly principal: string | undefined;
    readonly action: Action | "*" | undefined;
  };
  readonly enabled: boolean;
}
