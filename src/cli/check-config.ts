/**
 * `check-config`: the same loading path as `serve`, and then the settings that differ from the defaults. Refusals come
 * out of `loadConfig` with their lines.
 */
import { checkIssuers } from "../compose/token-issuers.ts";
import { loadConfig } from "../config/load.ts";
import { type Command, exitCodes } from "./command.ts";
import { needPositionals, parseFlags } from "./flags.ts";
import { clean } from "./output.ts";
import { configFlags, configFlagsHelp, toConfigRequest } from "./serve-flags.ts";

export const checkConfig: Command = {
  usage: "[--config FILE] [--preset NAME] [FLAG…] [--json | --print-defaults]",
  help: `Loads the configuration as serve would and prints what differs from the defaults. Exit code 1 and the
lines at fault where serve would refuse it.
${configFlagsHelp}
  --json             print the whole effective configuration, secrets removed
  --print-defaults   print a file with every key, its default and what it means`,
  run: async (args, { output }) => {
    const { values, positionals } = parseFlags(args, {
      ...configFlags,
      json: { type: "boolean" },
      "print-defaults": { type: "boolean" },
    });
    needPositionals(positionals, []);
    if (values["print-defaults"]) {
      const { renderCommentedYaml } = await import("../config/describe.ts");
      output.line(renderCommentedYaml().trimEnd());
      return exitCodes.done;
    }
    const config = loadConfig(toConfigRequest(values));
    // What only the verifier knows to be wrong with an issuer; it asks nobody yet.
    checkIssuers(config);
    const { stdioEnvironment, warnings, ...settings } = config;
    if (values.json) {
      output.json({ ...settings, warnings });
      return exitCodes.done;
    }
    const defaults = flatten(loadConfig({}, {}));
    for (const [path, value] of flatten(settings)) {
      if (defaults.get(path) !== value) output.line(`${path} = ${clean(value)}`);
    }
    for (const warning of warnings) output.note(`warning: ${clean(warning)}`);
    output.note("the configuration is valid");
    return exitCodes.done;
  },
};

/** Leaves by path; lists count as leaves, printed as JSON (so secrets print as [redacted]). */
function flatten(value: unknown, path = ""): ReadonlyMap<string, string> {
  const isSection =
    typeof value === "object" && value !== null && !Array.isArray(value) && !("reveal" in value);
  if (!isSection) return new Map(value === undefined ? [] : [[path, JSON.stringify(value)]]);
  return new Map(
    Object.entries(value).flatMap(([key, inner]) => [
      ...flatten(inner, path === "" ? key : `${path}.${key}`),
    ]),
  );
}
