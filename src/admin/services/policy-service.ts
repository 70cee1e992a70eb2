/**
 * PolicyService: roles, bindings and rules. What is more than reading and writing one of them has a file of its own:
 * drafts, history, Explain, Replay.
 */
import type { PolicyService } from "../../gen/types.ts";
import type { Caller } from "../caller.ts";
import type { StateWriter } from "../change-state.ts";
import { needMessage } from "../convert/common.ts";
import {
  fromBinding,
  fromRole,
  fromRule,
  toBindingResource,
  toRoleResource,
  toRuleResource,
} from "../convert/policy.ts";
import { createResourceCrud } from "../resource-crud.ts";
import { createDraftRpcs, type PolicyDraftsDeps } from "./policy-drafts-service.ts";
import { createExplainRpc, type PolicyExplainDeps } from "./policy-explain.ts";
import { createHistoryRpcs } from "./policy-history-service.ts";
import { createReplayRpc, type PolicyReplayDeps } from "./policy-replay.ts";

export interface PolicyServiceDeps extends PolicyExplainDeps, PolicyDraftsDeps {
  readonly records: Pick<PolicyReplayDeps, "store" | "opener" | "tokens">;
}

/** The five RPCs of one noun. */
type Rpcs<Noun extends string> = Pick<
  PolicyService<Caller>,
  `${"create" | "get" | "update" | "delete"}${Noun}` & keyof PolicyService<Caller>
> &
  Pick<PolicyService<Caller>, `list${Noun}s` & keyof PolicyService<Caller>>;

export function createPolicyService(deps: PolicyServiceDeps): PolicyService<Caller> {
  const { state } = deps;
  return {
    ...roleRpcs(state),
    ...bindingRpcs(state),
    ...ruleRpcs(state),
    ...createExplainRpc(deps),
    ...createDraftRpcs(deps),
    ...createHistoryRpcs(deps),
    ...createReplayRpc({ ...deps, ...deps.records }),
  };
}

function roleRpcs(state: StateWriter): Rpcs<"Role"> {
  const roles = createResourceCrud({
    state,
    kind: "role",
    noun: "role",
    nameOf: (role) => role.name,
    toResource: toRoleResource,
    fromStored: fromRole,
  });
  return {
    async createRole(request, caller) {
      const role = needMessage(request.role, "role");
      const { message, state_revision } = await roles.create(role, request, caller);
      return { role: message, state_revision };
    },
    getRole: async ({ name, tenant }, caller) => ({
      role: await roles.get(name, caller, tenant),
    }),
    async listRoles(request, caller) {
      const { messages, ...page } = await roles.list(request, caller);
      return { roles: messages, ...page };
    },
    async updateRole(request, caller) {
      const role = needMessage(request.role, "role");
      const { message, state_revision } = await roles.update(role, request, caller);
      return { role: message, state_revision };
    },
    deleteRole: (request, caller) => roles.delete(request.name, request, caller, request.tenant),
  };
}

function bindingRpcs(state: StateWriter): Rpcs<"Binding"> {
  const bindings = createResourceCrud({
    state,
    kind: "binding",
    noun: "binding",
    nameOf: (binding) => binding.name,
    toResource: toBindingResource,
    fromStored: fromBinding,
  });
  return {
    async createBinding(request, caller) {
      const binding = needMessage(request.binding, "binding");
      const { message, state_revision } = await bindings.create(binding, request, caller);
      return { binding: message, state_revision };
    },
    getBinding: async ({ name, tenant }, caller) => ({
      binding: await bindings.get(name, caller, tenant),
    }),
    async listBindings(request, caller) {
      const { messages, ...page } = await bindings.list(request, caller);
      return { bindings: messages, ...page };
    },
    async updateBinding(request, caller) {
      const binding = needMessage(request.binding, "binding");
      const { message, state_revision } = await bindings.update(binding, request, caller);
      return { binding: message, state_revision };
    },
    deleteBinding: (request, caller) =>
      bindings.delete(request.name, request, caller, request.tenant),
  };
}

function ruleRpcs(state: StateWriter): Rpcs<"Rule"> {
  const rules = createResourceCrud({
    state,
    kind: "rule",
    noun: "rule",
    nameOf: (rule) => rule.name,
    toResource: toRuleResource,
    fromStored: fromRule,
  });
  return {
    async createRule(request, caller) {
      const rule = needMessage(request.rule, "rule");
      const { message, state_revision } = await rules.create(rule, request, caller);
      return { rule: message, state_revision };
    },
    getRule: async ({ name, tenant }, caller) => ({
      rule: await rules.get(name, caller, tenant),
    }),
    async listRules(request, caller) {
      const { messages, ...page } = await rules.list(request, caller);
      return { rules: messages, ...page };
    },
    async updateRule(request, caller) {
      const rule = needMessage(request.rule, "rule");
      const { message, state_revision } = await rules.update(rule, request, caller);
      return { rule: message, state_revision };
    },
    deleteRule: (request, caller) => rules.delete(request.name, request, caller, request.tenant),
  };
}
