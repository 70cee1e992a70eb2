/**
 * The flags that `serve`, `check-config` and `migrate` share, and how they become a request to the configuration.
 */
import type { ConfigRequest, FlagValues } from "../config/load.ts";
import { parseWholeNumber } from "./flags.ts";

export const configFlags = {
  config: { type: "string" },
  preset: { type: "string" },
  "data-dir": { type: "string" },
  host: { type: "string" },
  port: { type: "string" },
  "admin-port": { type: "string" },
  "ops-port": { type: "string" },
} as const;

export const configFlagsHelp = `
  --config FILE      YAML file; see config/gateway.yaml for every key
  --preset NAME      development, production, high_security or gdpr_focused
  --data-dir DIR     state: audit spool, embedded database, keys, admin.token
  --host HOST        address of the agents' listener
  --port N           port of the agents' listener; 0 asks for a free one
  --admin-port N     port of the gRPC admin plane
  --ops-port N       port of health and metrics`;

type ConfigFlagValues = { readonly [Name in keyof typeof configFlags]?: string | undefined };

/** Puts the flags that were given at their places in the configuration. */
export function toConfigRequest(values: ConfigFlagValues): ConfigRequest {
  const placed: Record<string, string | number | undefined> = {
    data_dir: values["data-dir"],
    "agents.host": values.host,
    "agents.port": parseWholeNumber("--port", values.port, 0),
    "admin.port": parseWholeNumber("--admin-port", values["admin-port"], 0),
    "ops.port": parseWholeNumber("--ops-port", values["ops-port"], 0),
  };
  const flagNames: Readonly<Record<string, string>> = {
    data_dir: "--data-dir",
    "agents.host": "--host",
    "agents.port": "--port",
    "admin.port": "--admin-port",
    "ops.port": "--ops-port",
  };
  const flags: Record<string, FlagValues[string]> = {};
  for (const [path, value] of Object.entries(placed)) {
    if (value !== undefined) flags[path] = { flag: flagNames[path] ?? path, value };
  }
  return { file: values.config, preset: values.preset, flags };
}
