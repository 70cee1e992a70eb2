/**
 * The suite's client scenarios: the suite starts a mock server and our driver, and the driver puts the gateway between.
 * Scenarios with timings of their own run one by one; those of OAuth have none and run beside each other.
 */
import { join } from "node:path";
import { repository } from "../support/gateway-process.ts";
import {
  type Check,
  currentProgram,
  readChecks,
  readRequirements,
  runSuite,
} from "./official-suite.ts";
import type { Stage } from "./stage.ts";
import type { Cell } from "./verdict.ts";

const driver = join(repository, "test/conformance/client-driver.ts");
const scenarioTimeoutMs = 60_000;
const authorizationAtOnce = 3;

/** Of the extensions, those that need no user. */
const extensionScenarios = ["auth/client-credentials-jwt", "auth/client-credentials-basic"];

export const clientRevisions = ["2025-11-25", "2026-07-28"] as const;
export const clientColumn = "gateway";

export const clientSetName = (revision: string) => `client ${revision}`;

export async function runClientSet(
  revision: string,
  stage: Stage,
  folder: string,
): Promise<readonly Cell[]> {
  const { scored, unscored } = readRequirements(revision, "client");
  const cells = new Map<string, Cell>();
  const runFrom = async (waiting: string[]) => {
    for (let scenario = waiting.shift(); scenario !== undefined; scenario = waiting.shift()) {
      cells.set(scenario, {
        set: clientSetName(revision),
        column: clientColumn,
        scenario,
        isScored: scored.includes(scenario),
        checks: await runScenario(revision, scenario, stage, folder),
      });
    }
  };
  const scenarios = [...scored, ...unscored, ...extensionScenarios];
  const isAuthorization = (scenario: string) => scenario.startsWith("auth/");
  await runFrom(scenarios.filter((scenario) => !isAuthorization(scenario)));
  const waiting = scenarios.filter(isAuthorization);
  await Promise.all(Array.from({ length: authorizationAtOnce }, () => runFrom(waiting)));
  return scenarios.map((scenario) => cells.get(scenario)!);
}

async function runScenario(
  revision: string,
  scenario: string,
  { gateway }: Stage,
  folder: string,
): Promise<readonly Check[] | undefined> {
  const output = join(folder, `${revision} ${scenario}`);
  // An extension is on no revision's list; the suite runs it all the same.
  const force = extensionScenarios.includes(scenario) ? ["--force"] : [];
  const selection = ["--scenario", scenario, "--spec-version", revision, ...force];
  const command = `${process.execPath} ${driver}`;
  const limits = ["--timeout", String(scenarioTimeoutMs), "-o", output];
  await runSuite(currentProgram, ["client", "--command", command, ...selection, ...limits], {
    CONFORMANCE_AGENTS: gateway.agents,
    CONFORMANCE_ADMIN: gateway.admin,
    CONFORMANCE_ADMIN_TOKEN: gateway.adminToken,
  });
  return readChecks(output).get(scenario);
}
