/**
 * What `sql-store.ts` gives both halves of the store: their bounds, and the guard their operations run in.
 */
export interface SqlStoreLimits {
  /** Rows written by one statement. PostgreSQL takes 65,535 parameters in one, SQLite 32,766. */
  readonly rowsPerStatementMax: number;
  /** Rows written by one transaction: a commit costs as much as hundreds of rows, and must end by the deadline. */
  readonly rowsPerTransactionMax: number;
  /** Rows returned by one scan; callers continue with `next`. */
  readonly scanRowsMax: number;
  /** Rows that one scan by time holds against a filter. */
  readonly examinedRowsMax: number;
}

export const defaultSqlStoreLimits: SqlStoreLimits = {
  rowsPerStatementMax: 512,
  rowsPerTransactionMax: 2048,
  scanRowsMax: 10_000,
  examinedRowsMax: 1_500,
};

/** Runs one operation; whatever it throws becomes a `StoreError`. */
export type Guard = <T>(work: () => Promise<T>) => Promise<T>;
