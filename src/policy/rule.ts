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
  readonly issuer?: string | undefined;
  readonly roles: readonly string[];
  readonly groups: readonly string[];
  readonly tenant?: string | undefined;
  readonly workspace?: string | undefined;
  readonly scopes?: readonly string[] | undefined;
  readonly acr?: string | undefined;
  readonly amr?: readonly string[];
  readonly authenticatedAtMs?: number | undefined;
  readonly claims?: Readonly<Record<string, unknown>> | undefined;
}

/** One thing somebody may or may not do: call this tool, read this URI, get this prompt, on this server. */
export interface Question {
  readonly server: string;
  readonly kind: TargetKind;
  /** The target's own name (or canonical URI) on its server. */
  readonly target: string;
  readonly action: Action;
  /** The call itself, for conditions; undefined while only a list is filtered. */
  readonly call?: CallFacts | undefined;
}

/** What conditions may look at besides the principal. */
export interface CallFacts {
  /** Source text of the arguments object; undefined where there is none. */
  readonly argumentsText: string | undefined;
  readonly peer: string;
  readonly nowMs: number;
}

export interface Decision {
  readonly allowed: boolean;
  /** For operators and the record: `allowed by role analyst`, `denied by rule no-deletes`, `denied by default`. */
  readonly reason: string;
  /** The rule, role or client list that decided: `rule:no-deletes`, `role:analyst`, `client:ci`, or `default`. */
  readonly ruleId: string;
  /** What an allowed call still owes; undefined = nothing. The obligations of all rules that match, joined. */
  readonly obligations?: Obligations | undefined;
}

/** What must be so, or must be done, for a call that policy allows. Joined, the stricter value of each member holds. */
export interface Obligations {
  /** OAuth scopes the token must have; a token that lacks one is challenged with all of them. */
  readonly scopes: readonly string[];
  /** How the user must have proved who they are (RFC 9470): each of these must be met. Empty = anyhow. */
  readonly stepUp: readonly StepUp[];
  /** A person must approve this very call first. */
  readonly approval: boolean;
  /** Names of redaction profiles of the configuration, sorted and joined with `+`: all of them apply. */
  readonly redaction: string | undefined;
  /** Recorded at least this surely. */
  readonly auditClass: "A+" | "A" | "B" | undefined;
  /** Name of a tier of limits of the configuration, which holds in place of the principal's own. */
  readonly rateTier: string | undefined;
  /** Limits of the rules themselves, each counted by rule and principal. */
  readonly rateLimits: readonly RuleRateLimit[];
}

/** One way to be met: an accepted `acr`, an accepted `amr`, and not longer ago than the age; all that are set. */
export interface StepUp {
  /** Accepted values of `acr`; empty = any. */
  readonly acrValues: readonly string[];
  /** Accepted values of which `amr` must hold one; empty = any. */
  readonly amrValues: readonly string[];
  readonly maxAgeSeconds: number | undefined;
}

export interface RuleRateLimit {
  readonly rule: string;
  readonly requests: number;
  readonly windowSeconds: number;
}

export const riskTiers = ["low", "medium", "high", "critical"] as const;
export type RiskTier = (typeof riskTiers)[number];

/** What `compilePolicy` takes, as lists of plain values; the state's resources fit as they are. */
export interface PolicyInput {
  readonly clients: readonly ClientGrants[];
  readonly roles: readonly Role[];
  readonly bindings: readonly Binding[];
  readonly rules: readonly Rule[];
  /** Whose each server is, where it is a tenant's own; and what operators say of single tools. */
  readonly servers?: readonly PolicyServer[];
}

export interface PolicyServer {
  readonly name: string;
  /** Undefined = for every tenant. */
  readonly tenant?: string | undefined;
  readonly tools: readonly {
    readonly tool: string;
    /** A tool nobody spoke of is `low`. */
    readonly riskTier: RiskTier;
    /** One of these roles is needed, whatever else grants the tool: also of holders of `*` (P09). Empty = none. */
    readonly requiredRoles: readonly string[];
  }[];
}

export interface ClientGrants {
  readonly id: string;
  /** Undefined = of no tenant. */
  readonly tenant?: string | undefined;
  readonly enabled: boolean;
  /** `server__tool`, `server__*` or `*`; an empty list grants nothing. */
  readonly allowedTools: readonly string[];
  /** URI patterns; `*` stands for any run of characters. */
  readonly allowedResources: readonly string[];
  /** `server__prompt`, `server__*` or `*`. */
  readonly allowedPrompts: readonly string[];
  /** Only so that an unknown tier of limits is refused where unknown names are. */
  readonly limits?: { readonly tier?: string | undefined };
}

export interface Role {
  readonly name: string;
  /** Undefined = for every tenant. Names are unique within a tenant; its own role hides the common one. */
  readonly tenant?: string | undefined;
  /** `resource` is `mcp:{server}:{target}`; a segment may be `*`, only as a whole. */
  readonly permissions: readonly {
    readonly resource: string;
    readonly actions: readonly (Action | "*")[];
  }[];
}

/** Gives roles to principals: by principal id or JWT subject, or to everyone in a group. */
export interface Binding {
  readonly name: string;
  /** Undefined = for every tenant; else it gives roles to principals of this tenant alone. */
  readonly tenant?: string | undefined;
  readonly roles: readonly string[];
  readonly users: readonly string[];
  readonly groups: readonly string[];
}

/**
 * Decided before grants. A deny always wins; priority says which of several matching rules is named. `require` grants
 * nothing: it adds its obligations to whatever else allows.
 */
export interface Rule {
  readonly name: string;
  /** Undefined = for every tenant; else it is about principals of this tenant alone. */
  readonly tenant?: string | undefined;
  readonly effect: "deny" | "allow" | "require";
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
    /** The principal holds one of these; empty or undefined = any. */
    readonly roles?: readonly string[] | undefined;
    readonly groups?: readonly string[] | undefined;
    readonly workspaces?: readonly string[] | undefined;
    readonly riskTiers?: readonly RiskTier[] | undefined;
    /** A CEL expression over principal, call, arguments, time and peer; see docs/policy.md. */
    readonly when?: string | undefined;
  };
  /** Of allow and require rules. */
  readonly obligations?: Partial<Omit<Obligations, "rateLimits" | "stepUp">> & {
    readonly stepUp?: StepUp | undefined;
    readonly rateLimit?: Omit<RuleRateLimit, "rule"> | undefined;
  };
  readonly enabled: boolean;
}
