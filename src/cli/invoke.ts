/**
 * `invoke S T`: one tool call, as an agent makes it. The exit code tells whether the tool did what was asked.
 */
import { readFileSync } from "node:fs";
import { agentFlags, agentFlagsHelp, readAgentOptions, withAgent } from "./agent-client.ts";
import { type Command, CommandError, exitCodes, messageOf, UsageError } from "./command.ts";
import { needPositionals, parseFlags } from "./flags.ts";
import { clean } from "./output.ts";
import { parseJson } from "./request-fields.ts";

export const invoke: Command = {
  usage: "SERVER TOOL [--params JSON | --params-file FILE] [--url URL] [--token-file FILE]",
  help: `Calls a tool and prints its result. Exit code 1 where the gateway or the tool refuses.

  --params JSON      the tool's arguments
  --params-file F    the same from a file
${agentFlagsHelp}`,
  run: async (args, { output }) => {
    const { values, positionals } = parseFlags(args, {
      ...agentFlags,
      params: { type: "string" },
      "params-file": { type: "string" },
    });
    const [server = "", name = ""] = needPositionals(positionals, ["SERVER", "TOOL"]);
    const given = readArguments(values.params, values["params-file"]);
    const result = await withAgent(readAgentOptions(values, server), (client) =>
      client.callTool({ name, arguments: given }),
    );
    if (values.json) output.json(result);
    else for (const line of renderContent(result.content)) output.line(line);
    return result.isError === true ? exitCodes.failed : exitCodes.done;
  },
};

function readArguments(
  params: string | undefined,
  file: string | undefined,
): Record<string, unknown> {
  if (params !== undefined && file !== undefined) {
    throw new UsageError("give --params or --params-file, not both");
  }
  if (params !== undefined) return parseJson("--params", params);
  if (file === undefined) return {};
  try {
    return parseJson("--params-file", readFileSync(file, "utf8"));
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new CommandError(`--params-file: ${messageOf(error)}`);
  }
}

/** Text as lines; anything else as one line that says what it is. */
export function renderContent(content: unknown): readonly string[] {
  if (!Array.isArray(content)) return [];
  return content.flatMap((block: unknown) => {
    if (typeof block !== "object" || block === null || !("type" in block)) return [];
    if (block.type === "text" && "text" in block) {
      return String(block.text).split("\n").map(clean);
    }
    return [`(${clean(String(block.type))}; --json shows it)`];
  });
}
