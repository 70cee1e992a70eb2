/**
 * `serve`: runs the gateway until it is told to stop, then drains. Prints one JSON line when every listener is bound;
 * whoever started it reads the real addresses there.
 */
import type { Gateway } from "../compose/start-gateway.ts";
import { loadConfig } from "../config/load.ts";
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

export const serve: Command = {
  usage: "[--config FILE] [--preset NAME] [--data-dir DIR] [FLAG…]",
  help: `Runs the gateway. Prints one JSON line, {"event":"listening",…}, when it accepts connections.
SIGTERM and SIGINT let running calls finish, up to drain.timeout_seconds; a second signal ends it at once.
${configFlagsHelp}
  --workers N        processes sharing the port; this version runs 1`,
  run: async (args, { output, stop }) => {
    const flags = { ...configFlags, workers: { type: "string" } } as const;
    const { values, positionals } = parseFlags(args, flags);
    needPositionals(positionals, []);
    if ((parseWholeNumber("--workers", values.workers, 1) ?? 1) > 1) {
      throw new UsageError("--workers: this version runs one process; leave the flag out");
    }
    const config = loadConfig(toConfigRequest(values));
    const { startGateway } = await import("../compose/start-gateway.ts");
    const gateway = await startGateway(config).catch((error: unknown) => {
      throw new CommandError(messageOf(error), exitCodes.failed, { cause: error });
    });
    output.json({ event: "listening", ...gateway.addresses });
    await untilStopped(stop);
    await drainAndClose(gateway, config.drain.timeoutSeconds * 1000);
    return exitCodes.done;
  },
};

/** Lets running calls finish, for so long and no longer, and closes. */
export async function drainAndClose(gateway: Gateway, timeoutMs: number): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, timeoutMs);
  await Promise.race([gateway.drain(), late.promise]);
  clearTimeout(timer);
  await gateway.close();
}
