/**
 * What a search by time finds its rows by: the part of its filter that the fewest rows have, told by looking and not by
 * statistics. Used by `audit-search.ts`.
 */
import { type Expression, type Kysely, type SqlBool, sql } from "kysely";
import { countMembers, type IndexedPart, indexedParts } from "./audit-filter.ts";
import { narrow } from "./audit-firsts.ts";
import type { Tables } from "./schema.ts";
import type { AuditScan } from "./store.ts";

export interface Driver {
  /** Undefined: the time alone. */
  readonly part: IndexedPart | undefined;
  /** Whether the filter asks for nothing else. */
  readonly isWhole: boolean;
}

/** Rows of a part that are counted: with more it is common, and of common ones the first is as good as any. */
const countedMax = 1_000;

/** "nothing": no row has all that is asked for. */
export async function chooseDriver(
  db: Kysely<Tables>,
  filter: AuditScan["filter"],
): Promise<Driver | "nothing"> {
  const asked = indexedParts(filter);
  const isWhole = asked.length === countMembers(filter) && asked.length <= 1;
  const [first] = asked;
  if (asked.length <= 1) return { part: first, isWhole };
  const narrowed = await narrow(db, filter);
  if (narrowed === undefined) return "nothing";
  const parts = indexedParts(narrowed);
  const counts = await Promise.all(
    parts.map(({ holdsAny, values }) => countSome(db, holdsAny(values))),
  );
  const fewest = Math.min(...counts);
  if (fewest === 0) return "nothing";
  return { part: parts[counts.indexOf(fewest)], isWhole };
}

async function countSome(db: Kysely<Tables>, condition: Expression<SqlBool>): Promise<number> {
  const some = db
    .selectFrom("audit_records")
    .select(sql<number>`1`.as("one"))
    .where(condition)
    .limit(countedMax);
  const { rows } = await db
    .selectFrom(some.as("some"))
    .select((eb) => eb.fn.countAll<number>().as("rows"))
    .executeTakeFirstOrThrow();
  return rows;
}
