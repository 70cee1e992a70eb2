/**
 * `client|server|policy|…  VERB`: the admin plane from the shell. Verbs, flags and help come from the descriptor, so
 * every RPC has a verb. `audit verify` and `audit key` work offline and are handled before the descriptor is asked.
 */
import { readFileSync } from "node:fs";
import { readClientEnvironment } from "../config/load.ts";
import { findNearest } from "../lib/nearest.ts";
import { type AdminClient, type AdminClientOptions, createAdminClient } from "./admin-client.ts";
import {
  type Command,
  type CommandContext,
  CommandError,
  type ExitCode,
  exitCodes,
  messageOf,
  UsageError,
} from "./command.ts";
import { listRpcs, type Rpc } from "./descriptor.ts";
import { renderMessage } from "./render-message.ts";
import { renderReplayProgress, renderReplayReport } from "./replay-report.ts";
import { checkRequest } from "./request-check.ts";
import { buildRequest, describeFlags, parseJson, type WrittenFlag } from "./request-fields.ts";

const commonFlags = [
  ...["admin", "token-file", "data-dir", "params", "params-file"],
  ...["ca-file", "certificate-file", "key-file"],
] as const;
type CommonFlag = (typeof commonFlags)[number];

interface VerbArguments {
  readonly common: Partial<Record<CommonFlag, string>>;
  readonly isJson: boolean;
  readonly flags: readonly WrittenFlag[];
  readonly bare: string | undefined;
}

/** The command of one noun. */
export function createAdminCommand(noun: string): Command {
  const rpcs = listRpcs(noun);
  return {
    usage: "VERB [NAME] [--FIELD VALUE…]",
    help: describeNoun(noun, rpcs),
    run: async (args, context) => {
      const [verb = "", ...rest] = args;
      const offline = offlineVerbsOf(noun).get(verb);
      if (offline !== undefined) return await runOffline(verb, await offline(), rest, context);
      const rpc = rpcs.find((one) => one.verb === verb || one.longVerb === verb);
      if (rpc === undefined) throw new UsageError(adviseVerb(noun, verb, rpcs));
      if (rest.includes("--help") || rest.includes("-h")) {
        context.output.line(describeVerb(noun, rpc));
        return exitCodes.done;
      }
      return await runVerb(rpc, parseVerbArguments(rest), context);
    },
  };
}

type OfflineVerbs = ReadonlyMap<string, () => Promise<Command>>;

/** The verbs without an RPC: they must work where no gateway runs. */
const offlineAuditVerbs: OfflineVerbs = new Map([
  ["key", async () => (await import("./audit-key.ts")).auditKey],
  ["verify", async () => (await import("./audit-verify.ts")).auditVerify],
]);
const noVerbs: OfflineVerbs = new Map();

function offlineVerbsOf(noun: string): OfflineVerbs {
  return noun === "audit" ? offlineAuditVerbs : noVerbs;
}

async function runOffline(
  verb: string,
  command: Command,
  args: readonly string[],
  context: CommandContext,
): Promise<ExitCode> {
  if (!args.includes("--help")) return await command.run(args, context);
  context.output.line(`Usage: mcp-gateway audit ${verb} ${command.usage}\n\n${command.help}`);
  return exitCodes.done;
}

async function runVerb(
  rpc: Rpc,
  given: VerbArguments,
  { output, stop }: CommandContext,
): Promise<ExitCode> {
  const base = readParams(given.common);
  const request = buildRequest(rpc.requestType, base, withEnabled(rpc, given.flags), given.bare);
  checkRequest(rpc.requestType, request);
  const client = createAdminClient(readConnection(given.common));
  try {
    if (!rpc.isStream) {
      const response = await client.call(rpc.service, rpc.name, request);
      if (given.isJson) output.json(response);
      else renderMessage(response, output);
      return exitCodes.done;
    }
    if (rpc.name === "Replay" && !given.isJson) {
      await printReplay(client, rpc, request, { output, stop });
    } else await printStream(client, rpc, request, { output, stop });
    return exitCodes.done;
  } finally {
    client.close();
  }
}

/** One line a message; the chunks of an export are printed as the text they are. */
async function printStream(
  client: AdminClient,
  rpc: Rpc,
  request: object,
  { output, stop }: CommandContext,
): Promise<void> {
  const decoder = new TextDecoder();
  let pending = "";
  for await (const message of client.stream(rpc.service, rpc.name, request, stop)) {
    const { chunk } = message;
    if (!(chunk instanceof Uint8Array) || chunk.length === 0) {
      if (message.manifest) output.note(JSON.stringify(message.manifest));
      else output.json(message);
      continue;
    }
    const lines = `${pending}${decoder.decode(chunk, { stream: true })}`.split("\n");
    pending = lines.pop() ?? "";
    for (const line of lines) output.line(line);
  }
  if (pending !== "") output.line(pending);
}

/** Progress beside the result; the report as a person reads it. */
async function printReplay(
  client: AdminClient,
  rpc: Rpc,
  request: object,
  { output, stop }: CommandContext,
): Promise<void> {
  for await (const { progress, report } of client.stream(rpc.service, rpc.name, request, stop)) {
    if (isMessage(progress)) renderReplayProgress(progress, output);
    if (isMessage(report)) renderReplayReport(report, output);
  }
}

function isMessage(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

function parseVerbArguments(args: readonly string[]): VerbArguments {
  const common: Partial<Record<CommonFlag, string>> = {};
  const flags: WrittenFlag[] = [];
  let isJson = false;
  let bare: string | undefined;
  for (let index = 0; index < args.length; index += 1) {
    const arg = args[index] ?? "";
    if (!arg.startsWith("--")) {
      if (bare !== undefined) throw new UsageError(`unexpected argument "${arg}"`);
      bare = arg;
      continue;
    }
    const [name = "", ...parts] = arg.slice(2).split("=");
    let text = parts.length > 0 ? parts.join("=") : undefined;
    if (name === "json") {
      isJson = true;
      continue;
    }
    const next = args[index + 1];
    if (text === undefined && next !== undefined && !next.startsWith("--")) {
      text = next;
      index += 1;
    }
    const known = commonFlags.find((flag) => flag === name);
    if (known === undefined) flags.push({ name, text });
    else if (text === undefined) throw new UsageError(`--${name} needs a value`);
    else common[known] = text;
  }
  return { common, isJson, flags, bare };
}

/** What one registers is meant to work, so new objects are enabled unless told otherwise. */
function withEnabled(rpc: Rpc, flags: readonly WrittenFlag[]): readonly WrittenFlag[] {
  const isNew = /^(Register|Create)/.test(rpc.name);
  const isAble = describeFlags(rpc.requestType).some((flag) => flag.startsWith("--enabled "));
  const isGiven = flags.some((flag) => /(^|\.)enabled$/.test(flag.name));
  return isNew && isAble && !isGiven ? [{ name: "enabled", text: "true" }, ...flags] : flags;
}

function readParams(common: VerbArguments["common"]): object {
  const { params, "params-file": file } = common;
  if (params !== undefined) return parseJson("--params", params);
  return file === undefined ? {} : parseJson("--params-file", readText("--params-file", file));
}

/** Where the admin plane is and who speaks: flags, then the environment, then a gateway on this machine. */
export function readConnection(common: Partial<Record<CommonFlag, string>>): AdminClientOptions {
  const environment = readClientEnvironment();
  const isTls = [common["ca-file"], common["certificate-file"]].some((file) => file !== undefined);
  const tokenFile = common["token-file"] ?? environment.tokenFile;
  const dataDir = common["data-dir"] ?? environment.dataDir ?? "./data";
  const needsToken = common["certificate-file"] === undefined || tokenFile !== undefined;
  const path = tokenFile ?? `${dataDir}/admin.token`;
  return {
    address: common.admin ?? environment.admin ?? "127.0.0.1:50051",
    token: needsToken ? readText("--token-file", path).trim() : undefined,
    tls: isTls
      ? {
          caFile: common["ca-file"],
          certificateFile: common["certificate-file"],
          keyFile: common["key-file"],
        }
      : undefined,
  };
}

function readText(flag: string, path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new CommandError(`${flag}: ${messageOf(error)}`);
  }
}

function adviseVerb(noun: string, verb: string, rpcs: readonly Rpc[]): string {
  const verbs = [...rpcs.map((rpc) => rpc.verb), ...offlineVerbsOf(noun).keys()];
  if (verb === "") return `name a verb: ${verbs.join(", ")}`;
  const nearest = findNearest(verb, verbs);
  const hint = nearest === undefined ? `there are ${verbs.join(", ")}` : `did you mean ${nearest}?`;
  return `${noun} has no verb "${verb}"; ${hint}`;
}

const commonHelp = `
  --json                   print the answer as JSON
  --params JSON            the whole request; flags add to it
  --params-file FILE       the same from a file
  --admin ADDR             the admin plane [127.0.0.1:50051]
  --token-file FILE        operator's token [DATA_DIR/admin.token]
  --data-dir DIR           the gateway's data folder [./data]
  --ca-file FILE           turns TLS on; certificate authority of the admin plane
  --certificate-file FILE  client certificate, with --key-file FILE`;

function describeNoun(noun: string, rpcs: readonly Rpc[]): string {
  const width = Math.max(0, ...rpcs.map((rpc) => rpc.verb.length));
  const verbs = rpcs.map((rpc) => `  ${rpc.verb.padEnd(width)}  ${rpc.name}`);
  for (const verb of offlineVerbsOf(noun).keys()) {
    verbs.push(`  ${verb.padEnd(width)}  offline, from the data folder`);
  }
  return `Verbs, and the RPC each calls; VERB --help tells its flags:\n${verbs.join("\n")}\n${commonHelp}
(mcp-gateway ${noun} answers with exit code 1 where the gateway refuses, 3 where nobody answers)`;
}

function describeVerb(noun: string, rpc: Rpc): string {
  const flags = describeFlags(rpc.requestType).map((flag) => `  ${flag}`);
  const own = flags.length === 0 ? "" : `\n\n${flags.join("\n")}`;
  return `Usage: mcp-gateway ${noun} ${rpc.verb} [NAME] [--FIELD VALUE…]\n\nCalls ${rpc.service}/${rpc.name}.${own}\n${commonHelp}`;
}
