/**
 * The audit log where it is switched off by `audit.enabled: false`: takes every record and keeps none. It is there to
 * measure the real one against, strict presets refuse it, and it says so at each start. Opened by `compose/parts.ts`.
 */
import type { Log } from "../telemetry/log.ts";
import type { OpenAuditLog } from "./log.ts";

export function openNoAuditLog(log: Log): OpenAuditLog {
  log.error("audit.off", { warning: "nothing that happens is recorded (audit.enabled: false)" });
  const ref = { logId: "", seq: 0 };
  return {
    off: true,
    evidence: undefined,
    caughtUp: async () => {},
    shred: async () => 0,
    sealedUnder: async (_keys, { untilSeq }) => ({ found: [], seq: untilSeq }),
    died: new Promise(() => {}),
    append: async () => ref,
    flush: async () => {},
    tail: () => () => {},
    status: () => ({
      logId: "",
      syncedSeq: 0,
      shippedSeq: 0,
      spoolBytes: 0,
      writable: true,
      dropped: 0,
    }),
    close: async () => {
      log.error("audit.off", { warning: "nothing that happened was recorded" });
    },
  };
}
