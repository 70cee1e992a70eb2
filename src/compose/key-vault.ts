/**
 * Opens the key vault where the configuration says it is: this node's file, or a PostgreSQL that nodes share. Called
 * by `parts.ts`.
 */
import { join } from "node:path";
import type { Config } from "../config/config.ts";
import { loadKey } from "../identity/key-file.ts";
import type { Clock } from "../lib/clock.ts";
import { openVaultStore } from "../storage/vault-store.ts";
import type { Log } from "../telemetry/log.ts";
import { openVault, type Vault } from "../vault/vault.ts";

/** How long a start waits for a vault that is not there yet. */
const vaultWaitMs = 15_000;

/** What of the configuration says where the vault is. */
export type VaultPlace = Pick<Config, "dataDir" | "vault"> & {
  readonly database: Pick<Config["database"], "deadlineMs">;
};

export async function openKeyVault(
  config: VaultPlace,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): Promise<Vault> {
  const { url, keyFile } = config.vault;
  const store = await openVaultStore({
    url: url?.reveal(),
    dataDir: config.dataDir,
    log,
    deadlineMs: config.database.deadlineMs,
    waitMs: vaultWaitMs,
  });
  try {
    const rootPath = keyFile ?? join(config.dataDir, "vault.key");
    const root = await loadKey(rootPath, keyFile === undefined ? "private" : undefined);
    return await openVault({ store, root, rootPath, clock });
  } catch (error) {
    await store.close();
    throw error;
  }
}
