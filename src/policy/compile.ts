/**
 * Turns roles, bindings, rules, client lists and what is said of servers into one compiled policy. Pure; called once
 * for each snapshot. `decide.ts` says how a decision is made and how lists and calls agree (P23); here it is remembered:
 * whole where no condition needs the call, else the few rules that are left to ask.
 *
 * What the actions mean: `list_tools` and `invoke_tool` are one question, and a tool is visible exactly when some call
 * of it may be made. A grant of `invoke_tool` therefore implies listing, a deny of either action hides and forbids, and
 * a grant of `list_tools` alone shows the server but none of its tools.
 */
import { LRUCache } from "lru-cache";
import type { TargetKind } from "../protocol/methods.ts";
import {
  ask,
  type Candidates,
  decide,
  describeCall,
  findCandidates,
  isSettled,
  weigh,
} from "./decide.ts";
import type { Facts } from "./expression-facts.ts";
import { isFalse, isTrue, unknown } from "./expression-values.ts";
import { compileHolders, type Holder } from "./holder.ts";
import { denied } from "./reasons.ts";
import type { Asker, Decision, PolicyInput, Question } from "./rule.ts";
import { type CompiledRule, compileRules, type RuleSet } from "./rules.ts";
import { compileTools, type Tools } from "./tools.ts";

export interface CompiledPolicy {
  /** Decides one question. Pure and total: every failure to decide is a denial. */
  decide(asker: Asker, question: Question): Decision;
  /** Whether the asker may see anything at all on this server; scopes without it look unknown. */
  seesServer(asker: Asker, server: string): boolean;
}

export interface PolicyOptions {
  /** Targets remembered, over all who ask. Default 20,000. */
  readonly rememberedMax?: number;
}

/** The compiled parts, for whoever looks at more than the decision (`explain.ts`). */
export interface PolicyParts {
  readonly tools: Tools;
  viewOf(asker: Asker): View;
}

export interface View {
  readonly holder: Holder;
  rulesOf(server: string): RuleSet;
}

interface KnownView extends View {
  /** Stands for the asker in keys of what is remembered. */
  readonly number: number;
  readonly sights: Map<string, boolean>;
}

/** What is known of a target before it is called. */
interface Remembered {
  readonly listed: Decision;
  /** Undefined where every call is decided like the list. */
  readonly open: Candidates | undefined;
}

const kinds: readonly TargetKind[] = ["tool", "resource", "prompt"];
/** Longer targets are decided but not remembered, so that memory is bounded in bytes too. */
const rememberedLengthMax = 512;
/** Servers an asker is remembered to see or not; names that do not exist may be asked about. */
const sightsMax = 4096;

/** Throws invalid-params, naming the entry at fault, where any part of the input is unusable. */
export function compilePolicy(input: PolicyInput, options: PolicyOptions = {}): CompiledPolicy {
  const parts = compileParts(input);
  const remembered = new LRUCache<string, Remembered>({ max: options.rememberedMax ?? 20_000 });
  // A principal is one object for as long as its credential is remembered (`identity/authenticator.ts`).
  const views = new WeakMap<Asker, KnownView>();
  let viewCount = 0;

  function viewOf(asker: Asker): KnownView {
    const known = views.get(asker);
    if (known !== undefined) return known;
    viewCount += 1;
    const view = { ...parts.viewOf(asker), number: viewCount, sights: new Map<string, boolean>() };
    views.set(asker, view);
    return view;
  }

  function recall(view: KnownView, question: Question): Remembered {
    const { server, kind, target, action } = question;
    if (target.length > rememberedLengthMax) return workOut(parts.tools, view, question);
    // The lengths of what comes before the target are told, so no two questions share a key.
    const key = `${view.number} ${kind} ${action} ${server.length} ${server}${target}`;
    const known = remembered.get(key);
    if (known !== undefined) return known;
    const made = workOut(parts.tools, view, question);
    remembered.set(key, made);
    return made;
  }

  return {
    decide(asker, question) {
      try {
        const view = viewOf(asker);
        const { listed, open } = recall(view, question);
        if (open === undefined || question.call === undefined) return listed;
        return decide(open, describeCall(open.call, question.call));
      } catch {
        return denied("default", ": the policy could not be evaluated");
      }
    },
    seesServer(asker, server) {
      try {
        const view = viewOf(asker);
        const known = view.sights.get(server);
        if (known !== undefined) return known;
        const sees =
          parts.tools.isVisible(server, view.holder) &&
          kinds.some((kind) => mayReach(view, kind, server));
        if (view.sights.size < sightsMax) view.sights.set(server, sees);
        return sees;
      } catch {
        return false;
      }
    },
  };
}

export function compileParts(input: PolicyInput): PolicyParts {
  const holderOf = compileHolders(input);
  const rulesOf = compileRules(input.rules);
  return {
    tools: compileTools(input.servers ?? []),
    viewOf(asker) {
      const holder = holderOf(asker);
      return { holder, rulesOf: rulesOf(holder) };
    },
  };
}

function workOut(tools: Tools, { holder, rulesOf }: View, question: Question): Remembered {
  const asked = ask(question, holder, tools);
  if (asked.refusal !== undefined) {
    return { listed: denied("default", `: ${asked.refusal}`), open: undefined };
  }
  const { target } = asked;
  const found = findCandidates(holder, question, target, rulesOf(question.server), tools);
  return {
    listed: Object.freeze(decide(found, undefined)),
    open: isSettled(found) ? undefined : found,
  };
}

/** Whether some target of this kind on the server might be allowed. */
function mayReach({ holder, rulesOf }: View, kind: TargetKind, server: string): boolean {
  const rules = rulesOf(server);
  const facts: Facts = {
    principal: holder.principal(),
    call: unknown,
    arguments: undefined,
    timeMs: undefined,
    peer: unknown,
  };
  const may = (rule: CompiledRule, outcome: number) =>
    rule.coversKind(kind) && (weigh(rule, holder, facts) & outcome) !== 0;
  if (rules.denies.some((rule) => rule.isBlanket && rule.coversKind(kind) && !may(rule, isFalse))) {
    return false;
  }
  return (
    holder.granting.some(({ grants }) => grants.touches(kind, server)) ||
    rules.allows.some((rule) => may(rule, isTrue))
  );
}
