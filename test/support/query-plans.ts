/** How a database answers a statement, in its own words: for tests of what is read for it. */
import { CompiledQuery, type Kysely } from "kysely";
import type { Tables } from "../../src/storage/schema.ts";

export async function explain(db: Kysely<Tables>, how: string, { sql, parameters }: CompiledQuery) {
  const query = { ...CompiledQuery.raw(`${how} ${sql}`), parameters };
  return (await db.executeQuery<Record<string, unknown>>(query)).rows;
}

/** What PostgreSQL did for a statement. */
export async function planOf(db: Kysely<Tables>, statement: CompiledQuery): Promise<PlanNode> {
  const [explained] = await explain(db, "explain (analyze, format json)", statement);
  const [plan] = (explained?.["QUERY PLAN"] ?? []) as readonly { readonly Plan: PlanNode }[];
  if (plan === undefined) throw new Error(`no plan of ${statement.sql}`);
  return plan.Plan;
}

interface PlanNode {
  readonly "Node Type": string;
  readonly "Relation Name"?: string;
  readonly "Actual Rows": number;
  readonly "Actual Loops": number;
  readonly "Rows Removed by Filter"?: number;
  readonly Plans?: readonly PlanNode[];
}

function nodesOf(node: PlanNode): readonly PlanNode[] {
  return [node, ...(node.Plans ?? []).flatMap(nodesOf)];
}

/** Rows of the audit copy that a plan touched, whether it used them or threw them away. */
export function touched(plan: PlanNode): number {
  const scans = nodesOf(plan).filter((node) => node["Relation Name"]?.startsWith("audit_records"));
  return scans.reduce((sum, node) => {
    const each = node["Actual Rows"] + (node["Rows Removed by Filter"] ?? 0);
    return sum + each * node["Actual Loops"];
  }, 0);
}
