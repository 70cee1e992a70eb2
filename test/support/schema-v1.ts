/**
 * A database as release 0.1.0 left it: the tables of schema version 1, word for word, with some data in them. Frozen,
 * because that is what stands in databases out there. Asserts nothing.
 */

const collated = { sqlite: "text", postgres: 'text collate "C"' } as const;
const counted = {
  sqlite: "integer",
  postgres: "bigint generated always as identity",
} as const;

/** Statements that make a database of version 1 out of an empty one. */
export function schemaVersion1(kind: "sqlite" | "postgres"): readonly string[] {
  const text = collated[kind];
  const searched = ["principal", "client", "tool", "server", "scope", "method", "status"];
  const also = ["decision", "session", "correlation_id", "data_class"];
  const columns = [...searched, ...also].map((name) => `"${name}" ${text}`).join(", ");
  const indexed = ["principal", "client", "tool", "server", "session", ...also.slice(2)];
  return [
    `create table "schema_migrations" ("version" bigint primary key, "name" ${text} not null)`,
    `insert into schema_migrations values (1, 'first tables')`,
    `create table "state" ("id" bigint primary key check (id = 1), "revision" bigint not null)`,
    `insert into state values (1, 7)`,
    `create table "resources" ("kind" ${text} not null, "name" ${text} not null, "body" text not null,
      "created_at_ms" bigint not null, "updated_at_ms" bigint not null, "state_revision" bigint not null,
      constraint "resources_key" primary key ("kind", "name"))`,
    `create table "audit_logs" ("log" ${counted[kind]} primary key, "log_id" ${text} not null unique)`,
    `create table "audit_records" ("log" bigint not null, "seq" bigint not null, "leaf" ${text} not null,
      "envelope" text, "details" text, "time_ms" bigint not null, "event" ${text} not null,
      "durability" ${text} not null, ${columns},
      constraint "audit_records_key" primary key ("log", "seq"))`,
    ...indexed.map(
      (name) =>
        `create index "audit_records_by_${name}" on "audit_records" ("${name}", "log", "seq")
          where "${name}" is not null`,
    ),
    `create index "audit_records_by_event" on "audit_records" ("event", "log", "seq")
      where "event" not in ('call.intent', 'call.outcome')`,
    `create index "audit_records_by_status" on "audit_records" ("status", "log", "seq")
      where "status" not in ('success')`,
    `create index "audit_records_by_time" on "audit_records" ("time_ms", "log", "seq")
      where envelope is not null`,
    ...resources.map(
      ([kindOf, name, body], at) =>
        `insert into resources values ('${kindOf}', '${name}', '${JSON.stringify(body)}', ${at}, ${at + 1}, ${at + 2})`,
    ),
    `insert into audit_logs (log_id) values ('log-a')`,
    ...[1, 2].map(
      (seq) =>
        `insert into audit_records (log, seq, leaf, envelope, details, time_ms, event, durability, client)
          values (1, ${seq}, 'leaf-${seq}', '{"seq":${seq}}', '{}', ${1000 + seq}, 'call.outcome', 'A', 'ci')`,
    ),
  ];
}

/** Kind, name and body of the resources in it. */
export const resources: readonly (readonly [string, string, object])[] = [
  ["binding", "everyone", { name: "everyone", roles: ["analyst"], users: [], groups: ["*"] }],
  ["client", "ci", { id: "ci", tenant: "acme" }],
  ["role", "analyst", { name: "analyst", description: 'about "tenant" things', permissions: [] }],
  ["role", "guest", { name: "guest", tenant: "a:b", description: "", permissions: [] }],
  ["rule", "stop", { name: "stop", tenant: "acme", effect: "deny" }],
];
