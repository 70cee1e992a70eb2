/**
 * `migrate`: brings the database's schema up to date, forward only, under a lock. `serve` refuses a PostgreSQL schema
 * it does not fit, so deployments run this first.
 */
import { loadConfig } from "../config/load.ts";
import { systemClock } from "../lib/clock.ts";
import { createLog } from "../telemetry/log.ts";
import { type Command, CommandError, exitCodes, messageOf } from "./command.ts";
import { needPositionals, parseFlags } from "./flags.ts";
import { configFlags, configFlagsHelp, toConfigRequest } from "./serve-flags.ts";

export const migrate: Command = {
  usage: "[--config FILE] [--data-dir DIR]",
  help: `Brings the schema of the configured database up to date. Safe to run twice and from several machines.
${configFlagsHelp}`,
  run: async (args, { output }) => {
    const { values, positionals } = parseFlags(args, configFlags);
    needPositionals(positionals, []);
    const config = loadConfig(toConfigRequest(values));
    const { openStore } = await import("../storage/open-store.ts");
    try {
      const store = await openStore({
        databaseUrl: config.database.url?.reveal(),
        dataDir: config.dataDir,
        log: createLog(config.log.level, systemClock, (line) => output.note(line.trimEnd())),
        deadlineMs: config.database.deadlineMs,
        migrate: true,
      });
      await store.close();
    } catch (error) {
      throw new CommandError(`the schema could not be migrated: ${messageOf(error)}`);
    }
    output.note("the schema is up to date");
    return exitCodes.done;
  },
};
