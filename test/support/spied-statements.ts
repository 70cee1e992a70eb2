/** Statements as a database is asked them: for tests of what is asked, or of what happens between two of them. */
import type { CompiledQuery, Kysely, QueryId, RootOperationNode } from "kysely";
import type { Tables } from "../../src/storage/schema.ts";

/** Calls back with each statement that was answered, before whoever asked has the answer. */
export function spyOn(
  db: Kysely<Tables>,
  answered: (statement: CompiledQuery) => Promise<void>,
): Kysely<Tables> {
  // Parts of statements are transformed as well, but only whole ones have a result.
  const nodes = new WeakMap<QueryId, RootOperationNode>();
  return db.withPlugin({
    transformQuery({ node, queryId }) {
      nodes.set(queryId, node);
      return node;
    },
    async transformResult({ result, queryId }) {
      const node = nodes.get(queryId);
      if (node !== undefined) await answered(db.getExecutor().compileQuery(node, queryId));
      return result;
    },
  });
}
