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
import { isOwn, needTenant, notThere } from "../tenants.ts";

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
    async explain(request, caller) {
      const snapshot = current.get();
      const question = toQuestion(request);
      const asker = toAsker(request, snapshot, caller);
      needServerInSight(request.server, snapshot, caller);
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

function toQuestion({ server, target, action }: ExplainRequest): Question {
  const asked = toAction(action, "action");
  if (asked === "*") {
    throw new GatewayError("invalid-params", "action: ask for one action, not for any");
  }
  if (server === "") throw new GatewayError("invalid-params", "server: must be set");
  return { server, target, action: asked, kind: targetKinds[asked] };
}

/** To an operator of a tenant, another tenant's server is as unknown as one that is not there. */
function needServerInSight(name: string, { policyInput }: Snapshot, caller: Caller): void {
  if (caller.tenant === undefined) return;
  const server = policyInput.servers?.find((one) => one.name === name);
  const isInSight = server && (server.tenant === undefined || server.tenant === caller.tenant);
  if (!isInSight) throw notThere("server", name, server !== undefined);
}

/** A registered client brings its own roles, as it would when it calls. */
function toAsker(request: ExplainRequest, snapshot: Snapshot, caller: Caller): Asker {
  const { principal, subject, roles, groups } = request;
  if (principal === "") throw new GatewayError("invalid-params", "principal: must be set");
  if (!principal.startsWith(clientPrincipal)) {
    const tenant = needTenant(caller, request.tenant);
    const asked = { clientId: undefined, subject: subject || undefined, roles, groups, tenant };
    return { id: principal, ...asked };
  }
  const clientId = principal.slice(clientPrincipal.length);
  const client = snapshot.clients.get(clientId);
  if (client === undefined || !isOwn(caller, client.tenant)) {
    throw notThere("client", clientId, client !== undefined);
  }
  return {
    id: principal,
    clientId,
    tenant: client.tenant,
    subject: subject || undefined,
    roles: [...client.roles, ...roles],
    groups,
  };
}
