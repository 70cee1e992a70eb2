/** Filters as SQL text: values are parameters whatever they hold, and exclusions are safe with null columns. */
import { describe, expect, test } from "bun:test";
import {
  DummyDriver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
} from "kysely";
import { livePrunable, matching } from "../../../src/storage/audit-filter.ts";
import type { Tables } from "../../../src/storage/schema.ts";
import type { AuditFilter } from "../../../src/storage/store.ts";

const db = new Kysely<Tables>({
  dialect: {
    createDriver: () => new DummyDriver(),
    createAdapter: () => new PostgresAdapter(),
    createQueryCompiler: () => new PostgresQueryCompiler(),
    createIntrospector: (over) => new PostgresIntrospector(over),
  },
});

function whereOf(condition: ReturnType<typeof matching>): readonly [string, readonly unknown[]] {
  const { sql, parameters } = db
    .selectFrom("audit_records")
    .select("seq")
    .where(condition)
    .compile();
  return [sql.replace(/^.* where /, ""), parameters];
}

describe("matching", () => {
  test.each<[AuditFilter, string, readonly unknown[]]>([
    [{ tool: "t" }, '"tool" = $1', ["t"]],
    [{ correlationId: "c" }, '"correlation_id" = $1', ["c"]],
    [{ dataClass: "d", client: "c" }, '("client" = $1 and "data_class" = $2)', ["c", "d"]],
    [{ fromMs: 1, untilMs: 2 }, '("time_ms" >= $1 and "time_ms" < $2)', [1, 2]],
    [{}, "1 = 1", []],
    // The words of the partial index, without which the databases do not use it.
    [{ status: "error" }, `("status" = $1 and "status" not in ('success'))`, ["error"]],
    [{ status: "success" }, '"status" = $1', ["success"]],
    [{ event: "call.intent" }, '"event" = $1', ["call.intent"]],
    [
      { event: "admin.change" },
      `("event" = $1 and "event" not in ('call.intent', 'call.outcome'))`,
      ["admin.change"],
    ],
  ])("%j", (filter, text, parameters) => {
    expect(whereOf(matching(filter))).toEqual([text, parameters]);
  });

  test.each(["' or 1=1 --", "%", "_", "$1", "\\", '"', "/*", ".*"])(
    "%s stays a parameter (AD-13)",
    (value) => {
      expect(whereOf(matching({ principal: value }))).toEqual(['"principal" = $1', [value]]);
    },
  );
});

test("livePrunable excludes by what is true, so null columns are not excluded", () => {
  const [text, parameters] = whereOf(
    livePrunable({ filter: { untilMs: 9 }, exclude: [{ client: "a" }, {}] }),
  );
  expect(text).toBe(
    '("envelope" is not null and "time_ms" < $1 and ("client" = $2) is not true and (1 = 1) is not true)',
  );
  expect(parameters).toEqual([9, "a"]);
});
