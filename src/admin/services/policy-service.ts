/**
 * PolicyService: roles, bindings and rules, and why a call would be allowed or not. Explain asks the very policy that
 * is being served, so its answer is the decision and not a second opinion.
 */
import { GatewayError } from "../../errors/fault.ts";
import type { ExplainRequest, PolicyService } from "../../gen/types.ts";
import { explain } from "../../policy/explain.ts";
import type { Asker, Question } from "../../policy/rule.ts";
import type { CurrentSnapshot, Snapshot } from "../../state/snapshot.ts";
import type { Caller } from "../caller.ts";
import type { StateWriter } from "../change-state.ts";
import { needMessage, toAction } from "../convert/common.ts";
import {
  fromBinding,
  fromRole,
  fromRule,
  toBindingResource,
  toRoleResource,
  toRuleResource,
} from "../convert/policy.ts";
import { createResourceCrud } from "../resource-crud.ts";

export interface PolicyServiceDeps {
  readonly state: StateWriter;
  readonly current: CurrentSnapshot;
}

/** The five RPCs of one noun. */
type Rpcs<Noun extends string> = Pick<
  PolicyService<Caller>,
  `${"create" | "get" | "update" | "delete"}${Noun}` & keyof PolicyService<Caller>
> &
  Pick<PolicyService<Caller>, `list${Noun}s` & keyof PolicyService<Caller>>;

const clientPrincipal = "client:";
const targetKinds = {
  list_tools: "tool",
  invoke_tool: "tool",
  read_resource: "resource",
  get_prompt: "prompt",
} as const;

export function createPolicyService({ state, current }: PolicyServiceDeps): PolicyService<Caller> {
  return {
    ...roleRpcs(state),
    ...bindingRpcs(state),
    ...ruleRpcs(state),
    async explain(request) {
      const snapshot = current.get();
      const question = toQuestion(request);
      const asker = toAsker(request, snapshot);
      const { decision, roles, deniedBy, grantedBy } = explain(
        snapshot.policyInput,
        asker,
        question,
      );
      return {
        allowed: decision.allowed,
        reason: decision.reason,
        decided_by: decision.ruleId,
        roles,
        denied_by: deniedBy,
        granted_by: grantedBy,
        state_revision: snapshot.stateRevision,
      };
    },
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
    getRole: async ({ name }) => ({ role: await roles.get(name) }),
    async listRoles(request) {
      const { messages, ...page } = await roles.list(request);
      return { roles: messages, ...page };
    },
    async updateRole(request, caller) {
      const role = needMessage(request.role, "role");
      const { message, state_revision } = await roles.update(role, request, caller);
      return { role: message, state_revision };
    },
    deleteRole: (request, caller) => roles.delete(request.name, request, caller),
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
    getBinding: async ({ name }) => ({ binding: await bindings.get(name) }),
    async listBindings(request) {
      const { messages, ...page } = await bindings.list(request);
      return { bindings: messages, ...page };
    },
    async updateBinding(request, caller) {
      const binding = needMessage(request.binding, "binding");
      const { message, state_revision } = await bindings.update(binding, request, caller);
      return { binding: message, state_revision };
    },
    deleteBinding: (request, caller) => bindings.delete(request.name, request, caller),
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
    getRule: async ({ name }) => ({ rule: await rules.get(name) }),
    async listRules(request) {
      const { messages, ...page } = await rules.list(request);
      return { rules: messages, ...page };
    },
    async updateRule(request, caller) {
      const rule = needMessage(request.rule, "rule");
      const { message, state_revision } = await rules.update(rule, request, caller);
      return { rule: message, state_revision };
    },
    deleteRule: (request, caller) => rules.delete(request.name, request, caller),
  };
}

function toQuestion({ server, target, action }: ExplainRequest): Question {
  const asked = toAction(action, "action");
  if (asked === "*") {
    throw new GatewayError("invalid-params", "action: ask for one action, not for any");
  }
  if (server === "") throw new GatewayError("invalid-params", "server: must be set");
  return { server, target, action: asked, kind: targetKinds[asked] };
}

/** A registered client brings its own roles, as it would when it calls. */
function toAsker(request: ExplainRequest, snapshot: Snapshot): Asker {
  const { principal, subject, roles, groups } = request;
  if (principal === "") throw new GatewayError("invalid-params", "principal: must be set");
  if (!principal.startsWith(clientPrincipal)) {
    return { id: principal, clientId: undefined, subject: subject || undefined, roles, groups };
  }
  const clientId = principal.slice(clientPrincipal.length);
  const client = snapshot.clients.get(clientId);
  if (client === undefined) {
    throw new GatewayError("resource-not-found", `There is no client "${clientId.slice(0, 64)}"`);
  }
  return {
    id: principal,
    clientId,
    subject: subject || undefined,
    roles: [...client.roles, ...roles],
    groups,
  };
}
