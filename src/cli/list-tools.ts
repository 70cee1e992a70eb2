/**
 * `list-tools S`: the tools of one scope as this client sees them.
 */
import {
  agentFlags,
  agentFlagsHelp,
  listAllTools,
  readAgentOptions,
  withAgent,
} from "./agent-client.ts";
import { type Command, exitCodes } from "./command.ts";
import { needPositionals, parseFlags } from "./flags.ts";

export const listTools: Command = {
  usage: "SERVER [--url URL] [--token-file FILE]",
  help: `Lists the tools of a server, of a virtual server, or of "all".
${agentFlagsHelp}`,
  run: async (args, { output }) => {
    const { values, positionals } = parseFlags(args, agentFlags);
    const [server = ""] = needPositionals(positionals, ["SERVER"]);
    const tools = await withAgent(readAgentOptions(values, server), listAllTools);
    if (values.json) output.json(tools);
    else if (tools.length === 0) output.note("none");
    else {
      const rows = tools.map((tool) => [tool.name, tool.description ?? ""]);
      output.table(["tool", "description"], rows);
    }
    return exitCodes.done;
  },
};
