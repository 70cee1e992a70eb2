/**
 * SystemService: the configuration in force, how the gateway is, and draining it.
 */
import type { AuditLogStatus } from "../../audit/record.ts";
import type { SystemService } from "../../gen/types.ts";
import type { CurrentSnapshot } from "../../state/snapshot.ts";
import type { Caller } from "../caller.ts";

export interface GatewayStatus {
  readonly version: string;
  readonly startedAtMs: number;
  readonly ready: boolean;
  readonly draining: boolean;
  readonly connections: number;
  readonly sessions: number;
  readonly inFlight: number;
  readonly store: "postgres" | "sqlite";
}

export interface SystemServiceDeps {
  readonly current: CurrentSnapshot;
  /** The configuration as a JSON value, secrets already removed. */
  readonly effectiveConfig: () => object;
  readonly gatewayStatus: () => Promise<GatewayStatus> | GatewayStatus;
  readonly auditStatus: () => AuditLogStatus;
  /** Starts draining and returns: the answer still has to go out. */
  readonly drain: () => void;
}

export function createSystemService(deps: SystemServiceDeps): SystemService<Caller> {
  return {
    getConfig: async () => ({ config_json: JSON.stringify(deps.effectiveConfig()) }),
    async getStatus() {
      const { startedAtMs, inFlight, ...same } = await deps.gatewayStatus();
      return {
        ...same,
        started_at_ms: startedAtMs,
        in_flight: inFlight,
        audit: fromAuditStatus(deps.auditStatus()),
        state_revision: deps.current.get().stateRevision,
      };
    },
    async drain({ validate_only }) {
      if (!validate_only) deps.drain();
      return {};
    },
  };
}

function fromAuditStatus(status: AuditLogStatus) {
  return {
    log_id: status.logId,
    synced_seq: status.syncedSeq,
    shipped_seq: status.shippedSeq,
    spool_bytes: status.spoolBytes,
    writable: status.writable,
    dropped: status.dropped,
  };
}
