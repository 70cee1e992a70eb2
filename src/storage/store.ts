/**
 * The one interface to the database; PostgreSQL and SQLite implement it through the same SQL. Plain values in and
 * out: no kysely, pg or sqlite type crosses it. Every method rejects with a `StoreError` and ends by its own
 * deadline, so a frozen database is an error and never a hang.
 */
export class StoreError extends Error {
  readonly kind: "conflict" | "unavailable" | "corrupt";

  constructor(kind: StoreError["kind"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "StoreError";
    this.kind = kind;
  }
}

/** One object an operator manages. `body` is JSON; its shape belongs to `state/resources.ts`. */
export interface StoredResource {
  readonly kind: string;
  /** Part of the key where names are unique within a tenant; undefined = of no tenant. */
  readonly tenant?: string | undefined;
  readonly name: string;
  readonly body: unknown;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  /** The state revision of the write that last touched it. */
  readonly stateRevision: number;
}

/** A resource is found by kind, tenant and name: three values compared whole, never joined to one text (AZ-17). */
export type ResourceKey = Pick<StoredResource, "kind" | "tenant" | "name">;

export type ResourceChange =
  | (ResourceKey & { readonly body: unknown })
  | (ResourceKey & { readonly delete: true });

export interface ResourceStore {
  /** Everything, as of one state revision. */
  load(): Promise<{
    readonly stateRevision: number;
    readonly resources: readonly StoredResource[];
  }>;
  /** The newest state revision, without what it holds. */
  revision(): Promise<number>;
  /**
   * Applies all changes or none and returns the new state revision. Rejects with kind "conflict" where the
   * current revision is not `expectedRevision`.
   */
  write(
    changes: readonly ResourceChange[],
    expectedRevision: number,
    nowMs: number,
  ): Promise<number>;
  /** Calls back when another process wrote (LISTEN/NOTIFY on PostgreSQL; never on SQLite). Returns a stop function. */
  watch(changed: (stateRevision: number) => void): () => void;
}

/** A row of the audit copy: the record's bytes, its place in the chain, and columns to search by. */
export interface AuditRow {
  readonly logId: string;
  readonly seq: number;
  /** Hex SHA-256 of 0x00 followed by the envelope bytes. Kept for ever, so the chain still verifies. */
  readonly leaf: string;
  /** The hashed envelope as JSON text; null once retention deleted the record. */
  readonly envelope: string | null;
  /** The sealed, deletable part as JSON text: everything personal; null once deleted or erased. */
  readonly details: string | null;
  readonly timeMs: number;
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
  readonly correlationId: string | null;
  readonly dataClass: string | null;
  readonly tenant: string | null;
}

/** Principal, client and session stand in the copy as tokens (`audit/tokens.ts`): any of those given. */
export interface AuditFilter {
  readonly principal?: string | readonly string[];
  readonly client?: string | readonly string[];
  readonly tool?: string;
  readonly server?: string;
  readonly scope?: string;
  readonly event?: string;
  readonly status?: string;
  readonly decision?: string;
  readonly session?: string | readonly string[];
  readonly correlationId?: string;
  readonly dataClass?: string;
  readonly tenant?: string;
  /** Inclusive. */
  readonly fromMs?: number;
  /** Exclusive. */
  readonly untilMs?: number;
}

/** A record's place in the chains, and in time where pages go by time. */
export interface AuditPlace {
  readonly logId: string;
  readonly seq: number;
  readonly timeMs?: number;
}

export interface AuditPage {
  readonly rows: readonly AuditRow[];
  /** Position to continue from; undefined = the end. */
  readonly next: AuditPlace | undefined;
}

export interface AuditScan {
  readonly filter: AuditFilter;
  readonly after?: AuditPlace;
  readonly limit: number;
  readonly order: "ascending" | "descending";
  /** Only by place: pruned rows are found by nothing but their place, time and event. */
  readonly includePruned?: boolean;
  /**
   * place: by log and number, logs in the order in which their first rows came. time: by time over all logs, and a
   * page may hold fewer rows than asked for, even none, with `next` saying where the search goes on. By default place.
   */
  readonly by?: "place" | "time";
}

export type SummaryColumn = "event" | "server" | "tool" | "decision" | "status";

export interface AuditSummaryQuery {
  readonly filter: AuditFilter;
  readonly by: readonly SummaryColumn[];
  readonly rowsMax: number;
  readonly groupsMax: number;
}

export interface AuditSummary {
  readonly groups: readonly (Readonly<Partial<Record<SummaryColumn, string | null>>> & {
    readonly records: number;
    readonly firstTimeMs: number;
    readonly lastTimeMs: number;
  })[];
  /** False where more rows matched than were counted. */
  readonly isComplete: boolean;
}

/** Rows sealed under keys, and where to look for them: the keys' ids have no index of their own. */
export interface SealedQuery {
  readonly keys: readonly string[];
  /** Which of a row's two keys is meant. */
  readonly of: "subject" | "class";
  /** Tokens the rows stand under in their column `principal`; undefined = look at all rows. */
  readonly principals?: readonly string[];
  /** Inclusive and exclusive. */
  readonly fromMs?: number;
  readonly untilMs?: number;
  /** Rows of these logs are left out. */
  readonly exceptLogs?: readonly string[];
}

export interface SealedRow extends AuditPlace {
  readonly leaf: string;
  readonly timeMs: number;
}

export interface AuditStore {
  /** Inserts rows; one already there with the same leaf is skipped, with another leaf it is kind "corrupt" (a fork). */
  append(rows: readonly AuditRow[]): Promise<void>;
  /** The highest row of a log, or undefined for an empty one. */
  head(logId: string): Promise<{ readonly seq: number; readonly leaf: string } | undefined>;
  /** Rows in order, pruned ones only when asked. Nothing follows a place in a log that is not there. */
  scan(query: AuditScan): Promise<AuditPage>;
  /** Counts live rows by these columns: of the newest that match, at most `rowsMax`; the largest groups first. */
  summarize(query: AuditSummaryQuery): Promise<AuditSummary>;
  /** Live rows matching, for retention: oldest first, at most `limit`. */
  prunable(query: {
    readonly filter: AuditFilter;
    readonly exclude: readonly AuditFilter[];
    readonly limit: number;
  }): Promise<
    readonly {
      readonly logId: string;
      readonly seq: number;
      readonly leaf: string;
      readonly durability: string;
    }[]
  >;
  countPrunable(query: {
    readonly filter: AuditFilter;
    readonly exclude: readonly AuditFilter[];
  }): Promise<number>;
  /** Rows whose sealed part can be opened with one of these keys, the oldest first, at most `limit`. */
  sealed(query: SealedQuery & { readonly limit: number }): Promise<readonly SealedRow[]>;
  countSealed(query: SealedQuery): Promise<number>;
  /** The time of the oldest row that stands under search tokens; undefined where none does. */
  oldestTokenMs(): Promise<number | undefined>;
  /** Removes the sealed part of these rows and what they are searched by of it. Returns how many had one. */
  erase(rows: readonly { readonly logId: string; readonly seq: number }[]): Promise<number>;
  /** Puts these rows where others, or none, stand under their numbers: for healing what somebody changed (ST-06). */
  replace(rows: readonly AuditRow[]): Promise<void>;
  /** Removes envelope, details and search columns of the rows; log id, seq and leaf stay. Returns how many were live. */
  prune(rows: readonly { readonly logId: string; readonly seq: number }[]): Promise<number>;
}

/** A checkpoint of a log, as a witness keeps it. */
export interface StoredCheckpoint {
  readonly logId: string;
  /** Records it covers. */
  readonly size: number;
  /** Hex. */
  readonly root: string;
  /** The signed note. */
  readonly note: string;
}

/** Grows only: a checkpoint that does not extend the last one of its log is refused. */
export interface CheckpointStore {
  /** The largest one of a log. */
  last(logId: string): Promise<StoredCheckpoint | undefined>;
  add(checkpoint: StoredCheckpoint, nowMs: number): Promise<void>;
}

/** When something was last used, by any node. Written apart from the state: it changes all the time. */
export interface UseStore {
  /** Later times win, whoever writes them. */
  note(uses: readonly Use[]): Promise<void>;
  /** Those of these names that were ever used. */
  read(names: readonly string[]): Promise<readonly Use[]>;
  /** The names unused since `untilMs`, in their order: at most `limit` after `after`. */
  unused(untilMs: number, limit: number, after: string): Promise<readonly string[]>;
  forget(names: readonly string[]): Promise<void>;
}

export interface Use {
  /** Such as `token:<id>`. */
  readonly name: string;
  readonly usedAtMs: number;
}

/** What a user allowed: bodies are sealed by whoever writes them, and no column says whose they are. */
export interface StoredGrant {
  /** A digest of whose it is. */
  readonly id: string;
  readonly tenant: string | undefined;
  readonly server: string;
  readonly body: string;
  /** Up by one with each write; 0 = not stored yet. */
  readonly version: number;
  readonly updatedAtMs: number;
}

export interface GrantStore {
  read(id: string): Promise<StoredGrant | undefined>;
  /** Writes over version `grant.version`, 0 for a new one. False where another version is there, or none. */
  write(grant: StoredGrant): Promise<boolean>;
  /** Whether there was one. With `version`, only that version goes. */
  remove(id: string, version?: number): Promise<boolean>;
  /** By id, after `after`. */
  list(query: {
    readonly tenant?: string | undefined;
    readonly server?: string | undefined;
    readonly after?: string | undefined;
    readonly limit: number;
  }): Promise<readonly StoredGrant[]>;
}

/** Steps of something that goes on in a browser: each is there for a while, and is taken once, on whichever node. */
export interface PassStore {
  /** Also forgets what has expired. */
  put(pass: {
    readonly id: string;
    readonly body: string;
    readonly nowMs: number;
    readonly untilMs: number;
  }): Promise<void>;
  read(id: string, nowMs: number): Promise<string | undefined>;
  /** Reads and removes in one step: of several who ask, one gets it. */
  take(id: string, nowMs: number): Promise<string | undefined>;
}

export interface Store {
  readonly resources: ResourceStore;
  readonly audit: AuditStore;
  readonly checkpoints: CheckpointStore;
  readonly uses: UseStore;
  readonly grants: GrantStore;
  readonly passes: PassStore;
  /** Runs `work` while holding a named lock across processes; resolves undefined where another holds it. */
  exclusively<T>(name: string, work: () => Promise<T>): Promise<T | undefined>;
  /** Round trip to the database, for readiness. */
  ping(): Promise<void>;
  /** "postgres" or "sqlite", and what to show an operator (no credentials). */
  readonly description: { readonly kind: "postgres" | "sqlite"; readonly location: string };
  close(): Promise<void>;
}
