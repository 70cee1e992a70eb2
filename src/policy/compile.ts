/**
 * Turns roles, bindings, rules and client lists into one compiled policy. Pure; called once for each snapshot.
 */
import type { Asker, Decision, Question } from "./rule.ts";

export interface CompiledPolicy {
  /** Decides one question. Pure and total: every failure to decide is a denial. */
  decide(asker: Asker, question: Question): Decision;
  /** Whether the asker may see anything at all on this server; scopes without it look unknown. */
  seesServer(asker: Asker, server: string): boolean;
}
