/**
 * An empty folder that goes away with its test: `await using folder = temporaryFolder()`.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface TemporaryFolder extends AsyncDisposable {
  readonly path: string;
}

export function temporaryFolder(name = "test"): TemporaryFolder {
  const path = mkdtempSync(join(tmpdir(), `mcp-gateway-${name}-`));
  return {
    path,
    async [Symbol.asyncDispose]() {
      rmSync(path, { recursive: true, force: true });
    },
  };
}
