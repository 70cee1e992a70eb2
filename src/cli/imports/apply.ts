/**
 * Sends a plan to the admin plane, as any operator would: one write after the other, denials first, and stops at the
 * first refusal, so that what is granted never runs ahead of what is denied.
 */
import type { AdminClient } from "../admin-client.ts";
import { CommandError, exitCodes } from "../command.ts";
import type { PlannedWrite, WriteKind } from "./plan.ts";

export interface Written {
  readonly write: PlannedWrite;
  readonly outcome: "created" | "replaced" | "would be created" | "would be replaced" | "exists";
}

export interface ApplyOptions {
  /** Everything is checked and nothing stored. */
  readonly isDryRun: boolean;
  /** Objects of the same name are replaced; without it they stay as they are. */
  readonly replaces: boolean;
}

interface Method {
  readonly service: string;
  /** The message's field, such as `role` of `CreateRoleRequest`. */
  readonly field: string;
  readonly create: string;
  readonly update: string;
}

const rule = {
  service: "PolicyService",
  field: "rule",
  create: "CreateRule",
  update: "UpdateRule",
};
const methods: Readonly<Record<WriteKind, Method>> = {
  deny: rule,
  allow: rule,
  server: {
    service: "ServerService",
    field: "server",
    create: "RegisterServer",
    update: "UpdateServer",
  },
  role: { service: "PolicyService", field: "role", create: "CreateRole", update: "UpdateRole" },
  binding: {
    service: "PolicyService",
    field: "binding",
    create: "CreateBinding",
    update: "UpdateBinding",
  },
};
const servicePackage = "mcp_gateway.admin.v1";

/** Yields each write as it is done; throws CommandError at the first that is refused. */
export async function* applyPlan(
  client: Pick<AdminClient, "call">,
  writes: readonly PlannedWrite[],
  options: ApplyOptions,
): AsyncGenerator<Written> {
  for (const write of writes) {
    const outcome = await send(client, write, options).catch((error: unknown) => {
      if (!(error instanceof CommandError) || error.exitCode !== exitCodes.failed) throw error;
      throw new CommandError(`${describeWrite(write)} (${write.from}): ${error.message}`);
    });
    yield { write, outcome };
  }
}

export function describeWrite({ kind, name }: PlannedWrite): string {
  return `${kind === "deny" || kind === "allow" ? `${kind} rule` : kind} ${name}`;
}

async function send(
  client: Pick<AdminClient, "call">,
  write: PlannedWrite,
  { isDryRun, replaces }: ApplyOptions,
): Promise<Written["outcome"]> {
  const { service, field, create, update } = methods[write.kind];
  const ask = (method: string) =>
    client.call(`${servicePackage}.${service}`, method, {
      [field]: isDryRun ? alone(write) : write.body,
      validate_only: isDryRun,
    });
  try {
    await ask(create);
    return isDryRun ? "would be created" : "created";
  } catch (error) {
    if (!(error instanceof CommandError) || !error.message.startsWith("ALREADY_EXISTS"))
      throw error;
  }
  if (!replaces) return "exists";
  await ask(update);
  return isDryRun ? "would be replaced" : "replaced";
}

/** A dry run stores nothing, so a binding cannot name the roles that the same import would make. */
function alone({ kind, body }: PlannedWrite): object {
  return kind === "binding" ? { ...body, roles: [] } : body;
}
