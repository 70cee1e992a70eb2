/**
 * `token mint`: a token of the development issuer (A12), made from its key in the data folder without a running
 * gateway. The configuration decides: where the issuer is off, or a strict preset is on, there is none.
 */
import { loadConfig } from "../config/load.ts";
import { openDevIssuer } from "../identity/dev-issuer.ts";
import { systemClock } from "../lib/clock.ts";
import { type Command, CommandError, exitCodes, UsageError } from "./command.ts";
import { needPositionals, parseFlags, parseWholeNumber } from "./flags.ts";
import { toConfigRequest } from "./serve-flags.ts";

const secondsMax = 86_400;

export const tokenMint: Command = {
  usage: "--user NAME [--role NAME…] [FLAG…]",
  help: `Prints a token for trying things out, signed by the development issuer. The configuration must have
identity.dev_issuer.enabled; production, high_security and gdpr_focused refuse it.

  --user NAME            the token's subject
  --role NAME            a role; may be repeated
  --workspace NAME       its workspace
  --api-version NAME     its api_version
  --seconds N            how long it lives, at most ${secondsMax} [30 minutes]
  --config FILE          the gateway's configuration
  --preset NAME          the gateway's preset
  --data-dir DIR         the gateway's data folder
  --json                 print the token with its lifetime`,
  run: async (args, { output }) => {
    const { values, positionals } = parseFlags(args, {
      user: { type: "string" },
      role: { type: "string", multiple: true },
      workspace: { type: "string" },
      "api-version": { type: "string" },
      seconds: { type: "string" },
      config: { type: "string" },
      preset: { type: "string" },
      "data-dir": { type: "string" },
      json: { type: "boolean" },
    });
    needPositionals(positionals, []);
    if (!values.user) throw new UsageError("missing --user NAME");
    const seconds = parseWholeNumber("--seconds", values.seconds, 1);
    if (seconds !== undefined && seconds > secondsMax) {
      throw new UsageError(`--seconds is at most ${secondsMax}`);
    }
    const { dataDir, identity } = loadConfig(toConfigRequest(values));
    const { enabled, issuer, audience, tokenMinutes } = identity.devIssuer;
    if (!enabled) {
      throw new CommandError("identity.dev_issuer.enabled is off: nobody would believe the token");
    }
    const settings = { dataDir, issuer, audience, tokenMinutes, clock: systemClock };
    const minted = await (await openDevIssuer(settings)).mint({
      userId: values.user,
      roles: values.role ?? [],
      workspace: values.workspace,
      apiVersion: values["api-version"],
      expiresInSeconds: seconds,
    });
    if (values.json) output.json({ token: minted.token, expires_in: minted.expiresInSeconds });
    else output.line(minted.token);
    return exitCodes.done;
  },
};
