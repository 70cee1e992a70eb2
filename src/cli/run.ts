/**
 * From the command line's words to a subcommand and an exit code. Each subcommand's file is loaded when it is asked
 * for and not before, so `serve` does not wait for the SDK, nor a client for the gateway. Called by `main.ts`.
 */
import { ConfigError } from "../config/problem.ts";
import { findNearest } from "../lib/nearest.ts";
import { version } from "../lib/version.ts";
import {
  type Command,
  type CommandContext,
  CommandError,
  type ExitCode,
  exitCodes,
  UsageError,
} from "./command.ts";

interface Entry {
  /** Undefined = not shown in the overview. */
  readonly summary: string | undefined;
  load(): Promise<Command>;
}

export const adminNouns: Readonly<Record<string, string>> = {
  client: "the agents that may call: register, rotate and revoke tokens, end sessions",
  server: "the MCP servers behind the gateway, and virtual servers",
  policy: "roles, bindings, rules and drafts; explain a decision, replay calls",
  retention: "how long records are kept",
  revocation: "tokens of other issuers that are no longer accepted",
  audit: "search, export, follow and verify the record of every call",
  key: "the keys that people's values are sealed under: list, rotate, destroy",
  grant: "what users allowed at servers in their name; take it back",
  limit: "who is put aside for ignoring limits; let them out",
  cache: "statistics of the reply cache; purge it",
  system: "effective configuration and status; drain",
};

const entries: Readonly<Record<string, Entry>> = Object.freeze({
  demo: {
    summary: "everything on, two sample servers behind it, and a tour",
    load: async () => (await import("./demo.ts")).demo,
  },
  dev: {
    summary: "wrap one stdio server: URL, token and client snippet",
    load: async () => (await import("./dev.ts")).dev,
  },
  serve: {
    summary: "run the gateway",
    load: async () => (await import("./serve.ts")).serve,
  },
  "check-config": {
    summary: "check a configuration the way serve loads it",
    load: async () => (await import("./check-config.ts")).checkConfig,
  },
  migrate: {
    summary: "bring the database schema up to date",
    load: async () => (await import("./migrate.ts")).migrate,
  },
  token: {
    summary: "mint a token of the development issuer",
    load: async () => (await import("./token-mint.ts")).token,
  },
  bridge: {
    summary: "stdio on this side, the gateway on the other, for desktop clients",
    load: async () => (await import("./bridge.ts")).bridge,
  },
  "list-servers": {
    summary: "the servers this client may see",
    load: async () => (await import("./list-servers.ts")).listServers,
  },
  "list-tools": {
    summary: "the tools of one server, as an agent sees them",
    load: async () => (await import("./list-tools.ts")).listTools,
  },
  invoke: {
    summary: "call one tool, as an agent does",
    load: async () => (await import("./invoke.ts")).invoke,
  },
  import: {
    summary: "other gateways' policy and server files, with a report of what was not carried",
    load: async () => (await import("./import.ts")).importFile,
  },
  sample: {
    summary: undefined,
    load: async () => (await import("./samples/sample.ts")).sample,
  },
  ...Object.fromEntries(
    Object.entries(adminNouns).map(([noun, summary]) => [
      noun,
      { summary, load: async () => (await import("./admin-verbs.ts")).createAdminCommand(noun) },
    ]),
  ),
});

/** Runs `args`; resolves with the exit code and never rejects. */
export async function runCommand(
  args: readonly string[],
  context: CommandContext,
): Promise<ExitCode> {
  const { output } = context;
  const [name = "", ...rest] = args;
  if (["", "help", "--help", "-h"].includes(name)) return showOverview(context, name === "");
  if (name === "--version" || name === "version") {
    output.line(`mcp-gateway ${version}`);
    return exitCodes.done;
  }
  const entry = Object.hasOwn(entries, name) ? entries[name] : undefined;
  if (entry === undefined) {
    const nearest = findNearest(name, shownNames());
    const hint = nearest === undefined ? "see mcp-gateway --help" : `did you mean ${nearest}?`;
    output.note(`mcp-gateway: there is no command "${name}"; ${hint}`);
    return exitCodes.usage;
  }
  try {
    const command = await entry.load();
    if (asksForHelp(rest)) {
      output.line(`Usage: mcp-gateway ${name} ${command.usage}\n\n${command.help.trim()}`);
      return exitCodes.done;
    }
    return await command.run(rest, context);
  } catch (error) {
    return renderFailure(name, error, context);
  }
}

/** `--help` before any `--`, and not behind a verb: the admin nouns answer for their verbs themselves. */
function asksForHelp(args: readonly string[]): boolean {
  const own = args.includes("--") ? args.slice(0, args.indexOf("--")) : args;
  const isVerb = own[0] !== undefined && !own[0].startsWith("-");
  const hasVerbs = own.includes("--help") || own.includes("-h");
  return hasVerbs && (own.length === 1 || !isVerb || own[0] === "--help");
}

function renderFailure(name: string, error: unknown, { output }: CommandContext): ExitCode {
  if (error instanceof UsageError) {
    output.note(`mcp-gateway ${name}: ${error.message}`);
    output.note(`see mcp-gateway ${name} --help`);
    return exitCodes.usage;
  }
  if (error instanceof ConfigError) {
    for (const { where, message } of error.problems) output.note(`${where}: ${message}`);
    return exitCodes.failed;
  }
  if (error instanceof CommandError) {
    output.note(`mcp-gateway ${name}: ${error.message}`);
    return error.exitCode;
  }
  output.note(
    `mcp-gateway ${name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
  );
  return exitCodes.failed;
}

function shownNames(): readonly string[] {
  return Object.keys(entries).filter((name) => entries[name]?.summary !== undefined);
}

function showOverview({ output }: CommandContext, isMistake: boolean): ExitCode {
  const write = isMistake ? output.note : output.line;
  const width = Math.max(...shownNames().map((name) => name.length));
  write("Usage: mcp-gateway COMMAND [ARGUMENT…]\n");
  for (const name of shownNames()) {
    write(`  ${name.padEnd(width)}  ${entries[name]?.summary ?? ""}`);
  }
  write("\n--help on each tells more; --version prints the version.");
  write("Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 unreachable.");
  return isMistake ? exitCodes.usage : exitCodes.done;
}
