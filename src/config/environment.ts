/**
 * What the environment may set, as a table, and what it must not contain. Pure: `load.ts` hands it the variables.
 */
import { findNearest } from "../lib/nearest.ts";
import type { ConfigProblem } from "./problem.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

interface Override {
  readonly path: string;
  readonly type: "text" | "number";
}

export const overrides: Readonly<Record<string, Override>> = Object.freeze({
  MCP_GATEWAY_DATA_DIR: { path: "data_dir", type: "text" },
  MCP_GATEWAY_LOG_LEVEL: { path: "log.level", type: "text" },
  MCP_GATEWAY_HOST: { path: "agents.host", type: "text" },
  MCP_GATEWAY_PORT: { path: "agents.port", type: "number" },
  MCP_GATEWAY_PUBLIC_URL: { path: "agents.public_url", type: "text" },
  MCP_GATEWAY_ADMIN_HOST: { path: "admin.host", type: "text" },
  MCP_GATEWAY_ADMIN_PORT: { path: "admin.port", type: "number" },
  MCP_GATEWAY_OPS_HOST: { path: "ops.host", type: "text" },
  MCP_GATEWAY_OPS_PORT: { path: "ops.port", type: "number" },
  DATABASE_URL: { path: "database.url", type: "text" },
  DATABASE_URL_FILE: { path: "database.url_file", type: "text" },
  MCP_GATEWAY_VAULT_URL: { path: "vault.url", type: "text" },
  MCP_GATEWAY_VAULT_URL_FILE: { path: "vault.url_file", type: "text" },
  MCP_GATEWAY_WITNESS_DATABASE_URL: { path: "audit.witness_database_url", type: "text" },
  MCP_GATEWAY_WITNESS_DATABASE_URL_FILE: {
    path: "audit.witness_database_url_file",
    type: "text",
  },
  REDIS_URL: { path: "limits.redis_url", type: "text" },
  REDIS_URL_FILE: { path: "limits.redis_url_file", type: "text" },
});

/** Read by `load.ts` before the file is. */
export const chooserNames = ["MCP_GATEWAY_CONFIG", "MCP_GATEWAY_PRESET"] as const;

/** Read by the command line's clients; `serve` ignores them. */
const clientNames = ["MCP_GATEWAY_ADMIN", "MCP_GATEWAY_URL", "MCP_GATEWAY_TOKEN_FILE"] as const;

const stdioNames = ["HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER"] as const;

/** The few variables a stdio server inherits; everything else of ours stays with us. */
export function pickStdioEnvironment(environment: Environment): Readonly<Record<string, string>> {
  const picked: Record<string, string> = {};
  for (const name of stdioNames) {
    const value = environment[name];
    // A function exported by the shell looks like a value but is code.
    if (value !== undefined && !value.startsWith("()")) picked[name] = value;
  }
  return picked;
}

/** Names of ours that nobody reads: mistyped, or of another version. Blank ones count as not set. */
export function findUnknownNames(environment: Environment): readonly ConfigProblem[] {
  const known = [...Object.keys(overrides), ...chooserNames, ...clientNames];
  return Object.keys(environment)
    .filter((name) => name.startsWith("MCP_GATEWAY_") && environment[name] !== "")
    .filter((name) => !known.includes(name))
    .map((name) => {
      const nearest = findNearest(name, known);
      const hint = nearest === undefined ? "" : `; did you mean ${nearest}?`;
      return { where: name, message: `no such setting${hint}` };
    });
}

/** Common on machines behind a company's proxy, so only strict presets refuse it; elsewhere it is a warning. */
export function findExtraAuthorities(environment: Environment): readonly ConfigProblem[] {
  if ((environment.NODE_EXTRA_CA_CERTS ?? "") === "") return [];
  const message = "it adds authorities that every TLS connection believes";
  return [{ where: "NODE_EXTRA_CA_CERTS", message }];
}

/** Variables that change what the runtime trusts or executes (CF-06). */
export function findHostileNames(environment: Environment): readonly ConfigProblem[] {
  const refused: Readonly<Record<string, string>> = {
    BUN_OPTIONS: "it can load foreign code into this process",
    BUN_INSPECT: "it opens a debugger on this process",
    BUN_CONFIG_VERBOSE_FETCH: "it prints requests with their credentials",
    SSLKEYLOGFILE: "it writes the keys of every TLS connection to a file",
  };
  const problems = Object.entries(refused)
    .filter(([name]) => (environment[name] ?? "") !== "")
    .map(([name, why]) => ({ where: name, message: `refused: ${why}; unset it` }));
  if (environment.NODE_TLS_REJECT_UNAUTHORIZED === "0") {
    const message = "refused: it turns certificate checks off; unset it";
    problems.push({ where: "NODE_TLS_REJECT_UNAUTHORIZED", message });
  }
  return problems;
}
