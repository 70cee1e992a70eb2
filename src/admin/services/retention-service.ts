/**
 * RetentionService: rules that say how long records are kept, and a run of them now. What a run deletes is decided and
 * recorded by `retention/`; this only passes the order on.
 */
import type { RetentionService } from "../../gen/types.ts";
import type { Caller } from "../caller.ts";
import type { StateWriter } from "../change-state.ts";
import { needMessage } from "../convert/common.ts";
import { fromRetentionRule, toRetentionRuleResource } from "../convert/retention.ts";
import { createResourceCrud } from "../resource-crud.ts";

export interface RetentionRunFacts {
  readonly outcomes: readonly {
    readonly ruleId: string;
    readonly matched: number;
    readonly deleted: number;
  }[];
}

export interface RetentionStatistics {
  readonly lastRunAtMs: number | undefined;
  readonly runs: number;
  readonly deleted: number;
  readonly failures: number;
}

export interface RetentionServiceDeps {
  readonly state: StateWriter;
  readonly processRetention: (options: {
    readonly validateOnly: boolean;
    readonly signal: AbortSignal;
  }) => Promise<RetentionRunFacts>;
  readonly retentionStatistics: () => RetentionStatistics;
}

export function createRetentionService(deps: RetentionServiceDeps): RetentionService<Caller> {
  const rules = createResourceCrud({
    state: deps.state,
    kind: "retention-rule",
    noun: "retention rule",
    nameOf: (rule) => rule.id,
    toResource: toRetentionRuleResource,
    fromStored: fromRetentionRule,
  });
  return {
    async createRule(request, caller) {
      const rule = needMessage(request.rule, "rule");
      const { message, state_revision } = await rules.create(rule, request, caller);
      return { rule: message, state_revision };
    },
    getRule: async ({ id }, caller) => ({ rule: await rules.get(id, caller) }),
    async listRules(request, caller) {
      const { messages, ...page } = await rules.list(request, caller);
      return { rules: messages, ...page };
    },
    async updateRule(request, caller) {
      const rule = needMessage(request.rule, "rule");
      const { message, state_revision } = await rules.update(rule, request, caller);
      return { rule: message, state_revision };
    },
    deleteRule: (request, caller) => rules.delete(request.id, request, caller),
    async processRetention(request, caller) {
      const { outcomes } = await deps.processRetention({
        validateOnly: request.validate_only,
        signal: caller.signal,
      });
      const deleted = outcomes.reduce((sum, one) => sum + one.deleted, 0);
      caller.note({ deleted });
      return {
        outcomes: outcomes.map(({ ruleId, ...counts }) => ({ rule_id: ruleId, ...counts })),
        deleted,
      };
    },
    async getStatistics(_request, caller) {
      const { lastRunAtMs, ...counts } = deps.retentionStatistics();
      const stored = (await deps.state.read(caller)).list("retention-rule").map(fromRetentionRule);
      return {
        last_run_at_ms: lastRunAtMs,
        ...counts,
        rules_enabled: stored.filter((rule) => rule.enabled).length,
      };
    },
  };
}
