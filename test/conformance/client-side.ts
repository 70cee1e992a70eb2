/**
 * The suite's client scenarios: the suite starts a mock server and our driver, and the driver puts the gateway between.
 * Plain scenarios run one by one, so that no other's load is in their timings.
 */
import { join } from "node:path";
import { repository } from "../support/gateway-process.ts";
import { currentProgram, readChecks, readRequirements, runSuite } from "./official-suite.ts";
import type { Stage } from "./stage.ts";
import type { Cell } from "./verdict.ts";

const driver = join(repository, "test/conformance/client-driver.ts");
const scenarioTimeoutMs = 15_000;

export const clientRevisions = ["2025-11-25", "2026-07-28"] as const;
export const clientColumn = "gateway";

export const clientSetName = (revision: string) => `client ${revision}`;

export async function runClientSet(
  revision: string,
  stage: Stage,
  folder: string,
): Promise<readonly Cell[]> {
  const { scored, unscored } = readRequirements(revision, "client");
  const cells: Cell[] = [];
  for (const scenario of [...scored, ...unscored]) {
    const output = join(folder, `${revision} ${scenario}`);
    const selection = ["--scenario", scenario, "--spec-version", revision];
    const command = `${process.execPath} ${driver}`;
    const limits = ["--timeout", String(scenarioTimeoutMs), "-o", output];
    await runSuite(currentProgram, ["client", "--command", command, ...selection, ...limits], {
      CONFORMANCE_AGENTS: stage.gateway.agents,
      CONFORMANCE_ADMIN: stage.gateway.admin,
      CONFORMANCE_ADMIN_TOKEN: stage.gateway.adminToken,
    });
    cells.push({
      set: clientSetName(revision),
      column: clientColumn,
      scenario,
      isScored: scored.includes(scenario),
      checks: readChecks(output).get(scenario),
    });
  }
  return cells;
}
