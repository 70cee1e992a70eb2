/** A long list is one parameter in both databases; a short one is written as it always is. */
import { expect, test } from "bun:test";
import {
  type CompiledQuery,
  DummyDriver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
} from "kysely";
import { PostgresListCompiler, SqliteListCompiler } from "../../../src/storage/long-lists.ts";
import type { Tables } from "../../../src/storage/schema.ts";

function compile(
  compiler: PostgresListCompiler | SqliteListCompiler,
  operator: "in" | "not in",
  list: readonly string[],
): CompiledQuery {
  const db = new Kysely<Tables>({
    dialect: {
      createDriver: () => new DummyDriver(),
      createAdapter: () => new PostgresAdapter(),
      createQueryCompiler: () => compiler,
      createIntrospector: (over) => new PostgresIntrospector(over),
    },
  });
  return db.selectFrom("audit_records").select("seq").where("tool", operator, list).compile();
}

const hostile = ["'", '"', "\\", "{}", ",", "%", "$1", "NULL", "a'); drop table audit_records; --"];
const long = [...hostile, ...Array.from({ length: 10_000 }, (_, at) => `value-${at}`)];

test.each([
  ["in", "= any($1)"],
  ["not in", "<> all($1)"],
] as const)("PostgreSQL: %s", (operator, text) => {
  const { sql, parameters } = compile(new PostgresListCompiler(), operator, long);
  expect(sql).toEndWith(`where "tool" ${text}`);
  expect(parameters).toEqual([long]);
});

test.each(["in", "not in"] as const)("SQLite: %s", (operator) => {
  const { sql, parameters } = compile(new SqliteListCompiler(), operator, long);
  expect(sql).toEndWith(`where "tool" ${operator} (select value from json_each(?))`);
  expect(parameters).toEqual([JSON.stringify(long)]);
});

test.each([new PostgresListCompiler(), new SqliteListCompiler()])("a short list", (compiler) => {
  const { sql, parameters } = compile(compiler, "in", ["a", "b"]);
  expect(sql.replaceAll(/\$\d/g, "?")).toEndWith('where "tool" in (?, ?)');
  expect(parameters).toEqual(["a", "b"]);
});
