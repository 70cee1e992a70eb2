/**
 * `audit verify`: recomputes the chain of the spool's records from the files alone, with no running gateway and no
 * database. Exit code 1 and the first record that is wrong where the chain does not hold.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { verifySpool } from "../audit/verify/verify.ts";
import { readClientEnvironment } from "../config/load.ts";
import { type Command, CommandError, exitCodes } from "./command.ts";
import { needPositionals, parseFlags } from "./flags.ts";

/** Where `compose/` puts the spool below the data folder. */
const spoolFolder = "spool";

export const auditVerify: Command = {
  usage: "[--data-dir DIR] [--json]",
  help: `Verifies the audit spool offline. Records already removed from the spool are verified in the database by
audit verify-log.

  --data-dir DIR     the gateway's data folder [./data]
  --json             print the report as JSON`,
  run: async (args, { output }) => {
    const { values, positionals } = parseFlags(args, {
      "data-dir": { type: "string" },
      json: { type: "boolean" },
    });
    needPositionals(positionals, []);
    const dataDir = values["data-dir"] ?? readClientEnvironment().dataDir ?? "./data";
    const folder = join(dataDir, spoolFolder);
    if (!existsSync(folder)) throw new CommandError(`there is no audit spool at ${folder}`);
    const report = verifySpool(folder);
    if (values.json) output.json(report);
    else {
      output.line(`log      ${report.logId === "" ? "(empty)" : report.logId}`);
      output.line(`records  ${report.records}, the last is ${report.lastSeq}`);
      output.line(`chain    ${report.ok ? "holds" : "is broken"}`);
      const { violation } = report;
      if (violation) output.line(`         record ${violation.seq}: ${violation.message}`);
    }
    return report.ok ? exitCodes.done : exitCodes.failed;
  },
};
