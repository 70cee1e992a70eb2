/**
 * This node as a witness of other nodes' logs: its key, and where they bring their checkpoints. `start-gateway.ts` has
 * the ops listener serve it; how this node's own log is witnessed is in `witnessing.ts`.
 */
import { join } from "node:path";
import { parseVerifierKey, renderVerifierKey } from "../audit/evidence/keys.ts";
import { createAddCheckpoint } from "../audit/witness/add-checkpoint.ts";
import { loadWitnessKey } from "../audit/witness/witness-key.ts";
import { createWitnessedLogs } from "../audit/witness/witnessed-logs.ts";
import type { OpsServerOptions } from "../telemetry/ops-server.ts";
import type { Parts } from "./parts.ts";

/** What the ops listener serves of it; nothing where this node witnesses nobody. */
export async function createWitnessService({
  config,
  clock,
  log,
  metrics,
}: Parts): Promise<Pick<OpsServerOptions, "texts" | "posts">> {
  const { audit, dataDir } = config;
  if (audit.witnessFor.length === 0) return {};
  const keys = audit.witnessFor.map((text) => parseVerifierKey(text));
  const key = await loadWitnessKey(dataDir);
  const verifierKey = renderVerifierKey(key.verifier);
  log.info("audit.witnessing", { logs: keys.length, key: verifierKey });
  const addCheckpoint = createAddCheckpoint({
    logs: Map.groupBy(keys, ({ name }) => name),
    key,
    witnessed: createWitnessedLogs(join(dataDir, "witnessed")),
    clock,
    lied: (found) => {
      log.error("audit.witnessed_log_lied", { ...found });
      metrics.count("mcp_gateway_audit_witness_lies_total");
    },
  });
  return {
    texts: { "/witness-key": `${verifierKey}\n` },
    posts: { "/add-checkpoint": addCheckpoint },
  };
}
