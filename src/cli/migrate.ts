/**
 * `migrate`: brings the database's schema up to date, forward only, under a lock. A start does so by itself where it is
 * soon done; with many audit records to move it refuses and asks for this command, which has its own, long deadline.
 */
import { loadConfig } from "../config/load.ts";
import { systemClock } from "../lib/clock.ts";
import { createLog } from "../telemetry/log.ts";
import {
  type Command,
  CommandError,
  exitCodes,
  messageOf,
  UsageError,
  untilStopped,
} from "./command.ts";
import { needPositionals, parseFlags, parseWholeNumber } from "./flags.ts";
import { configFlags, configFlagsHelp, toConfigRequest } from "./serve-flags.ts";

const deadlineFlag = "--deadline-hours";
const defaultHours = 24;
/** A week. What takes longer hangs. */
const hoursMax = 168;
const hourMs = 3_600_000;

export const migrate: Command = {
  usage: "[--config FILE] [--data-dir DIR] [--deadline-hours N]",
  help: `Brings the schema of the configured database up to date, whatever it holds. Safe to run twice and from several
machines. All or nothing: what a signal or the deadline ends is rolled back.
${configFlagsHelp}
  --deadline-hours N longest it may take, ${defaultHours} by default, at most ${hoursMax}`,
  run: async (args, { output, stop }) => {
    const flags = { ...configFlags, "deadline-hours": { type: "string" } } as const;
    const { values, positionals } = parseFlags(args, flags);
    needPositionals(positionals, []);
    const hours = parseWholeNumber(deadlineFlag, values["deadline-hours"], 1) ?? defaultHours;
    if (hours > hoursMax) throw new UsageError(`${deadlineFlag} is at most ${hoursMax}`);
    const config = loadConfig(toConfigRequest(values));
    const { openStore } = await import("../storage/open-store.ts");
    const migrating = openStore({
      databaseUrl: config.database.url?.reveal(),
      dataDir: config.dataDir,
      log: createLog(config.log.level, systemClock, (line) => output.note(line.trimEnd())),
      deadlineMs: config.database.deadlineMs,
      migrate: true,
      migration: { deadlineMs: hours * hourMs, recordsMax: Number.POSITIVE_INFINITY },
    }).then((store) => store.close());
    try {
      const end = await Promise.race([
        migrating.then(() => "migrated" as const),
        untilStopped(stop).then(() => "stopped" as const),
      ]);
      if (end === "stopped") throw new Error("stopped by a signal; nothing was changed");
    } catch (error) {
      throw new CommandError(`the schema could not be migrated: ${messageOf(error)}`);
    }
    output.note("the schema is up to date");
    return exitCodes.done;
  },
};
