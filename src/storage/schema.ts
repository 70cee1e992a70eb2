/**
 * The tables as kysely sees them: one type a table, columns in snake_case. Whole numbers are bigint columns read
 * as numbers. Used by the SQL files of this folder only; what leaves the folder is `store.ts`.
 */
import type { Generated } from "kysely";

export interface StateTable {
  /** Always 1: the table has one row. */
  readonly id: number;
  readonly revision: number;
}

export interface ResourcesTable {
  readonly kind: string;
  /** Empty = of no tenant: a key's column cannot be null. */
  readonly tenant: string;
  readonly name: string;
  /** JSON text, the same bytes on both databases. */
  readonly body: string;
  readonly created_at_ms: number;
  readonly updated_at_ms: number;
  readonly state_revision: number;
}

/** Gives each log a short number, which stands for its id in every record and every index. */
export interface AuditLogsTable {
  /** Counted up by the database. */
  readonly log: Generated<number>;
  readonly log_id: string;
}

export interface AuditRecordsTable {
  readonly log: number;
  readonly seq: number;
  readonly leaf: string;
  /** Null once pruned; text and not a JSON column, because its exact bytes are what was hashed. */
  readonly envelope: string | null;
  readonly details: string | null;
  readonly time_ms: number;
  readonly event: string;
  readonly durability: string;
  readonly principal: string | null;
  readonly client: string | null;
  readonly tool: string | null;
  readonly server: string | null;
  readonly scope: string | null;
  readonly method: string | null;
  readonly status: string | null;
  readonly decision: string | null;
  readonly session: string | null;
  readonly correlation_id: string | null;
  readonly data_class: string | null;
  readonly tenant: string | null;
}

/** Only grows: the database refuses everything but an insert that extends the log. */
export interface AuditCheckpointsTable {
  readonly log_id: string;
  readonly size: number;
  /** Hex. */
  readonly root: string;
  readonly note: string;
  readonly stored_at_ms: number;
}

export interface LastUsesTable {
  readonly name: string;
  readonly used_at_ms: number;
}

export interface UserGrantsTable {
  readonly id: string;
  readonly tenant: string | null;
  readonly server: string;
  readonly body: string;
  readonly version: number;
  readonly updated_at_ms: number;
}

export interface BrowserPassesTable {
  readonly id: string;
  readonly body: string;
  readonly until_ms: number;
}

/** In a database of its own (`vault-store.ts`). */
export interface VaultKeysTable {
  readonly id: string;
  readonly purpose: "kek" | "subject" | "class" | "index";
  readonly tenant: string;
  readonly label: string;
  readonly owner: string | null;
  readonly epoch: number;
  readonly wrapped: string | null;
  readonly state: "active" | "decrypt-only" | "destroyed";
  readonly created_at_ms: number;
  readonly destroyed_at_ms: number | null;
}

/** The sweep as JSON: it holds search tokens, and goes once it is done. */
export interface VaultSweepsTable {
  readonly key: string;
  readonly sweep: string;
}

export interface VaultSweptTable {
  readonly key: string;
  readonly log_id: string;
}

export interface VaultNodesTable {
  readonly log_id: string;
  readonly seen_at_ms: number;
}

export interface VaultMigrationsTable {
  readonly version: number;
}

export interface SchemaMigrationsTable {
  readonly version: number;
  readonly name: string;
}

export interface Tables {
  readonly state: StateTable;
  readonly resources: ResourcesTable;
  readonly audit_logs: AuditLogsTable;
  readonly audit_records: AuditRecordsTable;
  readonly audit_checkpoints: AuditCheckpointsTable;
  readonly last_uses: LastUsesTable;
  readonly user_grants: UserGrantsTable;
  readonly browser_passes: BrowserPassesTable;
  readonly schema_migrations: SchemaMigrationsTable;
  readonly vault_keys: VaultKeysTable;
  readonly vault_sweeps: VaultSweepsTable;
  readonly vault_swept: VaultSweptTable;
  readonly vault_nodes: VaultNodesTable;
  readonly vault_migrations: VaultMigrationsTable;
}
