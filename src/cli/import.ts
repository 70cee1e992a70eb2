/**
 * `import FILE`: other gateways' policy and server files, and desktop clients' server lists, into a running gateway
 * over its admin plane, with a report of what is not here what it was there. The shapes are in `imports/`.
 */
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { parseYaml } from "../config/yaml.ts";
import { createAdminClient } from "./admin-client.ts";
import { readConnection } from "./admin-verbs.ts";
import { type Command, CommandError, exitCodes, messageOf } from "./command.ts";
import { needPositionals, parseFlags } from "./flags.ts";
import { applyPlan, describeWrite, type Written } from "./imports/apply.ts";
import { type Translation, translateFile } from "./imports/translate.ts";
import { clean, type Output } from "./output.ts";

export const importFile: Command = {
  usage: "FILE [--dry-run] [--replace] [FLAG…]",
  help: `Reads FILE (YAML or JSON), tells its shape by its members, and writes what it means over the admin plane:
  a registry of tools            tools: [{name, backend_url, scope, required_roles…}]
  tool lists by role             roles.*.allowed_tools, workspaces, tools.*.required_roles
  roles, bindings and rules      roles.*.permissions, user_roles, group_roles, rules
  MCP servers                    mcp_servers, servers, or a desktop client's mcpServers
Prints what was written, and what is different here or was left out, and why. Nothing is written of a file that
cannot be understood whole.

  --dry-run                have the gateway check everything and store nothing
  --replace                replace objects of the same name; without it they stay as they are
  --server NAME            tool lists by role: the server their tools are on [every server]
  --allow-private-network  servers may be on this machine, in private ranges, or on plain http
  --json                   print the report as JSON
  --admin ADDR             the admin plane [127.0.0.1:50051]
  --token-file FILE        operator's token [DATA_DIR/admin.token]
  --data-dir DIR           the gateway's data folder [./data]
  --ca-file FILE           turns TLS on; certificate authority of the admin plane
  --certificate-file FILE  client certificate, with --key-file FILE`,
  run: async (args, { output }) => {
    const { values, positionals } = parseFlags(args, {
      "dry-run": { type: "boolean" },
      replace: { type: "boolean" },
      server: { type: "string" },
      "allow-private-network": { type: "boolean" },
      json: { type: "boolean" },
      admin: { type: "string" },
      "token-file": { type: "string" },
      "data-dir": { type: "string" },
      "ca-file": { type: "string" },
      "certificate-file": { type: "string" },
      "key-file": { type: "string" },
    });
    const [path = ""] = needPositionals(positionals, ["FILE"]);
    const translation = translateFile(readSource(path), {
      server: values.server,
      allowPrivateNetwork: values["allow-private-network"] === true,
    });
    const isDryRun = values["dry-run"] === true;
    const options = { isDryRun, replaces: values.replace === true };
    const client = createAdminClient(readConnection(values));
    const written: Written[] = [];
    try {
      for await (const one of applyPlan(client, translation.writes, options)) written.push(one);
    } finally {
      client.close();
      // Told even where the gateway refused: what came before it is there.
      if (values.json) output.json(reportOf(translation, written));
      else printReport(output, translation, written, isDryRun);
    }
    return exitCodes.done;
  },
};

function readSource(path: string): unknown {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new CommandError(`the file cannot be read: ${messageOf(error)}`);
  }
  const parsing = parseYaml(text, basename(path));
  if ("parsed" in parsing) return parsing.parsed.value;
  const problems = parsing.problems.map(({ where, message }) => `${where}: ${message}`);
  throw new CommandError(problems.join("\n"));
}

function reportOf({ shape, notes }: Translation, written: readonly Written[]): object {
  return {
    shape,
    written: written.map(({ write, outcome }) => ({
      kind: write.kind,
      name: write.name,
      from: write.from,
      outcome,
    })),
    notes,
  };
}

function printReport(
  output: Output,
  { shape, writes, notes }: Translation,
  written: readonly Written[],
  isDryRun: boolean,
): void {
  output.note(`taken for ${shape}`);
  if (written.length > 0) {
    const rows = written.map(({ write, outcome }) => [outcome, describeWrite(write), write.from]);
    output.table(["what became of it", "object", "from"], rows);
  }
  if (notes.length > 0) output.line();
  // Whole sentences, which a table would cut.
  for (const { outcome, where, why } of notes) output.line(clean(`${outcome}: ${where}: ${why}`));
  const count = `${written.length} of ${writes.length} objects`;
  output.note(isDryRun ? `${count} checked; nothing was stored` : `${count} sent`);
}
